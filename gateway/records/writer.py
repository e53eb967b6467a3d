"""The writer: commits changes in groups, beside the event loop. While one group is on its way, the next gathers.

So a lone one waits for its own commit alone, and under load many share one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.records.image import KeptImage
from gateway.records.job import KeptJob
from shared.errors import FaceApiError

QUEUE_MAX = 1000
GROUP_MAX = 100
#: With nothing to commit for so long, the database is let go of.
IDLE_S = 1.0


@dataclass(slots=True)
class Condition:
    """How it went with the database lately. ready: the last time it was asked, it did what it was asked."""

    ready: bool = True
    written: int = 0
    lost: int = 0
    unconfirmed: int = 0
    swept: int = 0
    repeated: int = 0


#: A job, or an image that is to be stored.
Change = KeptJob | KeptImage
Write = Callable[[Sequence[Change]], Awaitable[Sequence[bool]]]
Rest = Callable[[], Awaitable[None]]
Committed = asyncio.Future[bool]


@dataclass(slots=True)
class Writer:
    """write: commits all together, and says of each whether it was made; FaceApiError: none was. rest: lets go of what
    `write` keeps open. condition: shared with the sweeper.
    """

    write: Write
    rest: Rest
    condition: Condition
    _queue: deque[tuple[Change, Committed]] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False
    _resting: bool = True

    def hand_in(self, change: Change) -> Committed:
        """Done with whether it was committed; at once where too many wait."""
        committed: Committed = asyncio.get_running_loop().create_future()
        if len(self._queue) >= QUEUE_MAX or self._closing:
            self.condition.lost += 1
            committed.set_result(False)
        else:
            self._queue.append((change, committed))
            self._came.set()
        return committed

    async def round(self) -> None:
        """Waits until there is something, and commits all there is; or rests, when nothing comes."""
        try:
            async with asyncio.timeout(None if self._resting else IDLE_S):
                await self._came.wait()
        except TimeoutError:
            self._resting = True
            await self.rest()
            return
        self._resting = False
        while self._queue:
            await self._commit([self._queue.popleft() for _ in range(min(GROUP_MAX, len(self._queue)))])
        if not self._closing:
            self._came.clear()

    def close(self) -> None:
        """No more is taken; the round in hand commits what waits, and ends."""
        self._closing = True
        self._came.set()

    async def _commit(self, group: list[tuple[Change, Committed]]) -> None:
        made: Sequence[bool] | None = None
        try:
            made = await self.write([change for change, _ in group])
        except FaceApiError:
            pass  # told by the condition, and to those who wait
        finally:
            self.condition.ready = made is not None
            self._tell(group, made or [False] * len(group))

    def _tell(self, group: list[tuple[Change, Committed]], made: Sequence[bool]) -> None:
        jobs = [done for (change, _), done in zip(group, made, strict=True) if isinstance(change, KeptJob)]
        self.condition.written += sum(jobs)
        self.condition.lost += len(jobs) - sum(jobs)
        for (_, committed), done in zip(group, made, strict=True):
            if not committed.done():
                committed.set_result(done)
