"""The records as one gateway process keeps them: jobs and pictures in, jobs out, the loops that write and sweep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from gateway.records import once_table, table
from gateway.records.comparing import LOOK_S, compare_daily
from gateway.records.image import KeptImage, Kind, ToKeep, pending
from gateway.records.images import Images
from gateway.records.job import KeptJob
from gateway.records.once import Before, Once
from gateway.records.storage import Storage
from gateway.records.writer import Change, Condition, Writer
from gateway.stores.database import Database, open_database
from gateway.stores.storage_url import open_objects
from gateway.stores.threads import StoreThreads
from shared.errors import FaceApiError, NotFound, StorageDown, StoreDown
from shared.settings import Settings
from shared.supervision import Loops

#: best_effort waits so long for a commit, then answers without an id.
CONFIRM_S_MAX = 0.25
#: The same for a job and its picture, whose storage is often farther away.
CONFIRM_BOTH_S_MAX = 1.0
#: A commit that takes longer is given up.
COMMIT_S_MAX = 5.0
#: How often is swept; a full sweep is followed by the next, and a database that is gone is asked again soon.
SWEEP_S, NEXT_SWEEP_S, RETRY_S = 30.0, 0.05, 1.0

HOUR_S = 3600.0
ASKED = "as FACE_API_RECORDS=required asks"

Result = TypeVar("Result")


class Committed(NamedTuple):
    """What of an answer is in the database, and so may be told of: its job, and all of its pictures or none."""

    job: bool
    image_id: str | None = None
    original_id: str | None = None

    @property
    def pictures(self) -> bool:
        return bool(self.image_id or self.original_id)


@dataclass(slots=True)
class Records:
    """required: no answer without its job and its picture. ttl_s: how long they are kept. now: wall-clock time.
    images: where pictures are kept beside jobs.
    """

    required: bool
    ttl_s: float
    database: Database
    threads: StoreThreads
    images: Images | None = None
    now: Callable[[], float] = time.time
    condition: Condition = field(default_factory=Condition)
    writer: Writer = field(init=False)
    _sweep_pause_s: float = SWEEP_S
    _under_way: set[asyncio.Task[Committed]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.writer = Writer(self._write, self._rest, self.condition)

    async def keep(self, job: KeptJob, *pictures: ToKeep, alone: KeptJob | None = None) -> Committed:
        """What of them is committed. required: all, or StoreDown, StorageDown; best_effort: perhaps less, and soon.

        alone: the job where its pictures cannot be kept, if that makes a difference.
        """
        images, alone = self.images, alone or job
        if not pictures or images is None:
            return Committed(await self._alone(alone))
        if not self.required and not (self.condition.ready and images.storage.condition.ready):
            images.storage.condition.lost += 1
            return Committed(await self._alone(alone))
        task = asyncio.create_task(self._both(job, pictures, alone, images))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task}, timeout=None if self.required else CONFIRM_BOTH_S_MAX)
        committed = task.result() if task.done() else Committed(False)
        if self.required and not committed.pictures:
            raise StorageDown(f"This picture cannot be kept, {ASKED}")
        self.condition.unconfirmed += not committed.job
        images.storage.condition.unconfirmed += not committed.pictures
        return committed

    async def _alone(self, job: KeptJob) -> bool:
        committed = self.writer.hand_in(job)
        if self.required:
            if not await committed:
                raise StoreDown(f"This request cannot be recorded, {ASKED}")
            return True
        if self.condition.ready:  # else the job is a probe that nobody waits for
            await asyncio.wait({committed}, timeout=CONFIRM_S_MAX)
        confirmed = committed.done() and committed.result()
        self.condition.unconfirmed += not confirmed
        return confirmed

    async def _both(self, job: KeptJob, pictures: Sequence[ToKeep], alone: KeptJob, images: Images) -> Committed:
        """In the order that leaves nothing behind: rows as pending, objects, and with the job the rows as stored.

        What is cut off in between is the sweeper's.
        """
        try:
            with images.storage.room(sum(len(picture.data) for picture in pictures)) as room:
                rows = [pending(picture, job, time.time_ns()) for picture in pictures]
                if not all(await asyncio.gather(*map(self.writer.hand_in, rows))):
                    return Committed(False)
                for row, picture in zip(rows, pictures, strict=True):
                    await images.put(row, picture.data, room)
                whole = _naming(job, rows)
                both = await self.writer.hand_in(whole)
                return Committed(both, whole.image_id, whole.original_id) if both else Committed(False)
        except StorageDown:
            return Committed(not self.required and await self.writer.hand_in(alone))

    async def begin(self, once: Once, left_s: float) -> Before | None:
        """None where it is the caller's to do, for so long; else what is known of it. StoreDown."""
        if not (self.required or self.condition.ready):
            raise StoreDown  # as with a commit: nobody waits for it
        now, patience_s = self.now(), COMMIT_S_MAX if self.required else CONFIRM_S_MAX
        return await self.threads.call(lambda: once_table.begin(self.database, once, now, now + left_s), patience_s)

    async def give_up(self, once: Once) -> None:
        """The next one may do it. StoreDown."""
        await self._asked(lambda: once_table.give_up(self.database, once))

    async def finish(self) -> None:
        """What is under way is waited for, a while."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=COMMIT_S_MAX)

    def events(self) -> dict[str, int]:
        """What became of jobs since the start, as metrics tell it; `Images.events` of pictures."""
        told = self.condition
        return {
            "jobs_written": told.written,
            "jobs_lost": told.lost,
            "jobs_unconfirmed": told.unconfirmed,
            "jobs_swept": told.swept,
            "jobs_repeated": told.repeated,
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

    async def delete(self, key_id: str, job_id: str) -> bool:
        """With its image: whether that is gone already; else it is as soon as the storage is back. NotFound, also for
        another key's; StoreDown.
        """
        doomed = await self._asked(lambda: table.delete_one(self.database, key_id, job_id, self.now()))
        if doomed is None:
            raise _no_such()
        return not doomed or (self.images is not None and await self.images.tried(doomed))

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

    async def _write(self, changes: Sequence[Change]) -> list[bool]:
        return await self._asked(partial(table.write, self.database, changes))

    async def _rest(self) -> None:
        with contextlib.suppress(FaceApiError):  # told by the next commit
            await self._asked(self.database.rest)

    async def _asked(self, work: Callable[[], Result]) -> Result:
        return await self.threads.call(work, COMMIT_S_MAX)


class Kept(NamedTuple):
    """images may be there without records: none is made any more, those that are there end."""

    records: Records | None
    images: Images | None


@contextlib.asynccontextmanager
async def open_records(settings: Settings, loops: Loops) -> AsyncIterator[Kept]:
    """What the settings want. The tables are there: whoever opened the keys made them. ConfigurationError.

    With connections of its own, so that a hurry here keeps nobody from looking up keys.
    """
    objects = open_objects(settings)
    if settings.records == "off" and objects is None:
        yield Kept(None, None)
        return
    async with contextlib.AsyncExitStack() as stack:
        database, threads = open_database(settings), StoreThreads()
        stack.callback(database.close)
        stack.callback(threads.close)
        images = None
        if objects is not None:
            storage = Storage(objects, settings.storage_queue_bytes)
            ttl_s, originals = settings.records_ttl * HOUR_S, settings.storage_originals
            images = Images(storage, database, threads, ttl_s, originals)
            stack.callback(images.storage.threads.close)
            await images.sweep()
            stack.push_async_callback(loops.keep("images_sweep", images.sweep, images.sweep_pause_s, rested=True).end)
            stack.push_async_callback(loops.keep("images_compare", partial(compare_daily, images), LOOK_S).end)
        if settings.records == "off":
            yield Kept(None, images)
            return
        records = Records(settings.records == "required", settings.records_ttl * HOUR_S, database, threads, images)
        await records.sweep()
        stack.push_async_callback(loops.keep("jobs", records.writer.round, 0.0, last_round_s=COMMIT_S_MAX).end)
        stack.callback(records.writer.close)  # first, so that the round in hand has an end
        stack.push_async_callback(loops.keep("jobs_sweep", records.sweep, records.sweep_pause_s, rested=True).end)
        stack.push_async_callback(records.finish)
        yield Kept(records, images)


def _naming(job: KeptJob, rows: Sequence[KeptImage]) -> KeptJob:
    """The job with the ids of its images."""
    ids: dict[Kind, str] = {row.kind: row.id for row in rows}
    original_id = ids.get("original")
    image_id = ids.get("masked", original_id if job.endpoint == "detect" else None)
    return msgspec.structs.replace(job, image_id=image_id, original_id=original_id)


def _no_such() -> NotFound:
    return NotFound("No such job: it expired, was deleted, or is another key's")
