"""A picture that has the house to itself: how it is known, and that its worker is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.admission.quiet import Quiet
from gateway.admission.turnstile import Fare, Turnstile
from gateway.dispatching.dispatch import Dispatcher
from gateway.dispatching.work_queue import Work
from shared.deadline import Deadline
from shared.messages import Canary, CropHeader, ModelInfo, Request, Welcome
from shared.wire import decode_to_worker

FARE = Fare("flow", 0.01, False)
WELCOME = Welcome(
    "w", 0, 1, 8, 1, ModelInfo("n", "fp32", "CPU", 64, True, 1, True, "MIT", "0"), Canary(0.5, 0.4, [], 1, 0.1)
)


def test_a_house_is_quiet_while_pictures_mostly_meet_nobody() -> None:
    quiet, seen = Quiet(), []
    for others in (0, 0, *[1] * 7, 0, 0):
        quiet.came(others)
        quiet.left()
        seen.append(quiet.lasting)
    assert seen == [True] * 8 + [False] + [True] * 2


def test_who_came_first_has_met_the_second_too() -> None:
    quiet = Quiet()
    quiet.came(0)
    quiet.came(1)
    quiet.left()
    quiet.left()
    assert quiet.share == pytest.approx((7 / 8) ** 2)


async def test_the_turnstile_knows_when_one_picture_is_all_that_is_inside() -> None:
    turnstile = Turnstile(lambda _: 4, 2)
    assert not turnstile.alone
    await turnstile.enter(FARE)
    assert turnstile.alone
    await turnstile.enter(FARE)
    assert not turnstile.alone
    turnstile.leave(FARE)
    assert turnstile.alone
    for _ in range(8):  # each of them meets the one that stays
        await turnstile.enter(FARE)
        turnstile.leave(FARE)
    assert turnstile.inside == 1
    assert not turnstile.alone


class Told:
    """A link that remembers what was sent."""

    generation = "w"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def send(self, frames: list[Any]) -> None:
        message, _ = decode_to_worker([memoryview(bytes(frame)) for frame in frames])
        if isinstance(message, Request):
            self.requests.append(message)

    def close(self) -> None:
        """Nothing is open."""


def work(number: int, loop: asyncio.AbstractEventLoop, *, accompanied: bool = False) -> Work:
    crop, deadline = np.zeros((4, 4, 3), np.uint8), Deadline(loop.time() + 60)
    header = CropHeader(4, 4, 64, 1.0)
    return Work(number, (crop,), (header,), 0.5, 0.4, 0, 4, 4, deadline, accompanied=accompanied)


async def told_lone(*works: tuple[bool, bool]) -> list[bool]:
    """Of requests that are sent one after the other and not answered: whether the worker was told that they are lone.

    works: whether each is alone in the house, and whether others of its picture go with it.
    """
    loop, told, tasks = asyncio.get_running_loop(), Told(), []
    dispatcher = Dispatcher(Path("/nowhere"), "test")
    dispatcher.roster.known["w"] = SimpleNamespace(link=told, welcome=WELCOME)  # type: ignore[assignment]
    dispatcher.queue.join("w", WELCOME.capacity, WELCOME.busy_with)
    dispatcher.queue.granted("w", 8)
    for number, (alone, accompanied) in enumerate(works):
        dispatcher.alone = lambda alone=alone: alone
        tasks.append(asyncio.create_task(dispatcher.detect(work(number, loop, accompanied=accompanied))))
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await dispatcher.aclose()
    return [request.lone for request in told.requests]


async def test_a_worker_is_told_of_a_lone_picture_and_of_none_beside_another() -> None:
    """The second finds the first in hand."""
    assert await told_lone((True, False), (True, False), (False, False)) == [True, False, False]


async def test_looks_that_go_together_are_not_lone() -> None:
    """They run side by side, a core each."""
    assert await told_lone((True, True)) == [False]
