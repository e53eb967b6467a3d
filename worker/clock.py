"""Clock: a worker's time and its pauses, in one hand: a simulation runs thousands of workers on clocks of its own."""

from __future__ import annotations

import time


class Clock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)
