"""One measurement of one contestant: wall throughput, latency, processor seconds per answer, and the noise around.

Pure figures out of it; what they mean is said in `loadtest/README.md`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from loadtest.batches import batch_sizes, grown
from loadtest.cpu_time import MachineTime, cpu_seconds, tree_cpu_seconds
from loadtest.limit import TRIMMED, WHOLE, Limit
from loadtest.servers import DETECT, ROOT, Server

#: The bare loop as the service runs the network, which shares are of; and with the whole square, as peers do.
LIMIT, WHOLE_LIMIT = "limit", "limit, whole"
#: Seconds of load before anything counts.
WARM_S = 1.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One counted window.

    clients: of a closed loop of detect, else 0. body: where it was not the server's own. cpu_ms: of all the
    contestant's processes, per answer. others: cores kept busy by neither it nor its client; much of it means noise.
    batches: answers by the size of their run.
    """

    contestant: str
    load: str
    clients: int = 0
    body: str = ""
    round: int = 0
    seconds: float
    answers: int
    rate: float
    cpu_ms: float
    others: float
    failed: int = 0
    wrong: int = 0
    offered: float = 0.0
    client_cpu_ms: float = 0.0
    latencies_ms: list[float] = []
    stages_ms: dict[str, float] = {}
    batches: dict[str, int] = {}


def latencies_ms_of(windows: list[Measured]) -> list[float]:
    """Of all of them together."""
    return [late for one in windows for late in one.latencies_ms]


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0..1) of all are at or below; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def median(values: list[float]) -> float:
    """The middle, between two the mean of both; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def measure_limit(limit: Limit, seconds: float, processes: int = 0, form: str = TRIMMED) -> Measured:
    """The bare loop on all cores, or in one process for the latency of the bare sequence."""
    before = MachineTime.now()
    runs = limit.run(seconds, processes, form)
    after = MachineTime.now()
    answers, cpu_s = sum(run.answers for run in runs), sum(run.cpu_s for run in runs)
    wall = max(run.seconds for run in runs)
    return Measured(
        contestant=WHOLE_LIMIT if form == WHOLE else LIMIT,
        load=f"bare {len(runs)}",
        seconds=wall,
        answers=answers,
        rate=sum(run.answers / run.seconds for run in runs),
        cpu_ms=cpu_s / answers * 1000,
        others=max(0.0, (after.busy - before.busy - cpu_s) / wall),
        latencies_ms=[one for run in runs for one in run.latencies_ms],
    )


class Shot(msgspec.Struct, frozen=True, kw_only=True):
    """How to load a server: closed with `clients`, or open at `rate`, with other arrivals for every `seed`.

    body: "multipart" or "raw"; empty for what the server takes quickest.
    """

    folder: Path
    faces: list[int]
    clients: int = 1
    rate: float = 0.0
    seconds: float = 5.0
    warm: float = WARM_S
    target: str = DETECT
    arrivals: str = "poisson"
    seed: int = 0
    body: str = ""

    @property
    def name(self) -> str:
        load = f"open {self.rate:.1f}/s" if self.rate else f"{self.clients} client{'s' * (self.clients > 1)}"
        load += f", {self.body}" if self.body else ""
        return load if self.detects else f"{self.target.rpartition('/')[2]}, {load}"

    @property
    def detects(self) -> bool:
        return self.target == DETECT


def measure_server(server: Server, shot: Shot) -> Measured:
    """One run of the load generator against one server."""
    server.unpark()
    arguments = [
        f"--port={server.port}", f"--folder={shot.folder}", f"--faces={json.dumps(shot.faces)}",
        f"--body={shot.body or server.body}", f"--clients={shot.clients}", f"--rate={shot.rate}", f"--warm={shot.warm}",
        f"--seconds={shot.seconds}", f"--target={server.detect if shot.detects else shot.target}",
        f"--arrivals={shot.arrivals}", f"--seed={shot.seed}", *(f"--header={line}" for line in server.headers),
    ]  # fmt: skip
    client = subprocess.Popen(
        [sys.executable, "-S", "-m", "loadtest.client", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    before = batch_sizes(server)
    try:
        measured = _watch(server, shot, client)
        return msgspec.structs.replace(measured, batches=grown(before, batch_sizes(server)))
    finally:
        client.kill()
        client.wait()
        server.park()


def _watch(server: Server, shot: Shot, client: subprocess.Popen[str]) -> Measured:
    assert client.stdout is not None
    _expect(client, "begin")
    before, cpu_before, client_before = MachineTime.now(), tree_cpu_seconds(server.pid), cpu_seconds(client.pid)
    _expect(client, "end")
    cpu_s = tree_cpu_seconds(server.pid) - cpu_before
    client_s, after = cpu_seconds(client.pid) - client_before, MachineTime.now()
    outcome = json.loads(client.stdout.read())
    client.stdout.close()
    answers = outcome["answers"]
    if not answers:
        raise RuntimeError(f"{server.name} answered nothing well: {outcome['statuses']}")
    return Measured(
        contestant=server.name,
        load=shot.name,
        clients=shot.clients if shot.detects and not shot.rate else 0,
        body=shot.body,
        seconds=outcome["seconds"],
        answers=answers,
        rate=answers / outcome["seconds"],
        cpu_ms=cpu_s / answers * 1000,
        others=max(0.0, (after.busy - before.busy - cpu_s - client_s) / outcome["seconds"]),
        failed=sum(outcome["statuses"].values()) - answers + outcome["unfinished"],
        wrong=outcome["wrong"],
        offered=shot.rate,
        client_cpu_ms=client_s / answers * 1000,
        latencies_ms=outcome["latencies_ms"],
        stages_ms=outcome["stages_ms"],
    )


def _expect(client: subprocess.Popen[str], word: str) -> None:
    assert client.stdout is not None
    line = client.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"the load generator ended early: {line or 'no word'}")
