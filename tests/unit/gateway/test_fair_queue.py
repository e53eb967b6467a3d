"""Whose turn it is: flows share the work equally, large pictures leave room, nobody starves."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.fair_queue import FairQueue
from gateway.admission.fare import LARGE_PASSES, LARGE_S, fare_of
from gateway.admission.turnstile import Fare, Turnstile, places_for
from gateway.pictures.headers.facts import Header


def all_of(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.take(large_too=True)) is not None:
        taken.append(item)
    return taken


def test_one_flow_is_served_in_its_own_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for name in "abc":
        queue.add(name, "flow", 1.0, large=False, now=0.0)
    assert all_of(queue) == ["a", "b", "c"]


def test_a_client_that_comes_late_does_not_wait_behind_a_bulk_of_another() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.add(f"bulk {number}", "bulk", 1.0, large=False, now=0.0)
    assert queue.take(large_too=True) == "bulk 0"
    queue.add("late", "other", 1.0, large=False, now=1.0)
    assert queue.take(large_too=True) == "late"


def test_flows_share_the_work_not_the_number_of_pictures() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(8):
        queue.add(f"heavy {number}", "heavy", 4.0, large=False, now=0.0)
    for number in range(8):
        queue.add(f"light {number}", "light", 1.0, large=False, now=0.0)
    first = all_of(queue)[:10]
    assert sum(name.startswith("light") for name in first) in (7, 8)
    assert sum(name.startswith("heavy") for name in first) >= 2


def test_a_flow_is_never_starved_however_much_others_bring() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("heavy", "heavy", 1.0, large=True, now=0.0)
    queue.add("next heavy", "heavy", 1.0, large=True, now=0.0)
    for number in range(100):
        queue.add(f"light {number}", "light", 0.05, large=False, now=0.0)
    order = all_of(queue)
    assert order.index("next heavy") < 30


def test_large_ones_wait_while_there_is_no_room_for_them_and_what_left_is_skipped() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("large", "a", 1.0, large=True, now=0.0)
    queue.add("small", "b", 1.0, large=False, now=2.0)
    queue.add("gone", "c", 0.1, large=False, now=3.0)
    assert queue.remove("gone")
    assert not queue.remove("gone")
    assert queue.oldest_since() == 0.0
    assert queue.take(large_too=False) == "small"
    assert queue.take(large_too=False) is None
    assert queue.take(large_too=True) == "large"
    assert (len(queue.waiting), queue.oldest_since()) == (0, None)


def test_a_picture_counts_as_large_by_what_it_takes_to_decode() -> None:
    small = fare_of(Header("jpeg", 1920, 1080), "client", 0.01)
    large = fare_of(Header("jpeg", 4000, 3000), "client", 0.01)
    assert (small.large, large.large) == (False, True)
    assert small.flow != large.flow
    assert large.cost_s > LARGE_S > small.cost_s > 0.01


def test_and_by_how_often_it_is_looked_at() -> None:
    fares = [
        fare_of(Header("jpeg", 640, 480), "client", 0.01, passes) for passes in (1, LARGE_PASSES, LARGE_PASSES + 1)
    ]
    assert [fare.large for fare in fares] == [False, False, True]


SMALL, LARGE = Fare("small", 0.01, large=False), Fare("large", 0.1, large=True)


async def inside(turnstile: Turnstile, fare: Fare, release: asyncio.Event) -> None:
    async with turnstile.turn(fare):
        await release.wait()


@pytest.mark.parametrize(
    ("house", "inside"), [(0, 4), (1, 4), (8, 4), (28, 4), (29, 5), (36, 12), (42, 18), (43, 18), (200, 18)]
)
def test_a_full_house_has_more_inside_than_is_enough_up_to_the_most_and_a_burst_has_not(
    house: int, inside: int
) -> None:
    assert places_for(house, 4, 18) == inside


def test_the_most_is_never_passed_even_where_less_is_enough() -> None:
    assert places_for(0, 6, 4) == 4


async def test_the_turnstile_lets_more_in_as_the_house_fills_and_keeps_those_that_came_first() -> None:
    turnstile, release = Turnstile(lambda house: places_for(house, 2, 5), 2), asyncio.Event()
    tasks, seen = [], []
    for _ in range(20):
        tasks.append(asyncio.create_task(inside(turnstile, SMALL, release)))
        await asyncio.sleep(0)
        seen.append((turnstile.inside, turnstile.waiting))
    assert seen[:3] == [(1, 0), (2, 0), (2, 1)]
    assert seen[13:17] == [(2, 12), (3, 12), (4, 12), (5, 12)]
    assert seen[-1] == (5, 15)
    release.set()
    await asyncio.gather(*tasks)
    assert (turnstile.inside, turnstile.waiting) == (0, 0)


async def test_the_turnstile_lets_so_many_in_and_the_next_when_one_leaves() -> None:
    turnstile, release = Turnstile(lambda _: 2, 2), asyncio.Event()
    tasks = [asyncio.create_task(inside(turnstile, SMALL, release)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (turnstile.inside, turnstile.waiting) == (2, 1)
    release.set()
    await asyncio.gather(*tasks)
    assert (turnstile.inside, turnstile.waiting) == (0, 0)


async def test_while_small_pictures_are_about_large_ones_leave_them_a_decoder() -> None:
    turnstile, release = Turnstile(lambda _: 6, 2), asyncio.Event()
    large = [asyncio.create_task(inside(turnstile, LARGE, release)) for _ in range(4)]
    await asyncio.sleep(0)
    assert turnstile.inside_large == 4, "without small ones they have all places"
    release.set()
    await asyncio.gather(*large)
    release.clear()
    small = asyncio.create_task(inside(turnstile, SMALL, release))
    large = [asyncio.create_task(inside(turnstile, LARGE, release)) for _ in range(4)]
    await asyncio.sleep(0)
    assert (turnstile.inside, turnstile.inside_large) == (2, 1)
    release.set()
    await asyncio.gather(small, *large)
    assert (turnstile.inside, turnstile.inside_large, turnstile.waiting) == (0, 0, 0)


async def test_who_leaves_or_runs_out_of_time_while_waiting_gives_up_the_turn() -> None:
    turnstile, release = Turnstile(lambda _: 1, 1), asyncio.Event()
    first = asyncio.create_task(inside(turnstile, SMALL, release))
    leaving = asyncio.create_task(inside(turnstile, SMALL, release))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), turnstile.turn(SMALL):
            pass
    assert (turnstile.inside, turnstile.waiting) == (1, 0)
    release.set()
    await first
    assert turnstile.inside == 0


async def test_a_turn_granted_to_somebody_who_leaves_at_that_moment_goes_to_the_next() -> None:
    turnstile, release = Turnstile(lambda _: 1, 1), asyncio.Event()
    first = asyncio.create_task(inside(turnstile, SMALL, release))
    second = asyncio.create_task(inside(turnstile, SMALL, asyncio.Event()))
    third = asyncio.create_task(inside(turnstile, SMALL, release))
    await asyncio.sleep(0)
    release.set()
    await first
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await third
    assert (turnstile.inside, turnstile.waiting) == (0, 0)
