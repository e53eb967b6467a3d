"""What was measured of running hosts, as a file, and what each stage costs by it. Pure."""

from __future__ import annotations

import random
from itertools import pairwise

from msgspec import Struct

from loadtest.planning.model import Costs, Draw, Shape
from loadtest.planning.times import Times

#: Who does which stage; the rest of a request is the gateway's.
DECODER, WORKER, MASKER = ("decode", "preprocess"), ("inference", "postprocess"), ("mask", "encode")
#: Of a client that is alone: nobody is before it, so this is the way to a worker and back.
HOP = ("queue",)


class Point(Struct, frozen=True):
    """An open loop. offered, rate: requests and answers a second. seed, seconds, warm_s: they make its arrivals."""

    offered: float
    seconds: float
    warm_s: float
    seed: int
    rate: float
    p99_s: float


class Recording(Struct, frozen=True, kw_only=True):
    """Of alike hosts. stages, alone_s: of a client that is alone. clients, capacity: of a closed loop, answers/s.

    runs: (pictures together, milliseconds) of a card, from `make bench-gpu`; without it two cost twice as much as one.
    """

    target: str
    hosts: int
    shape: Shape
    stages: dict[str, Times]
    alone_s: float
    request_bytes: float
    answer_bytes: float
    clients: int
    capacity: float
    points: list[Point]
    runs: list[tuple[int, float]] = []


def costs_of(one: Recording) -> Costs:
    """As measured with one client: under load the cores are shared, and the model does the sharing."""
    known = sum(one.stages[name].mean_s for name in (*DECODER, *WORKER, *MASKER, *HOP) if name in one.stages)
    rest_s = max(0.0, one.alone_s - known)
    worker = _all(one, WORKER)
    single_s = sum(one.stages[name].mean_s for name in WORKER if name in one.stages)

    def run(numbers: random.Random, size: int) -> float:
        return worker(numbers) * (run_s(one.runs, size) / single_s if one.runs else size)

    return Costs(lambda _: rest_s, _all(one, DECODER), _all(one, HOP), run, _all(one, MASKER))


def _all(one: Recording, names: tuple[str, ...]) -> Draw:
    measured = [one.stages[name] for name in names if name in one.stages]
    return lambda numbers: sum(times.draw(numbers) for times in measured)


def run_s(runs: list[tuple[int, float]], size: int) -> float:
    """Seconds of a run of so many, between and beyond measured sizes along straight lines."""
    points = sorted(runs)
    if len(points) == 1:
        points = [(0, 0.0), *points]
    low, high = next((pair for pair in pairwise(points) if size <= pair[1][0]), points[-2:])
    share = (size - low[0]) / (high[0] - low[0])
    return (low[1] + share * (high[1] - low[1])) / 1000
