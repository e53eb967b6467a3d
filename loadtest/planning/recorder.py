"""Measures running hosts: a client alone, a closed loop for the capacity, open loops below it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from loadtest.measure import percentile
from loadtest.planning.check import LOADS
from loadtest.planning.model import Shape
from loadtest.planning.recording import Point, Recording
from loadtest.planning.times import Times, stages_in
from loadtest.servers import ROOT

ALONE_S, WARM_S, SEED = 10.0, 2.0, 7
#: Of all requests. A connection that closes while the next request is on its way loses one now and then.
ANSWERED_MIN = 0.995


class Asked(Struct, frozen=True, kw_only=True):
    """Where the hosts are asked, and with what. metrics: of each host."""

    host: str
    port: int
    metrics: Sequence[str]
    folder: Path
    target: str
    headers: Sequence[str] = ()


def record(asked: Asked, hosts: int, shape: Shape, seconds: float, clients: int) -> Recording:
    """seconds: of the closed loop and of each open one."""
    before = _stages(asked)
    alone = _load(asked, "--clients=1", f"--seconds={ALONE_S}", "--warm=0")
    stages = {name: times.since(before.get(name)) for name, times in _stages(asked).items()}
    full = _load(asked, f"--clients={clients}", f"--seconds={seconds}", f"--warm={WARM_S}")
    capacity = full["answers"] / full["seconds"]
    return Recording(
        target=asked.target, hosts=hosts, shape=shape, stages=stages,
        alone_s=sum(alone["latencies_ms"]) / len(alone["latencies_ms"]) / 1000,
        request_bytes=_mean_size(asked.folder), answer_bytes=alone["received"] / alone["answers"],
        clients=clients, capacity=capacity, points=list(_points(asked, capacity, seconds)),
    )  # fmt: skip


def _points(asked: Asked, capacity: float, seconds: float) -> Iterator[Point]:
    for load in LOADS:
        offered = round(load * capacity, 3)
        open_loop = (f"--rate={offered}", f"--seed={SEED}", f"--seconds={seconds}", f"--warm={WARM_S}")
        found = _load(asked, *open_loop)
        p99_s = percentile(found["latencies_ms"], 0.99) / 1000
        yield Point(offered, seconds, WARM_S, SEED, found["answers"] / found["seconds"], p99_s)


def _load(asked: Asked, *how: str) -> dict[str, Any]:
    """One run of the load generator. Raises RuntimeError unless all but everything was answered well."""
    where = (f"--host={asked.host}", f"--port={asked.port}", f"--folder={asked.folder}", f"--target={asked.target}")
    command = [sys.executable, "-S", "-m", "loadtest.client", *where, "--body=raw", *how]
    command += [f"--header={header}" for header in asked.headers]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["answers"] < ANSWERED_MIN * (sum(found["statuses"].values()) + found["unfinished"]):
        raise RuntimeError(f"not everything was answered: {found['statuses']}, {found['unfinished']} open")
    return found


def _stages(asked: Asked) -> dict[str, Times]:
    """Of all hosts together."""
    found: dict[str, Times] = {}
    for url in asked.metrics:
        with urllib.request.urlopen(url, timeout=5) as answer:
            for name, times in stages_in(answer.read().decode()).items():
                found[name] = _sum(found[name], times) if name in found else times
    return found


def _sum(one: Times, other: Times) -> Times:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Times(one.bounds, counts, one.total_s + other.total_s)


def _mean_size(folder: Path) -> float:
    sizes = [file.stat().st_size for file in sorted(folder.glob("*.jpg"))]
    return sum(sizes) / len(sizes)
