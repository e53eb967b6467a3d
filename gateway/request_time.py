"""How long one request may take. Here alone its time runs: what waits within `for_body` and `in_time` has no clock."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect

from shared import numerals
from shared.deadline import Deadline
from shared.errors import BadParameter, DeadlineExceeded, ReceiveTimeout

#: A caller may shorten its own time, in milliseconds.
TIMEOUT_HEADER = "x-request-timeout-ms"
TIMEOUT_MS_MAX = 600_000


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

    @contextlib.asynccontextmanager
    async def for_body(self, slowest_s: float) -> AsyncIterator[None]:
        """Around the reading of the rest of the body, which the least rate lets take so long. ReceiveTimeout."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(self.own.at, loop.time() + max(self._house_s, slowest_s))):
                yield
        except TimeoutError:
            raise ReceiveTimeout("the body did not arrive in time; check the connection and try again") from None
        self.full = Deadline.after(self._house_s, loop.time())


@contextlib.asynccontextmanager
async def in_time(
    deadline: Deadline, client_left: asyncio.Future[None] | None = None, retry_s: Callable[[], int] = lambda: 1
) -> AsyncIterator[None]:
    """Around the work, which is cancelled at once when its time is over (DeadlineExceeded) or its client has left
    (ClientDisconnect). client_left: done then; where no connection of ours tells, the work goes on to its end.
    """
    work, over = asyncio.current_task(), False
    assert work is not None

    def stop(_: object) -> None:
        if not over:
            work.cancel()

    left = client_left or asyncio.get_running_loop().create_future()
    left.add_done_callback(stop)
    try:
        async with asyncio.timeout_at(deadline.at):
            yield
    except TimeoutError:
        seconds = retry_s()
        words = f"Server busy, the request's time was over; retry in {seconds} second{'s' * (seconds != 1)}"
        raise DeadlineExceeded(words, seconds) from None
    except asyncio.CancelledError:
        if left.done() and work.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        over = True
        left.remove_done_callback(stop)


def asked_s(sent: list[str]) -> float:
    """What the caller gives the whole request, in seconds: X-Request-Timeout-Ms, infinite for none. BadParameter."""
    given = {numerals.whole(text) for text in sent if numerals.stripped(text)}
    if not given:
        return math.inf
    milliseconds = given.pop()
    if given or milliseconds is None or not 1 <= milliseconds <= TIMEOUT_MS_MAX:
        raise BadParameter(f"X-Request-Timeout-Ms must be whole milliseconds from 1 to {TIMEOUT_MS_MAX}, sent once")
    return milliseconds / 1000
