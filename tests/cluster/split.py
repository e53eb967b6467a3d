"""`python -m tests.cluster.split [--gateways N] [--only WORD] [--json FILE]`: links between the halves cut under load.

Needs root and `ip`; everything runs in namespaces of its own. Exit code 0 when nothing was lost, nobody was blamed, and
every link was back in time.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec

from tests.chaos.client import Client
from tests.chaos.gallery import gallery
from tests.cluster.alone import alone, is_alone, lay_the_wire, what_lacks
from tests.cluster.halves import GatewayHost, WorkersHost, open_halves
from tests.cluster.hosts import BALANCER
from tests.cluster.load import Load
from tests.integration.access.servers import valkey
from tests.stub_worker import KILL, picture

#: A gateway must have every worker again so soon after its link is mended.
BACK_S_MAX = 3.0
SETTLE_S, WHOLE_S_MAX = 2.0, 120.0
CLIENTS, RATE = 4, 10.0
DEATHS_MAX = 2
#: So long every host of workers stands still before a cut: its hands fill, and nobody misses a sign of life.
FROZEN_S = 0.6


class Cut(NamedTuple):
    """seconds: how long the first host of workers is away. begin, end: what takes it away and brings it back."""

    name: str
    seconds: float
    begin: Callable[[WorkersHost], None]
    end: Callable[[WorkersHost], None]


class Outcome(msgspec.Struct, frozen=True):
    """What a cut did. lost: everything but the right answer. back_s: from its end until all gateways had all workers."""

    name: str
    requests: int
    lost: dict[str, int]
    slowest_s: float
    back_s: float
    convicted: int
    deaths: int = 0

    @property
    def blameless(self) -> bool:
        """Nothing was lost, and no picture convicted but one that kills, which was stopped in time."""
        return (
            self.requests > 0
            and not self.lost
            and self.deaths <= DEATHS_MAX
            and (not self.convicted or self.deaths > 0)
        )

    @property
    def kept(self) -> bool:
        return self.blameless and self.back_s <= BACK_S_MAX


def _reset(host: WorkersHost) -> None:
    """Every connection to it ends with a reset; new ones are let through."""
    subprocess.run(["ss", "-K", "dst", host.address.address], check=True, capture_output=True)


def _kill(host: WorkersHost) -> None:
    host.kill()


def _start(host: WorkersHost) -> None:
    host.start()
    assert host.service.ready.wait(WHOLE_S_MAX), host.service.output


def _nothing(_host: WorkersHost) -> None:
    """It was over at once."""


def _cuts(seconds: Sequence[float]) -> list[Cut]:
    cut = [Cut(f"link cut for {one:g} s", one, WorkersHost.cut_off, WorkersHost.connect) for one in seconds]
    return [*cut, Cut("links reset", 0.0, _reset, _nothing), Cut("host of workers killed", 4.0, _kill, _start)]


async def through(cut: Cut, gateways: Sequence[GatewayHost], hosts: Sequence[WorkersHost]) -> Outcome:
    pictures = gallery(20, 7, 60_000)
    loads = [Load(gateway.port, pictures, CLIENTS, RATE) for gateway in gateways]
    for load in loads:
        load.begin()
    await asyncio.sleep(SETTLE_S)
    await asyncio.to_thread(_cut_with_requests, cut, hosts)
    await asyncio.sleep(cut.seconds)
    await asyncio.to_thread(cut.end, hosts[0])
    mended = time.monotonic()
    await until_whole(gateways, len(hosts))
    back_s = time.monotonic() - mended
    await asyncio.sleep(SETTLE_S)
    asked = [one for load in loads for one in await load.end()]
    lost = dict(Counter(one.became for one in asked if one.became != "ok"))
    convicted = sum(gateway.convicted() for gateway in gateways)
    slowest_s = max((one.took for one in asked), default=0.0)
    return Outcome(cut.name, len(asked), lost, round(slowest_s, 2), round(back_s, 2), convicted)


def _cut_with_requests(cut: Cut, hosts: Sequence[WorkersHost]) -> None:
    """Struck while it stands still with requests in its hands, as every other does."""
    for host in hosts:
        host.freeze()
    time.sleep(FROZEN_S)
    cut.begin(hosts[0])
    for host in hosts:
        host.thaw()


async def until_whole(gateways: Sequence[GatewayHost], workers: int) -> None:
    async with asyncio.timeout(WHOLE_S_MAX):
        for gateway in gateways:
            while await asyncio.to_thread(gateway.serving) != workers:  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.05)


async def poisoned(gateways: Sequence[GatewayHost], hosts: Sequence[WorkersHost], workers: int) -> Outcome:
    """Every gateway is asked for a picture that kills whoever looks at it."""
    await until_whole(gateways, workers)
    deadly = cv2.imencode(".png", picture(50, KILL))[1].tobytes()
    became: Counter[str] = Counter()
    began = time.monotonic()
    for gateway in (*gateways, *gateways):
        client = Client(gateway.port)
        answer = await client.detect(deadly)
        client.close()
        became[str(answer.status)] += 1
        await asyncio.sleep(0.2)  # a client that tries elsewhere does not do so within a millisecond
    deaths = sum(host.deaths() for host in hosts)
    name = f"poison over {len(gateways)} gateways: {deaths} lost"
    lost = {status: count for status, count in became.items() if status != "422"}
    took_s, convicted = round(time.monotonic() - began, 2), max(gateway.convicted() for gateway in gateways)
    return Outcome(name, became.total(), lost, took_s, 0.0, convicted, deaths)


def rehearse(gateways: int, seconds: Sequence[float], only: str) -> list[Outcome]:
    """On a wire that lies."""
    outcomes = []
    cuts = [cut for cut in _cuts(seconds) if only in cut.name]
    if cuts:
        with open_halves(gateways, 2) as (before, behind):
            asyncio.run(until_whole(before, 2))
            for cut in cuts:
                outcomes.append(asyncio.run(through(cut, before, behind)))
                print(*_lines(outcomes[-1]), sep="\n", flush=True)
    if only in "poison":
        with (
            tempfile.TemporaryDirectory() as folder,
            valkey(Path(folder)) as server,
            open_halves(3, 2, stubs=2, redis_url=server.url) as (before, behind),
        ):
            outcomes.append(asyncio.run(poisoned(before, behind, 4)))
            print(*_lines(outcomes[-1]), sep="\n", flush=True)
    return outcomes


HEAD = f"{'':36}{'asked':>7}{'lost':>6}{'slowest':>9}{'back':>8}{'convicted':>11}"


def _lines(one: Outcome) -> list[str]:
    figures = f"{one.requests:7}{sum(one.lost.values()):6}{one.slowest_s:7.1f} s{one.back_s:6.1f} s{one.convicted:11}"
    return [
        f"{one.name:36}{figures}  {'kept' if one.kept else 'NOT KEPT'}",
        *(f"{'':11}{count} × {what}" for what, count in one.lost.items()),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.split", description=__doc__)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--seconds", type=float, nargs="*", default=[2.0, 10.0, 60.0], help="how long links are cut")
    parser.add_argument("--only", default="", metavar="WORD", help="what has it in its name")
    parser.add_argument("--json", type=Path, help="where the outcomes go as JSON")
    options = parser.parse_args(arguments)
    if lacks := what_lacks("ss"):
        print(f"no rehearsal here: {lacks}", file=sys.stderr)
        return 2
    if not is_alone():
        return alone("tests.cluster.split", arguments)
    lay_the_wire(BALANCER)
    print(HEAD)
    outcomes = rehearse(options.gateways, options.seconds, options.only)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=2))
    return 0 if all(one.kept for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
