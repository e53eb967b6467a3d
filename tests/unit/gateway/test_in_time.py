"""A request's work ends with its answer, its client or its time, whichever comes first."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.request_time import in_time
from shared.deadline import Deadline
from shared.errors import DeadlineExceeded

LONG_S = 60.0


class Work:
    """What a request does until `answer` is set. `ended`: how it ended."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.answer: asyncio.Future[Response] = self.loop.create_future()
        self.client_left: asyncio.Future[None] = self.loop.create_future()
        self.ended = ""

    async def look(self) -> Response:
        self.begun.set()
        try:
            response = await self.answer
        except asyncio.CancelledError:
            self.ended = "stopped"
            raise
        self.ended = "answered"
        return response

    def start(self, seconds: float = LONG_S) -> asyncio.Task[Response]:
        return self.loop.create_task(self.look_in_time(Deadline.after(seconds, self.loop.time())))

    async def look_in_time(self, deadline: Deadline) -> Response:
        async with in_time(deadline, self.client_left, lambda: 3):
            return await self.look()


async def begun() -> tuple[Work, asyncio.Task[Response]]:
    work = Work()
    task = work.start()
    await work.begun.wait()
    return work, task


async def test_an_answer_in_time_is_the_answer() -> None:
    work, task = await begun()
    response = Response()
    work.answer.set_result(response)
    assert await task is response


async def test_a_client_that_left_stops_the_work() -> None:
    work, task = await begun()
    work.client_left.set_result(None)
    with pytest.raises(ClientDisconnect):
        await task
    assert work.ended == "stopped"


async def test_work_for_a_client_that_had_left_before_stops_too() -> None:
    work = Work()
    work.client_left.set_result(None)
    with pytest.raises(ClientDisconnect):
        await work.start()
    assert work.ended == "stopped"


async def test_a_client_that_leaves_after_the_answer_disturbs_nobody() -> None:
    work = Work()
    work.answer.set_result(Response())

    async def whole_request() -> str:
        await work.look_in_time(Deadline(float("inf")))
        work.client_left.set_result(None)
        await asyncio.sleep(0)
        return "its books are closed"

    assert await whole_request() == "its books are closed"


async def test_time_that_is_over_stops_the_work_and_says_when_to_come_again() -> None:
    work = Work()
    with pytest.raises(DeadlineExceeded, match="retry in 3 seconds"):
        await work.start(seconds=0.0)


async def test_whoever_cancels_the_request_is_heard() -> None:
    work, task = await begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == "stopped"
