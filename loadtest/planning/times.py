"""What a service tells of its stages: `face_api_stage_seconds`, read from /metrics and drawn from again. Pure."""

from __future__ import annotations

import random
from itertools import pairwise

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

STAGES = "face_api_stage_seconds"
#: Beyond the last bound: so many times that bound at most.
BEYOND = 2.0


class Times(Struct, frozen=True):
    """Of one stage. bounds: upper ends of the buckets, seconds. counts: in each bucket. total_s: of all together."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_s(self) -> float:
        return self.total_s / self.count if self.count else 0.0

    def since(self, before: Times | None) -> Times:
        """Only what came after an earlier look."""
        if before is None:
            return self
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return Times(self.bounds, counts, self.total_s - before.total_s)

    def draw(self, numbers: random.Random) -> float:
        """Seconds of one: evenly within a bucket, then stretched so that the mean is the measured one."""
        if not self.count:
            return 0.0
        (number,) = numbers.choices(range(len(self.counts)), self.counts)
        low, high = self._ends[number]
        return numbers.uniform(low, high) * self._stretch

    @property
    def _ends(self) -> list[tuple[float, float]]:
        return list(pairwise([0.0, *self.bounds]))

    @property
    def _stretch(self) -> float:
        middles = sum(count * (low + high) / 2 for count, (low, high) in zip(self.counts, self._ends, strict=True))
        return self.total_s / middles


def stages_in(text: str) -> dict[str, Times]:
    """By stage, from the text of /metrics; empty where nothing was answered yet."""
    bounds: dict[str, list[tuple[float, float]]] = {}
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            stage = sample.labels.get("stage", "")
            if sample.name == f"{STAGES}_bucket":
                bounds.setdefault(stage, []).append((float(sample.labels["le"]), sample.value))
            elif sample.name == f"{STAGES}_sum":
                totals[stage] = sample.value
    return {stage: _times(sorted(found), totals[stage]) for stage, found in bounds.items()}


def _times(found: list[tuple[float, float]], total_s: float) -> Times:
    """found: (upper end, how many up to it), the last without an end."""
    counts = tuple(int(high - low) for low, high in pairwise([0.0, *(value for _, value in found)]))
    *bounds, _ = [bound for bound, _ in found]
    return Times((*bounds, BEYOND * bounds[-1]), counts, total_s)
