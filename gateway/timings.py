"""What a request spent its time on: stages in order, as Server-Timing and as the response's numbers."""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter

#: A stage, and when it began and ended, in seconds of the performance counter.
Stage = tuple[str, float, float]


class Timings:
    """Milliseconds by stage. What no stage claims is `other`, so that the parts add up to the total."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._lap_started = self._started
        self._stages: defaultdict[str, float] = defaultdict(float)

    def lap(self, stage: str) -> None:
        """Books the time since the last lap under `stage`."""
        now = perf_counter()
        self._stages[stage] += (now - self._lap_started) * 1000
        self._lap_started = now

    def skip(self) -> None:
        """Starts the next lap here; what was since the last one is booked by `add`."""
        self._lap_started = perf_counter()

    def add(self, stage: str, milliseconds: float) -> None:
        self._stages[stage] += milliseconds

    def get(self, stage: str) -> float:
        return self._stages.get(stage, 0.0)

    def stages(self) -> list[tuple[str, float]]:
        """(stage, milliseconds), in order."""
        return list(self._stages.items())

    @property
    def began(self) -> float:
        """When the request came in, in seconds of the performance counter."""
        return self._started

    def total_ms(self) -> float:
        """Since the request came in."""
        return (perf_counter() - self._started) * 1000

    def server_timing(self) -> str:
        """The Server-Timing header: every stage, `other`, and the total they add up to."""
        total = self.total_ms()
        other = max(0.0, total - sum(self._stages.values()))
        parts = [*self._stages.items(), ("other", other), ("total", total)]
        return ", ".join([f"{name};dur={spent:.2f}" for name, spent in parts])


class DatedTimings(Timings):
    """The same, and when each stage was: what a traced request keeps."""

    def __init__(self, begun: Timings) -> None:
        super().__init__()
        self._started, self._lap_started, self._stages = begun._started, begun._lap_started, begun._stages  # noqa: SLF001 — its own class
        self._dated: list[Stage] = []
        self._booked: list[tuple[str, float]] = []
        self._booked_at = self._started

    def lap(self, stage: str) -> None:
        began = self._lap_started
        super().lap(stage)
        self._date()
        self._dated.append((stage, began, self._lap_started))

    def skip(self) -> None:
        super().skip()
        self._date()

    def add(self, stage: str, milliseconds: float) -> None:
        super().add(stage, milliseconds)
        self._booked.append((stage, milliseconds / 1000))
        self._booked_at = perf_counter()

    def dated(self) -> list[Stage]:
        """Every stage so far."""
        self._date()
        return self._dated

    def _date(self) -> None:
        """What was booked together came one after the other, and ended when it was booked."""
        ended = self._booked_at
        for stage, seconds in reversed(self._booked):
            self._dated.append((stage, ended - seconds, ended))
            ended -= seconds
        self._booked.clear()
