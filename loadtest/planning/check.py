"""Whether the model says of measured hosts what was measured: the only leave to say anything of more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from msgspec import Struct

from loadtest.client import arrival_times
from loadtest.measure import percentile
from loadtest.planning.model import Cluster
from loadtest.planning.recording import Point, Recording, costs_of

#: How far the model may be from what was measured, as a share of it.
RATE_OFF_MAX, P99_OFF_MAX = 0.05, 0.15
#: Loads that a recording must hold, as shares of its capacity.
LOADS = (0.5, 0.8, 0.95)
#: The model's p99 is the median of so many runs: whom a balancer draws is chance.
RUNS = 7
#: Requests of a closed loop; a tenth as many before they count.
CLOSED = 2000


class Gap(Struct, frozen=True):
    """One figure twice. off: as a share of the measured."""

    what: str
    measured: float
    model: float
    allowed: float

    @property
    def off(self) -> float:
        return self.model / self.measured - 1

    @property
    def is_small(self) -> bool:
        return abs(self.off) <= self.allowed

    def told(self) -> str:
        sides = f"measured {self.measured:.4g}, model {self.model:.4g}"
        verdict = "" if self.is_small else f"  MORE THAN {self.allowed:.0%}"
        return f"{self.what:44}{sides:42}{self.off:+7.1%}{verdict}"


def gaps(recordings: Sequence[Recording]) -> Iterator[Gap]:
    for one in recordings:
        hosts = f"{one.hosts} host{'s' * (one.hosts > 1)}"
        full = capacity(one, one.hosts, one.clients)
        yield Gap(f"{hosts}, {one.clients} clients: answers/s", one.capacity, full, RATE_OFF_MAX)
        for point in one.points:
            rate, p99_s = _at(one, point)
            load = f"{hosts}, {point.offered:.1f}/s come"
            yield Gap(f"{load}: answers/s", point.rate, rate, RATE_OFF_MAX)
            yield Gap(f"{load}: p99, s", point.p99_s, p99_s, P99_OFF_MAX)


def capacity(one: Recording, hosts: int, clients: int) -> float:
    """Answers a second of a closed loop."""
    seconds = CLOSED / one.capacity * one.hosts / hosts
    return Cluster(one.shape, costs_of(one), hosts).closed_loop(clients, seconds, seconds / 10).rate


def _at(one: Recording, point: Point) -> tuple[float, float]:
    """The very arrivals that were measured, so that chance in them is in both."""
    arrivals = arrival_times(point.offered, point.warm_s + point.seconds, "poisson", point.seed)
    found = [Cluster(one.shape, costs_of(one), one.hosts, run).open_loop(arrivals, point.warm_s) for run in range(RUNS)]
    return median(run.rate for run in found), median(percentile(run.latencies_s, 0.99) for run in found)


def lacking(recordings: Sequence[Recording]) -> str:
    """What a check of these would leave out; empty when nothing."""
    if {one.hosts for one in recordings} != {1, 2}:
        return "a plan wants a recording of one host and one of two"
    if len({(one.target, one.shape) for one in recordings}) > 1:
        return "the recordings are of different hosts or endpoints"
    if any(len(one.points) < len(LOADS) for one in recordings):
        return f"a recording must hold the loads {', '.join(map(str, LOADS))} of its capacity"
    return ""
