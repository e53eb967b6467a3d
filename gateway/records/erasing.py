"""Erasure of jobs and images by key or by date, for people who manage keys: all that is there when it begins, audited.

Works whether records are kept any more or not. What requests leave that are still under way is not among it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Table, and_, func, select

from gateway.keys.audit import Actor, write_entry
from gateway.keys.keeping import Keys
from gateway.keys.records import iso
from gateway.records import comparing, image_table
from gateway.records.image import PENDING_S, Doomed
from gateway.records.image_table import IMAGES
from gateway.records.images import Images
from gateway.records.table import JOBS, forget
from gateway.records.uuid7 import uuid7
from gateway.stores.database import Database
from shared.errors import BadParameter

#: Rows that are deleted in one transaction: others get their turn between two.
STEP = 1000
#: The same of images, whose objects are deleted in between.
STEP_IMAGES = 200


class Wanted(NamedTuple):
    """Whose, nobody's in particular where it is empty; and only those made before this moment, where there is one."""

    key_id: str = ""
    before: float | None = None

    def words(self) -> str:
        when = "" if self.before is None else f" made before {iso(self.before)}"
        return f"records of {self.key_id or 'all keys'}{when}"


def checked(key_id: str | None, before: str | None) -> Wanted:
    """BadParameter where neither is given, or the moment is none."""
    if not key_id and not before:
        raise BadParameter("give key_id, before or both: what is to be erased")
    return Wanted(key_id or "", _moment(before) if before else None)


class Erased(msgspec.Struct, frozen=True):
    """How many."""

    jobs: int
    images: int


async def erase(keys: Keys, images: Images | None, wanted: Wanted, actor: Actor, now: float, audit_keep: int) -> Erased:
    """First every image with its object, then the jobs; of all keys, pictures that have lost their rows too.
    StoreDown, StorageDown: some may have been; asked again, it goes on. images: None where no storage is known,
    BadParameter then where it would need one.
    """
    database, call = keys.store.database, keys.threads.call
    last = await call(lambda: begin(database, wanted, actor, now, audit_keep))
    if images is None and await call(lambda: image_table.any_of(database, _images(wanted, last))):
        raise BadParameter("pictures were kept: set FACE_API_STORAGE_URL as it was, so that they can be erased too")
    erased_images = 0
    while images is not None and (doomed := await call(partial(doom_step, database, wanted, last, now))):
        await images.finish(doomed)
        erased_images += len(doomed)
    if images is not None and wanted.before is not None and not wanted.key_id:
        erased_images += await comparing.erase_alone(images, wanted.before)
    jobs, done = 0, False
    while not done:
        so_far = Erased(jobs, erased_images)
        step = await call(partial(erase_step, database, wanted, last, actor, now, so_far))
        jobs, done = jobs + step, step < STEP
    return Erased(jobs, erased_images)


def count(database: Database, wanted: Wanted) -> Erased:
    """How many it would be now. StoreDown."""
    with database.read() as connection:
        return Erased(
            *(
                int(connection.execute(select(func.count()).select_from(each).where(_which(each, wanted))).scalar_one())
                for each in (JOBS, IMAGES)
            )
        )


def begin(database: Database, wanted: Wanted, actor: Actor, now: float, audit_keep: int) -> str:
    """Notes that it was asked; the newest id it is about, so that it has an end while others come."""
    with database.write() as connection:
        write_entry(connection, actor, "erasure asked", wanted.words(), "", now, keep=audit_keep)
        newest = [
            connection.execute(select(func.max(table.c.id)).where(_which(table, wanted))).scalar_one() or ""
            for table in (JOBS, IMAGES)
        ]
    return max(newest)


def doom_step(database: Database, wanted: Wanted, last: str, now: float) -> list[Doomed]:
    """Images that nobody sees from now on, and whose objects are to be deleted; none when all are."""
    with database.write(alone=False) as connection:
        return image_table.doom(connection, _images(wanted, last), STEP_IMAGES, now)


def erase_step(database: Database, wanted: Wanted, last: str, actor: Actor, now: float, so_far: Erased) -> int:
    """How many jobs it was; the last step notes them all, in its own transaction. so_far: by the steps before."""
    query = select(JOBS.c.id).where(_which(JOBS, wanted, last)).order_by(JOBS.c.id).limit(STEP)
    with database.write(alone=False) as connection:
        ids = list(connection.execute(query).scalars())
        forget(connection, ids)
        if len(ids) < STEP:
            words = f"{so_far.jobs + len(ids)} jobs, {so_far.images} images"
            write_entry(connection, actor, "records erased", wanted.words(), words, now)
    return len(ids)


def _which(table: Table, wanted: Wanted, last: str | None = None) -> Any:
    """By id and not by time: ids begin with it, and have an index. last: none beyond."""
    mine = [table.c.key_id == wanted.key_id] if wanted.key_id else []
    early = [] if wanted.before is None else _made_before(table, wanted.before)
    known = [] if last is None else [table.c.id <= last]
    return and_(True, *mine, *early, *known)


def _made_before(table: Table, moment: float) -> list[Any]:
    """An image goes by its job's time, and is younger than that: a picture must not outlive its job by a moment."""
    if table is JOBS:
        return [table.c.id < _first_id(moment)]
    return [table.c.id < _first_id(moment + PENDING_S), table.c.job_id < _first_id(moment)]


def _images(wanted: Wanted, last: str) -> Any:
    """Not those under way: their objects could come after their rows are gone."""
    return and_(_which(IMAGES, wanted, last), IMAGES.c.state != "pending")


def _first_id(moment: float) -> str:
    """No job made at this moment or later has a lower id."""
    made = str(uuid7(int(moment * 1000) * 1_000_000, 0))
    return made[:13] + "-0000-0000-000000000000"


def _moment(text: str) -> float:
    """Seconds of `2026-11-28` (its beginning in UTC) or `2026-11-28T12:00:00Z`."""
    words = f"before={text[:40]!r} is no moment; write 2026-11-28 or 2026-11-28T12:00:00Z"
    try:
        read = datetime.fromisoformat(text)
        if len(text) == len("2026-11-28"):
            read = read.replace(tzinfo=UTC)
        if read.tzinfo is None:
            raise BadParameter(words)
        seconds = read.timestamp()
    except (ValueError, OverflowError):
        raise BadParameter(words) from None
    if not 0 <= seconds < 2**38:
        raise BadParameter(words)
    return seconds
