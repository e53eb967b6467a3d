"""Turnstile: how many pictures are decoded and inferred at once, and who is next. The loop around FairQueue.

What waits, waits here as compressed bytes, where it can be cancelled, expired and seen; behind it stand as many as
keep the decoders and the workers busy, and more only in a full house (DECISIONS.md, "First come, first done").
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import msgspec

from gateway.admission.fair_queue import FairQueue
from gateway.admission.quiet import Quiet

#: A house with so many times what keeps everything busy is full.
FULL = 6
#: After a small picture was seen, large ones leave it a decoder for so long.
SMALL_ABOUT_S = 2.0


class Fare(msgspec.Struct, frozen=True):
    """Of one request: whose flow it belongs to, what it costs (seconds), whether it counts as large."""

    flow: Hashable
    cost_s: float
    large: bool


def places_for(house: int, enough: int, most: int) -> int:
    """How many may be inside when so many have come: what keeps everything busy; of a full house up to half.

    All that is inside shares the cores, and one more that is decoded delays those before it. But in a full house
    answers are cheaper in groups (`worker/outbox.py`), and a group needs company. A burst of a few is no full house.
    """
    return min(most, max(enough, min(house // 2, house - FULL * enough)))


@dataclass(slots=True)
class Turnstile:
    """places: how many may be inside when so many have come; decoders: how many of them can be decoded at once."""

    places: Callable[[int], int]
    decoders: int
    inside: int = 0
    inside_large: int = 0
    quiet: Quiet = field(default_factory=Quiet)
    _queue: FairQueue[asyncio.Future[None]] = field(default_factory=FairQueue)
    _large: dict[asyncio.Future[None], bool] = field(default_factory=dict)
    _small_seen: float = float("-inf")

    @property
    def waiting(self) -> int:
        return len(self._queue.waiting)

    @property
    def alone(self) -> bool:
        """Whether one picture is all that is inside, and will probably stay so."""
        return self.inside == 1 and self.quiet.lasting

    def oldest_wait_s(self, now: float) -> float:
        since = self._queue.oldest_since()
        return 0.0 if since is None else now - since

    def turn(self, fare: Fare) -> Turn:
        """Waits its turn, holds a place."""
        return Turn(self, fare)

    async def enter(self, fare: Fare) -> None:
        loop = asyncio.get_running_loop()
        if not fare.large:
            self._small_seen = loop.time()
        turn: asyncio.Future[None] = loop.create_future()
        self._large[turn] = fare.large
        self._queue.add(turn, fare.flow, fare.cost_s, large=fare.large, now=loop.time())
        self._let_in(loop.time())
        try:
            await turn
        except BaseException:
            if not self._queue.remove(turn) and turn.done() and not turn.cancelled():
                self.leave(fare)
            raise
        finally:
            del self._large[turn]

    def leave(self, fare: Fare) -> None:
        self.inside -= 1
        self.quiet.left()
        self.inside_large -= fare.large
        if self._queue.waiting:
            self._let_in(asyncio.get_running_loop().time())

    def _let_in(self, now: float) -> None:
        places = self.places(self.inside + len(self._queue.waiting))
        while self._queue.waiting and self.inside < places:
            turn = self._queue.take(large_too=self.inside_large < self._large_places(now))
            if turn is None:
                return
            if not turn.done():
                self.quiet.came(self.inside)
                self.inside += 1
                self.inside_large += self._large[turn]
                turn.set_result(None)

    def _large_places(self, now: float) -> int:
        if now - self._small_seen < SMALL_ABOUT_S:
            return max(1, self.decoders - 1)
        return self.places(self.inside + len(self._queue.waiting))


@dataclass(slots=True)
class Turn:
    """One request at the turnstile: `async with` waits its turn and holds its place."""

    turnstile: Turnstile
    fare: Fare

    async def __aenter__(self) -> None:
        await self.turnstile.enter(self.fare)

    async def __aexit__(self, *_ended: object) -> None:
        self.turnstile.leave(self.fare)
