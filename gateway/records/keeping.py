"""The records as one gateway process keeps them: jobs in, pages out, and the loops that write and sweep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.records import table
from gateway.records.job import KeptJob
from gateway.records.writer import Condition, Writer
from gateway.stores.database import Database, open_database
from gateway.stores.threads import StoreThreads
from shared.errors import FaceApiError, NotFound, StoreDown
from shared.settings import Settings
from shared.supervision import Loops

#: best_effort waits so long for a commit, then answers without an id.
CONFIRM_S_MAX = 0.25
#: A commit that takes longer is given up.
COMMIT_S_MAX = 5.0
#: How often is swept; a full sweep is followed by the next, and a database that is gone is asked again soon.
SWEEP_S, NEXT_SWEEP_S, RETRY_S = 30.0, 0.05, 1.0

Result = TypeVar("Result")


@dataclass(slots=True)
class Records:
    """required: no answer without its job. ttl_s: how long a job is kept. now: wall-clock time."""

    required: bool
    ttl_s: float
    database: Database
    threads: StoreThreads
    now: Callable[[], float] = time.time
    condition: Condition = field(default_factory=Condition)
    writer: Writer = field(init=False)
    _sweep_pause_s: float = SWEEP_S

    def __post_init__(self) -> None:
        self.writer = Writer(self._insert, self.condition)

    async def keep(self, job: KeptJob) -> bool:
        """Whether the job is committed. required: StoreDown where it is not; best_effort: False, and soon."""
        committed = self.writer.hand_in(job)
        if self.required:
            if not await committed:
                raise StoreDown("This request cannot be recorded, as FACE_API_RECORDS=required asks")
            return True
        if self.condition.ready:  # else the job is a probe that nobody waits for
            await asyncio.wait({committed}, timeout=CONFIRM_S_MAX)
        confirmed = committed.done() and committed.result()
        self.condition.unconfirmed += not confirmed
        return confirmed

    def events(self) -> dict[str, int]:
        """What became of jobs since the start, as metrics tell it."""
        told = self.condition
        return {
            "jobs_written": told.written,
            "jobs_lost": told.lost,
            "jobs_unconfirmed": told.unconfirmed,
            "jobs_swept": told.swept,
        }

    async def page(self, key_id: str, before: str, limit: int) -> list[KeptJob]:
        """A key's jobs, newest first. before: the id of the last one already seen, or nothing. StoreDown."""
        return await self._asked(lambda: table.page(self.database, key_id, before, limit, self.now()))

    async def one(self, key_id: str, job_id: str) -> KeptJob:
        """NotFound, also for another key's; StoreDown."""
        job = await self._asked(lambda: table.one(self.database, key_id, job_id, self.now()))
        if job is None:
            raise _no_such()
        return job

    async def delete(self, key_id: str, job_id: str) -> None:
        """NotFound, also for another key's; StoreDown."""
        if not await self._asked(lambda: table.delete_one(self.database, key_id, job_id, self.now())):
            raise _no_such()

    async def sweep(self) -> None:
        """One round: the longest expired are deleted. It also finds out whether the database can be written."""
        try:
            swept = await self._asked(lambda: table.sweep(self.database, self.now()))
        except FaceApiError:  # told by the condition
            self.condition.ready, self._sweep_pause_s = False, RETRY_S
            return
        self.condition.ready = True
        self.condition.swept += swept
        self._sweep_pause_s = NEXT_SWEEP_S if swept == table.SWEPT_TOGETHER_MAX else SWEEP_S

    def sweep_pause_s(self) -> float:
        return self._sweep_pause_s if self.condition.ready else RETRY_S

    async def _insert(self, jobs: Sequence[KeptJob]) -> None:
        await self._asked(partial(table.insert_jobs, self.database, jobs))

    async def _asked(self, work: Callable[[], Result]) -> Result:
        return await self.threads.call(work, COMMIT_S_MAX)


@contextlib.asynccontextmanager
async def open_records(settings: Settings, loops: Loops) -> AsyncIterator[Records | None]:
    """None where the settings want none. The tables are there: whoever opened the keys made them.

    With connections of its own, so that a hurry here keeps nobody from looking up keys.
    """
    if settings.records == "off":
        yield None
        return
    async with contextlib.AsyncExitStack() as stack:
        database, threads = open_database(settings), StoreThreads()
        stack.callback(database.close)
        stack.callback(threads.close)
        records = Records(settings.records == "required", settings.records_ttl * 3600, database, threads)
        await records.sweep()
        stack.push_async_callback(loops.keep("jobs", records.writer.round, 0.0, last_round_s=COMMIT_S_MAX).end)
        stack.callback(records.writer.close)  # first, so that the round in hand has an end
        stack.push_async_callback(loops.keep("jobs_sweep", records.sweep, records.sweep_pause_s).end)
        yield records


def _no_such() -> NotFound:
    return NotFound("No such job: it expired, was deleted, or is another key's")
