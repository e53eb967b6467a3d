"""Erasure of jobs by key or by date, for people who manage keys: all that is there when it begins, and audited.

Works whether records are kept any more or not. Jobs of requests that are still under way are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, select

from gateway.keys.audit import Actor, write_entry
from gateway.keys.keeping import Keys
from gateway.keys.records import iso
from gateway.records.table import JOBS
from gateway.records.uuid7 import uuid7
from gateway.stores.database import Database
from shared.errors import BadParameter

#: Rows that are deleted in one transaction: others get their turn between two.
STEP = 1000


class Wanted(NamedTuple):
    """Whose, nobody's in particular where it is empty; and only those made before this moment, where there is one."""

    key_id: str = ""
    before: float | None = None

    def words(self) -> str:
        when = "" if self.before is None else f" made before {iso(self.before)}"
        return f"jobs of {self.key_id or 'all keys'}{when}"


def checked(key_id: str | None, before: str | None) -> Wanted:
    """BadParameter where neither is given, or the moment is none."""
    if not key_id and not before:
        raise BadParameter("give key_id, before or both: what is to be erased")
    return Wanted(key_id or "", _moment(before) if before else None)


async def erase(keys: Keys, wanted: Wanted, actor: Actor, now: float, audit_keep: int) -> int:
    """How many jobs were erased. StoreDown: some may have been; asked again, it goes on."""
    database, erased, done = keys.store.database, 0, False
    last = await keys.threads.call(lambda: begin(database, wanted, actor, now, audit_keep))
    while not done:
        step = await keys.threads.call(partial(erase_step, database, wanted, last, actor, now, erased))
        erased, done = erased + step, step < STEP
    return erased


def begin(database: Database, wanted: Wanted, actor: Actor, now: float, audit_keep: int) -> str:
    """Notes that it was asked; the id of the newest job it is about, so that it has an end while others come."""
    with database.write() as connection:
        write_entry(connection, actor, "erasure asked", wanted.words(), "", now, keep=audit_keep)
        return connection.execute(select(func.max(JOBS.c.id)).where(_which(wanted))).scalar_one() or ""


def erase_step(database: Database, wanted: Wanted, last: str, actor: Actor, now: float, erased: int) -> int:
    """How many it was; the last step notes them all, in its own transaction. erased: by the steps before."""
    query = select(JOBS.c.id).where(_which(wanted), JOBS.c.id <= last).order_by(JOBS.c.id).limit(STEP)
    with database.write(alone=False) as connection:
        ids = list(connection.execute(query).scalars())
        _delete(connection, ids)
        if len(ids) < STEP:
            write_entry(connection, actor, "jobs erased", wanted.words(), f"{erased + len(ids)} of them", now)
    return len(ids)


def _delete(connection: Connection, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(delete(JOBS).where(JOBS.c.id.in_(ids)))


def _which(wanted: Wanted) -> Any:
    """By id and not by time: ids begin with it, and have an index."""
    mine = [JOBS.c.key_id == wanted.key_id] if wanted.key_id else []
    early = [] if wanted.before is None else [JOBS.c.id < _first_id(wanted.before)]
    return and_(True, *mine, *early)


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
