"""How long one request may take: the one owner of its deadline. Pure: `now` is an argument."""

from __future__ import annotations

import math

from shared import numerals
from shared.deadline import Deadline
from shared.errors import BadParameter

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

    def body_until(self, slowest_s: float, now: float) -> float:
        """Until when the rest of the body is waited for, which the least rate lets take so long."""
        return min(self.own.at, now + max(self._house_s, slowest_s))

    def body_is_here(self, now: float) -> None:
        """Our own time for a request begins when all of it has come."""
        self.full = Deadline.after(self._house_s, now)


def asked_s(sent: list[str]) -> float:
    """What the caller gives the whole request, in seconds: X-Request-Timeout-Ms, infinite for none. BadParameter."""
    given = {numerals.whole(text) for text in sent if numerals.stripped(text)}
    if not given:
        return math.inf
    milliseconds = given.pop()
    if given or milliseconds is None or not 1 <= milliseconds <= TIMEOUT_MS_MAX:
        raise BadParameter(f"X-Request-Timeout-Ms must be whole milliseconds from 1 to {TIMEOUT_MS_MAX}, sent once")
    return milliseconds / 1000
