"""Who is let in: by count, bytes, share and expected wait; and when the others are to come again."""

from __future__ import annotations

import contextlib

import pytest

from gateway.admission.admission import RETRY_AFTER_S_MAX, SHARED_FROM, Admission, DrainRate
from shared.errors import Overloaded


def test_the_last_place_is_given_and_the_next_refused_until_somebody_leaves() -> None:
    house = Admission(2, 1000)
    with house.enter(1), contextlib.ExitStack() as stack:
        second = stack.enter_context(house.enter(1))
        with pytest.raises(Overloaded):
            house.enter(1)
        second.__exit__(None, None, None)
        stack.pop_all()
        with house.enter(1):
            assert house.requests == 2
    assert (house.requests, house.bytes, house.accepted) == (0, 0, 3)
    assert house.refused == {"count": 1}


def test_bytes_are_bounded_but_a_single_large_body_finds_an_empty_house() -> None:
    house = Admission(10, 100)
    with house.enter(100), pytest.raises(Overloaded):
        house.enter(1)
    with house.enter(101):
        assert house.bytes == 101
    assert house.refused == {"bytes": 1}


def test_a_place_is_given_back_whatever_happened_in_it() -> None:
    house = Admission(1, 100)
    with pytest.raises(ZeroDivisionError), house.enter(10):
        raise ZeroDivisionError
    assert (house.requests, house.bytes) == (0, 0)


def test_one_client_holds_no_more_than_its_share_and_others_still_come_in() -> None:
    house = Admission(SHARED_FROM, 1000, client_share=0.5)
    for _ in range(SHARED_FROM // 2):
        house.enter(1, "bulk")
    with pytest.raises(Overloaded):
        house.enter(1, "bulk")
    for number in range(SHARED_FROM // 2):
        house.enter(1, f"small {number}")
    assert house.refused == {"client's share": 1}


def test_one_client_fills_no_more_than_its_share_of_the_bytes_either() -> None:
    house = Admission(SHARED_FROM, 1000, client_share=0.5)
    with house.enter(900, "large"):
        assert house.bytes == 900
    with house.enter(400, "slow"):
        with pytest.raises(Overloaded):
            house.enter(101, "slow")
        with house.enter(100, "slow"), house.enter(500, "other"):
            assert house.bytes == 1000
    assert house.refused == {"client's share": 1}
    assert not house._held


def test_who_cannot_be_answered_in_time_is_refused_at_once() -> None:
    house = Admission(100, 1000, model_interval_s=lambda: 0.5)
    for _ in range(4):
        house.enter(1)
    house.enter(1, left_s=2.0)
    with pytest.raises(Overloaded):
        house.enter(1, left_s=2.4)
    house.check_again(4, left_s=2.0)
    with pytest.raises(Overloaded):
        house.check_again(5, left_s=2.4)
    assert house.refused == {"expected wait": 1, "no time left": 1}


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8), (0.5, 10), (1.0, 13)])
def test_retry_after_is_the_time_to_drain_spread_by_a_quarter(jitter: float, seconds: int) -> None:
    house = Admission(20, 1000, model_interval_s=lambda: 0.5, jitter=lambda: jitter)
    for _ in range(20):
        house.enter(1)
    with pytest.raises(Overloaded, match=f"Server busy, retry in {seconds} seconds") as caught:
        house.enter(1)
    assert caught.value.retry_after_s == seconds


def test_retry_after_is_at_least_one_second_and_never_absurd() -> None:
    assert Admission(1, 1).retry_after_s() == 1
    slow = Admission(1, 1, model_interval_s=lambda: 3600.0)
    slow.enter(1)
    assert slow.retry_after_s() == RETRY_AFTER_S_MAX


def test_the_drain_rate_is_learned_only_while_somebody_waits() -> None:
    drain = DrainRate()
    for now in (0.0, 10.0, 20.0):
        drain.answered(now, saturated=False)
    assert drain.interval_s(0.0) == 0.0
    for number in range(5):
        drain.answered(100 + number * 0.25, saturated=True)
    assert drain.interval_s(0.0) == pytest.approx(0.25)
    drain.answered(200.0, saturated=False)
    drain.answered(300.0, saturated=True)
    assert drain.interval_s(0.0) == pytest.approx(0.25)


def test_the_measured_rate_goes_before_the_model() -> None:
    house = Admission(10, 1000, model_interval_s=lambda: 0.1, saturated=lambda: True)
    assert house.interval_s == pytest.approx(0.1)
    for number in range(5):
        house.answered(number * 0.5)
    assert house.interval_s == pytest.approx(0.5, rel=0.05)


def test_one_late_answer_does_not_make_the_house_look_slow() -> None:
    drain, now = DrainRate(), 0.0
    for number in range(100):
        now += 1.0 if number == 90 else 0.01
        drain.answered(now, saturated=True)
    assert drain.interval_s(0.01) < 0.05


def test_what_was_learned_in_a_bad_moment_keeps_nobody_out_once_it_is_over() -> None:
    """Everybody asks again at once when refused, as impatient clients do; a place is enough to learn better."""
    now, waiting = 0.0, True
    house = Admission(100, 10**6, model_interval_s=lambda: 0.01, saturated=lambda: waiting)
    for _ in range(10):
        now += 20.0
        house.answered(now)
    waiting = False
    with contextlib.ExitStack() as full:
        full.enter_context(house.enter(1, left_s=30.0))
        with pytest.raises(Overloaded):
            for _ in range(8):
                full.enter_context(house.enter(1, left_s=30.0))
    for _ in range(50):
        now += 0.01
        house.answered(now)
    for _ in range(90):
        house.enter(1, left_s=5.0)
