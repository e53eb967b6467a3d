"""When what a process does again and again is due: all of it at once, since each waking costs more than the work."""

from __future__ import annotations

import random
from time import monotonic

#: Where this process's beats lie, so that those of a host do not all fall on the same moment.
_PHASE_S = random.random()  # noqa: S311 — spreads processes, hides nothing
#: Timers are told in milliseconds and may be that early; a beat must not come twice.
_LATE_S = 0.002


def to_next_beat(period_s: float) -> float:
    """Seconds until a multiple of the period, at most the period and 2 ms."""
    return period_s - (monotonic() - _PHASE_S) % period_s + _LATE_S if period_s > 0 else 0.0
