"""The gateway's queue: who gets what, and what a lost worker leaves behind."""

from __future__ import annotations

import pytest

from gateway.dispatching.work_queue import MOVES_MAX, Work, WorkQueue
from shared.deadline import Deadline


def work(number: int) -> Work:
    return Work(number, (), (), 0.5, 0.4, 0, 10, 10, Deadline(100.0))


def queue_of(*workers: tuple[str, int], waiting: int = 0) -> WorkQueue:
    """Workers with so many credits of two places each, and that many requests waiting."""
    queue = WorkQueue()
    for generation, credits_ in workers:
        queue.join(generation, 2, 1)
        queue.granted(generation, credits_)
    for number in range(waiting):
        queue.submit(work(number))
    return queue


def assigned(queue: WorkQueue) -> list[tuple[str, int]]:
    return [(generation, one.id) for generation, one in queue.assign()]


def test_work_goes_oldest_first_to_the_least_busy_worker() -> None:
    queue = queue_of(("a", 2), ("b", 2), waiting=3)
    assert assigned(queue) == [("a", 0), ("b", 1), ("a", 2)]


def test_without_credit_everything_waits_here() -> None:
    queue = queue_of(("a", 1), waiting=3)
    assert assigned(queue) == [("a", 0)]
    assert (queue.waiting, queue.in_hand) == (2, 1)


def test_a_worker_is_told_once_that_work_waits_and_each_request_says_how_much_still_does() -> None:
    queue = queue_of(("a", 0), waiting=1)
    assert queue.offers() == ["a"]
    assert queue.offers() == []
    queue.granted("a", 1)
    queue.assign()
    assert queue.offers() == []
    queue.submit(work(9))
    assert queue.offers() == ["a"], "the request said that none did"
    assert queue.offers() == []


def test_a_worker_that_gave_all_its_places_is_not_told_that_more_waits() -> None:
    queue = queue_of(("a", 2), waiting=3)
    queue.assign()
    queue.withdraw(0)
    queue.workers["a"].told = 0
    assert queue.offers() == [], "the withdrawn one still has its place there"
    queue.answered("a", 0)
    assert queue.offers() == ["a"]


@pytest.mark.parametrize("how", ["cancelled", "done elsewhere"])
def test_a_worker_hears_that_nothing_waits_any_more_once_its_credit_lies_idle(how: str) -> None:
    queue = queue_of(("a", 0), waiting=1)
    assert queue.offers() == ["a"]
    if how == "cancelled":
        queue.withdraw(0)
    else:
        queue.join("b", 2, 1)
        queue.granted("b", 1)
        queue.assign()
    assert queue.offers() == [], "it gave nothing yet"
    queue.granted("a", 1)
    queue.assign()
    assert (queue.offers(), queue.waiting) == (["a"], 0)
    assert queue.offers() == []


def test_an_answer_is_taken_once_and_only_from_the_worker_that_has_the_work() -> None:
    queue = queue_of(("a", 1), ("b", 1), waiting=1)
    queue.assign()
    assert queue.answered("b", 0) is None
    one = queue.answered("a", 0)
    assert one is not None
    assert one.id == 0
    assert queue.answered("a", 0) is None
    assert queue.answered("gone", 0) is None


def test_withdrawn_work_is_not_sent_and_its_worker_is_named_when_it_was() -> None:
    queue = queue_of(("a", 1), waiting=2)
    queue.assign()
    assert queue.withdraw(1) is None
    held = queue.withdraw(0)
    assert held is not None
    assert (held[0], held[1].id) == ("a", 0)
    assert queue.withdraw(0) is None
    assert (queue.waiting, queue.in_hand) == (0, 0)


def test_withdrawn_work_is_blamed_like_other_work_if_its_worker_ends_before_it_answers() -> None:
    queue = queue_of(("a", 3), waiting=3)
    queue.assign()
    for number in range(3):
        queue.withdraw(number)
    queue.started("a", 1)
    assert queue.answered("a", 2) is None, "answered, but nobody waits for it"
    lost = queue.leave("a")
    assert ([one.id for one in lost.unasked], [one.id for one in lost.poison]) == ([0], [1])
    assert (lost.again, queue.waiting) == ([], 0)


def test_what_a_dead_worker_had_goes_first_to_another_in_its_old_order() -> None:
    queue = queue_of(("a", 2), waiting=3)
    queue.assign()
    lost = queue.leave("a")
    assert ([one.id for one in lost.poison], sorted(one.id for one in lost.again)) == ([], [0, 1])
    queue.join("b", 2, 1)
    queue.granted("b", 3)
    assert assigned(queue) == [("b", 0), ("b", 1), ("b", 2)]


def test_what_ends_a_second_worker_is_not_tried_again() -> None:
    queue = queue_of(("a", 1), waiting=1)
    queue.assign()
    queue.leave("a")
    queue.join("b", 2, 1)
    queue.granted("b", 1)
    queue.assign()
    queue.started("b", 0)
    lost = queue.leave("b")
    assert [one.id for one in lost.poison] == [0]
    assert queue.waiting == 0


def test_what_did_not_run_yet_is_not_blamed_and_is_given_up_only_after_many_moves() -> None:
    queue = queue_of(("w0", 1), waiting=1)
    queue.assign()
    for number in range(MOVES_MAX):
        assert [one.id for one in queue.leave(f"w{number}").again] == [0]
        queue.join(f"w{number + 1}", 2, 1)
        queue.granted(f"w{number + 1}", 1)
        queue.assign()
    lost = queue.leave(f"w{MOVES_MAX}")
    assert ([one.id for one in lost.given_up], lost.again, lost.poison) == ([0], [], [])


def test_a_worker_that_leaves_in_good_health_casts_no_suspicion() -> None:
    queue = queue_of(("a", 1), waiting=1)
    queue.assign()
    queue.hand_back("a")
    for generation in ("b", "c"):
        queue.join(generation, 2, 1)
        queue.granted(generation, 1)
        assert assigned(queue) == [(generation, 0)]
        queue.started(generation, 0)
        lost = queue.leave(generation) if generation == "c" else None
        queue.hand_back(generation)
    assert lost is not None
    assert [one.id for one in lost.poison] == [0]


def test_a_recall_gives_back_only_what_is_unused() -> None:
    queue = queue_of(("a", 2), waiting=1)
    queue.assign()
    assert queue.recalled("a", 5) == 1
    assert queue.recalled("a", 5) == 0


def test_a_worker_can_be_kept_busy_by_a_gateway_that_has_places_with_it() -> None:
    queue = WorkQueue()
    assert queue.busy_with == 0
    queue.join("a", 8, 1)
    queue.join("b", 8, 1)
    queue.granted("a", 8)
    queue.granted("b", 8)
    assert queue.busy_with == 2
    queue.submit(work(1))
    queue.assign()
    assert queue.busy_with == 2, "what is in hand is a place, too"
    queue.recalled("b", 7)
    assert queue.busy_with == 2, "one place is enough for one run"
    queue.recalled("b", 1)
    assert queue.busy_with == 1, "others have all of its places"


def test_a_card_is_busy_with_all_it_can_hold() -> None:
    queue = WorkQueue()
    queue.join("a", 48, 48)
    queue.granted("a", 48)
    assert queue.busy_with == 48
