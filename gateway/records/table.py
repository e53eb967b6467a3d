"""The table of jobs: write, page, read, delete, sweep. Blocking; `now` is an argument. It alone knows the SQL.

What has expired is nobody's any more, whether it was swept yet or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select

from gateway.keys.audit import Actor, write_entry
from gateway.records import image_table, once_table
from gateway.records.image import Doomed, KeptImage
from gateway.records.job import KeptJob, job_of, row_of
from gateway.records.once import Fulfilment
from gateway.stores.database import Database
from gateway.stores.tables import TABLES

JOBS = TABLES.jobs
#: Rows that are deleted in one transaction: others wait for it no longer than for one of their own.
SWEPT_TOGETHER_MAX = 500
#: Rounds of a sweep that has no loop.
_ROUNDS_MAX = 100


def write(database: Database, changes: Sequence[KeptJob | KeptImage]) -> list[bool]:
    """All in one transaction, and whether each was made: an image as pending; a job, whose image is stored with it.

    Not a job whose image was given up meanwhile, or that another has done in its place. StoreDown: none was.
    """
    images = [change for change in changes if isinstance(change, KeptImage)]
    jobs = [change for change in changes if isinstance(change, KeptJob)]
    with database.write(alone=False, often=True) as connection:
        image_table.add(connection, images)
        stored = image_table.now_stored(connection, [each for job in jobs for each in _named(job)])
        lost = {job.id for job in jobs if not _named(job) <= stored}
        for job in jobs:
            if job.fulfils and job.id not in lost and not _fulfilled(connection, job, job.fulfils):
                lost.add(job.id)
        if len(lost) < len(jobs):
            connection.execute(insert(JOBS), [row_of(job) for job in jobs if job.id not in lost])
    return [change.id not in lost for change in changes]


def _named(job: KeptJob) -> set[str]:
    """The ids of its images."""
    return {each for each in (job.image_id, job.original_id) if each}


def _fulfilled(connection: Connection, job: KeptJob, done: Fulfilment) -> bool:
    fulfilled = once_table.fulfil(connection, done, job.id, job.expires_at)
    if not fulfilled:
        image_table.doom(connection, image_table.of_job(job.id), image_table.OF_A_JOB_MAX, job.created_at)
    return fulfilled


def page(database: Database, key_id: str | None, before: str, limit: int, now: float) -> list[KeptJob]:
    """A key's jobs, or everybody's, newest first. before: the id of the last one already seen, or nothing."""
    query = select(JOBS).where(_alive(key_id, now)).order_by(JOBS.c.id.desc()).limit(limit)
    if before:
        query = query.where(JOBS.c.id < before)
    with database.read() as connection:
        return [job_of(dict(row)) for row in connection.execute(query).mappings()]


def one(database: Database, key_id: str | None, job_id: str, now: float) -> KeptJob | None:
    """key_id: None for whosever it is."""
    query = select(JOBS).where(_alive(key_id, now), JOBS.c.id == job_id)
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else job_of(dict(row))


def delete_one(
    database: Database, key_id: str, job_id: str, now: float, *, by: Actor | None = None
) -> list[Doomed] | None:
    """Its images, whose objects are to go now; None where there was no such job. by: who manages keys: noted."""
    mine = and_(_alive(key_id, now), JOBS.c.id == job_id)
    with database.write(alone=False) as connection:
        if connection.execute(select(JOBS.c.id).where(mine)).first() is None:
            return None
        # The image first, as everybody locks them: two that wait for one another would both be refused.
        doomed = image_table.doom(connection, image_table.of_job(job_id), image_table.OF_A_JOB_MAX, now)
        gone = forget(connection, [job_id])
        if gone and by is not None:
            write_entry(connection, by, "record deleted", f"job {job_id} of {key_id}", "", now)
    return doomed if gone else None


def sweep(database: Database, now: float) -> int:
    """Deletes the longest expired, a few; how many. Two that sweep at once never wait for one another's rows."""
    expired = select(JOBS.c.id).where(JOBS.c.expires_at <= now).order_by(JOBS.c.expires_at).limit(SWEPT_TOGETHER_MAX)
    with database.write(alone=False) as connection:
        # In two steps: PostgreSQL may run a locking subquery more than once, and delete more than the limit.
        ids = list(connection.execute(expired.with_for_update(skip_locked=True)).scalars())
        forget(connection, ids)
        once_table.sweep(connection, now, SWEPT_TOGETHER_MAX)
    return len(ids)


def forget(connection: Connection, ids: Sequence[str]) -> int:
    """Deletes these jobs and the answers that were kept with them; how many there were."""
    if not ids:
        return 0
    once_table.forget_jobs(connection, ids)
    return connection.execute(delete(JOBS).where(JOBS.c.id.in_(ids))).rowcount


def sweep_all(database: Database, now: float) -> None:
    """Everything that has expired: for services that keep no records any more."""
    for _ in range(_ROUNDS_MAX):
        if sweep(database, now) < SWEPT_TOGETHER_MAX:
            return


def _alive(key_id: str | None, now: float) -> Any:
    mine = () if key_id is None else (JOBS.c.key_id == key_id,)
    return and_(JOBS.c.expires_at > now, *mine)
