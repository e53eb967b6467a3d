"""When a worker counts as hung, and how soon a dead one is replaced."""

from __future__ import annotations

from worker.backoff import DELAY_S_MAX, FIRST_DELAY_S, Backoff
from worker.watch import ASK_INTERVAL_S, HANG_BATCHES, HANG_S_MIN, Silence


def asked_until(silence: Silence, end: float) -> float | None:
    """When it is taken for hung, asked at the usual interval; None when not before `end`."""
    now = silence.looked
    while now < end:
        now += ASK_INTERVAL_S
        if silence.too_long(now):
            return now
    return None


def test_a_worker_hangs_after_the_least_time_or_five_batches_whichever_is_longer() -> None:
    quick, slow = Silence(0.0, 0.0), Silence(0.0, 0.0)
    quick.sign(0.0, 0.01)
    slow.sign(0.0, 2.0)
    assert asked_until(quick, 60.0) == HANG_S_MIN + ASK_INTERVAL_S
    assert asked_until(slow, 60.0) == HANG_BATCHES * 2.0 + ASK_INTERVAL_S


def test_a_sign_of_life_begins_the_time_anew() -> None:
    silence = Silence(0.0, 0.0)
    for now in range(60):
        assert not silence.too_long(float(now) + 0.5)
        silence.sign(float(now) + 1.0, 0.01)


def test_a_pool_that_stood_still_itself_does_not_blame_its_workers() -> None:
    silence = Silence(0.0, 0.0)
    assert not silence.too_long(600.0)
    assert asked_until(silence, 700.0) == 600.0 + HANG_S_MIN + ASK_INTERVAL_S


def test_what_dies_while_serving_is_replaced_at_once_what_dies_at_start_later_and_later() -> None:
    backoff = Backoff()
    assert backoff.after_death(served=True) == 0.0
    delays = [backoff.after_death(served=False) for _ in range(12)]
    assert delays[:3] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert delays[-1] == DELAY_S_MAX
    assert backoff.after_death(served=True) == 0.0
    assert backoff.after_death(served=False) == FIRST_DELAY_S
