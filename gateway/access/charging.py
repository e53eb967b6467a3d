"""Which requests count against their caller's rate limit. Pure; the only place that says so.

Charged is every request that was let in, whatever became of it: an answer, a refusal of what was sent (4xx), an error,
a client that left. Given back is a 503 that was the house's own doing. A 503 is the caller's doing when he shortened
the time (X-Request-Timeout-Ms) and the house refused, or ran out of, that time alone: had he not, it would not have.
"""

from __future__ import annotations

from shared.deadline import Deadline
from shared.errors import DeadlineExceeded, NoTimeLeft, Unavailable


def is_charged(error: Unavailable, own: Deadline, full: Deadline, now: float) -> bool:
    """Whether a request that ended in this 503 counts. own, full: until when its caller and the house would wait."""
    if own.at >= full.at:
        return False
    if isinstance(error, NoTimeLeft):
        return error.needed_s <= full.left_s(now)
    return isinstance(error, DeadlineExceeded) or own.passed(now)
