"""What happened to the requests of this process: numbers that the dispatcher counts and the metrics read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What happened in this process since it started; read by the metrics."""

    answered: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    redispatched: int = 0
    poisoned: int = 0
    given_up: int = 0
    quarantined: int = 0
    late_answers: int = 0
    workers_lost: int = 0
    cancelled_in_hand: int = 0
    relinked: int = 0
