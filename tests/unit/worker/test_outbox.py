"""When finished answers leave: together while more waits, at once otherwise."""

from __future__ import annotations

import pytest

from worker.outbox import HELD_S_MAX, MISSING_MAX, WAITING_MIN, Outbox

TOGETHER = 6
FULL_HOUSE = TOGETHER - MISSING_MAX
RUN_S = HELD_S_MAX / (2 * TOGETHER)


def filled(count: int) -> Outbox[int]:
    """`count` answers, one finished every RUN_S from 0 on."""
    outbox: Outbox[int] = Outbox(TOGETHER)
    for number in range(count):
        outbox.add(number, number * RUN_S)
    return outbox


def test_nothing_is_never_due() -> None:
    assert not filled(0).due(0.0, waiting=0, run_s=RUN_S)


@pytest.mark.parametrize("waiting", range(WAITING_MIN))
def test_an_answer_with_nobody_behind_it_leaves_at_once(waiting: int) -> None:
    assert filled(1).due(0.0, waiting, RUN_S)


def test_while_more_wait_answers_leave_when_there_are_enough() -> None:
    due = [filled(count).due(0.0, FULL_HOUSE, RUN_S) for count in range(1, TOGETHER + 1)]
    assert due == [False] * (TOGETHER - 1) + [True]


def test_a_group_begins_only_in_a_full_house_and_then_goes_on_while_some_wait() -> None:
    assert filled(1).due(0.0, FULL_HOUSE - 1, RUN_S)
    assert not filled(2).due(0.0, WAITING_MIN, RUN_S)
    assert filled(2).due(0.0, WAITING_MIN - 1, RUN_S)


def test_where_runs_are_long_groups_are_small_and_so_is_a_full_house() -> None:
    assert not filled(1).due(0.0, WAITING_MIN, HELD_S_MAX / 3)


def test_alone_means_that_none_waits() -> None:
    outbox: Outbox[int] = Outbox(together=1)
    outbox.add(0, 0.0)
    assert outbox.due(0.0, FULL_HOUSE, RUN_S)


def test_none_is_held_for_a_run_that_would_take_it_over_its_time() -> None:
    assert filled(1).due(0.0, WAITING_MIN, HELD_S_MAX * 1.01)
    assert not filled(2).due(HELD_S_MAX / 2 - RUN_S, WAITING_MIN, HELD_S_MAX / 2)
    assert filled(2).due(HELD_S_MAX / 2 + RUN_S, WAITING_MIN, HELD_S_MAX / 2)


def test_answers_leave_oldest_first_and_the_time_of_the_next_begins_anew() -> None:
    outbox = filled(2)
    assert outbox.take() == [0, 1] and len(outbox) == 0
    outbox.add(2, 10.0)
    assert not outbox.due(10.0, FULL_HOUSE, RUN_S)


def test_unwanted_answers_are_forgotten() -> None:
    outbox = filled(3)
    outbox.drop(lambda number: number == 1)
    assert outbox.take() == [0, 2]
