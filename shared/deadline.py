"""Deadline: how long a request may still take. It crosses the wire as milliseconds left, never as a clock time."""

from __future__ import annotations

import msgspec


class Deadline(msgspec.Struct, frozen=True, order=True, gc=False):
    """A point on the monotonic clock of this process, in seconds; the earlier is less. `now` is always an argument."""

    at: float

    @staticmethod
    def after(seconds: float, now: float) -> Deadline:
        return Deadline(now + seconds)

    def left_s(self, now: float) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.at - now)

    def left_ms(self, now: float) -> int:
        """Whole milliseconds left, rounded down; never negative."""
        return int(self.left_s(now) * 1000)

    def passed(self, now: float) -> bool:
        """Whether no whole millisecond is left: timers know none smaller, and may fire that much before it."""
        return self.left_ms(now) == 0
