"""The writer: commits jobs in groups, beside the event loop. While one group is on its way, the next gathers.

So a lone job waits for its own commit alone, and under load many share one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.records.job import KeptJob
from shared.errors import FaceApiError

QUEUE_MAX = 1000
GROUP_MAX = 100


@dataclass(slots=True)
class Condition:
    """How it went with the database lately. ready: the last time it was asked, it did what it was asked."""

    ready: bool = True
    written: int = 0
    lost: int = 0
    unconfirmed: int = 0
    swept: int = 0


Insert = Callable[[Sequence[KeptJob]], Awaitable[None]]
Committed = asyncio.Future[bool]


@dataclass(slots=True)
class Writer:
    """insert: commits them all or none, FaceApiError. condition: shared with the sweeper."""

    insert: Insert
    condition: Condition
    _queue: deque[tuple[KeptJob, Committed]] = field(default_factory=deque)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False

    def hand_in(self, job: KeptJob) -> Committed:
        """Done with whether it was committed; at once where too many wait."""
        committed: Committed = asyncio.get_running_loop().create_future()
        if len(self._queue) >= QUEUE_MAX or self._closing:
            self.condition.lost += 1
            committed.set_result(False)
        else:
            self._queue.append((job, committed))
            self._came.set()
        return committed

    async def round(self) -> None:
        """Waits until there is something, and commits all there is."""
        await self._came.wait()
        while self._queue:
            await self._commit([self._queue.popleft() for _ in range(min(GROUP_MAX, len(self._queue)))])
        if not self._closing:
            self._came.clear()

    def close(self) -> None:
        """No more is taken; the round in hand commits what waits, and ends."""
        self._closing = True
        self._came.set()

    async def _commit(self, group: list[tuple[KeptJob, Committed]]) -> None:
        done = False
        try:
            await self.insert([job for job, _ in group])
            done = True
        except FaceApiError:
            pass  # told by the condition, and to those who wait
        finally:
            self._tell(group, done)

    def _tell(self, group: list[tuple[KeptJob, Committed]], done: bool) -> None:
        self.condition.ready = done
        self.condition.written += len(group) * done
        self.condition.lost += len(group) * (not done)
        for _, committed in group:
            if not committed.done():
                committed.set_result(done)
