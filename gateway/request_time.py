"""How long one request may take. Here alone its time runs: what waits within `for_body` and `in_time` has no clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType

from starlette.requests import ClientDisconnect

from shared import numerals
from shared.deadline import Deadline
from shared.errors import BadParameter, DeadlineExceeded, ReceiveTimeout

#: A caller may shorten its own time, in milliseconds.
TIMEOUT_HEADER = "x-request-timeout-ms"
TIMEOUT_MS_MAX = 600_000


class Timed:
    """Around work that is cancelled at once when its time is over, which is raised as `late` says, or its client has
    left (ClientDisconnect). client_left: done then; where no connection of ours tells, the work goes on to its end.
    """

    __slots__ = ("_at", "_cancelled_before", "_late", "_left", "_stopped", "_timer", "_work")

    def __init__(
        self, at: float, late: Callable[[], Exception], client_left: asyncio.Future[None] | None = None
    ) -> None:
        self._at, self._late, self._left = at, late, client_left
        self._stopped = False

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        work = asyncio.current_task(loop)
        assert work is not None
        self._work, self._cancelled_before = work, work.cancelling()
        self._timer = loop.call_at(self._at, self._stop)
        if self._left is not None:
            self._left.add_done_callback(self._stop)

    def _stop(self, _left: object = None) -> None:
        if not self._stopped:
            self._stopped = True
            self._work.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._left is not None:
            self._left.remove_done_callback(self._stop)
        if not self._stopped:
            self._stopped = True  # what the loop is about to call already comes too late
        elif self._work.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise ClientDisconnect if self._left is not None and self._left.done() else self._late() from None


class RequestTime:
    """own: until when its caller waits, body included. full: until when the house would; anew when the body is here."""

    __slots__ = ("_house_s", "full", "own")

    def __init__(self, house_s: float, caller_s: float, now: float) -> None:
        self._house_s = house_s
        self.own = Deadline.after(caller_s, now)
        self.full = Deadline.after(house_s, now)

    @property
    def deadline(self) -> Deadline:
        """Whichever comes first."""
        return min(self.own, self.full)

    def for_body(self, slowest_s: float, now: float) -> Timed:
        """Around the reading of the rest of the body, which the least rate lets take so long. ReceiveTimeout."""
        return Timed(min(self.own.at, now + max(self._house_s, slowest_s)), _body_late)

    def body_is_here(self, now: float) -> None:
        self.full = Deadline.after(self._house_s, now)


def in_time(
    deadline: Deadline, client_left: asyncio.Future[None] | None = None, retry_s: Callable[[], int] = lambda: 1
) -> Timed:
    """Around the work. DeadlineExceeded, ClientDisconnect."""
    return Timed(deadline.at, lambda: _too_late(retry_s()), client_left)


def _too_late(seconds: int) -> DeadlineExceeded:
    words = f"Server busy, the request's time was over; retry in {seconds} second{'s' * (seconds != 1)}"
    return DeadlineExceeded(words, seconds)


def _body_late() -> ReceiveTimeout:
    return ReceiveTimeout("the body did not arrive in time; check the connection and try again")


def asked_s(sent: list[str]) -> float:
    """What the caller gives the whole request, in seconds: X-Request-Timeout-Ms, infinite for none. BadParameter."""
    given = {numerals.whole(text) for text in sent if numerals.stripped(text)}
    if not given:
        return math.inf
    milliseconds = given.pop()
    if given or milliseconds is None or not 1 <= milliseconds <= TIMEOUT_MS_MAX:
        raise BadParameter(f"X-Request-Timeout-Ms must be whole milliseconds from 1 to {TIMEOUT_MS_MAX}, sent once")
    return milliseconds / 1000
