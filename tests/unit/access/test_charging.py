"""Which 503 counts against its caller: the one he brought on himself by shortening his time."""

from __future__ import annotations

import math

import pytest

from gateway.access.charging import is_charged
from shared.deadline import Deadline
from shared.errors import DeadlineExceeded, NoTimeLeft, NoWorker, Overloaded, StoreDown, Unavailable

FULL, SHORT, UNASKED = Deadline(30.0), Deadline(0.04), Deadline(math.inf)
HOUSE_S = (Overloaded(3), NoWorker("none"), StoreDown())


@pytest.mark.parametrize("error", [*HOUSE_S, DeadlineExceeded("late"), NoTimeLeft(3, needed_s=5.0)])
@pytest.mark.parametrize("own", [FULL, UNASKED])
def test_nobody_pays_for_a_503_who_left_the_house_its_time(error: Unavailable, own: Deadline) -> None:
    assert not is_charged(error, own, FULL, now=0.01)
    assert not is_charged(error, own, FULL, now=31.0)


@pytest.mark.parametrize("error", HOUSE_S)
def test_what_no_time_would_have_changed_is_free_too(error: Unavailable) -> None:
    assert not is_charged(error, SHORT, FULL, now=0.01)


def test_a_time_of_ones_own_that_ran_out_is_paid_for() -> None:
    assert is_charged(DeadlineExceeded("late"), SHORT, FULL, now=0.039)
    assert is_charged(Overloaded(1), SHORT, FULL, now=0.04)  # waiting for memory until the time was over


def test_refused_for_a_short_time_is_paid_for_only_where_the_houses_time_would_have_done() -> None:
    assert is_charged(NoTimeLeft(3, needed_s=5.0), SHORT, FULL, now=0.0)
    assert not is_charged(NoTimeLeft(60, needed_s=31.0), SHORT, FULL, now=0.0)
