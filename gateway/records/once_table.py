"""The table of requests that are done once: begin, fulfil, give up, sweep. Blocking. It alone knows the SQL.

A row is there from before the work begins; with the job it gets its answer, and goes with the job. One whose holder
died goes when its time is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, select, text, update

from gateway.records.once import Before, Fulfilment, Once
from gateway.stores.database import Database
from gateway.stores.tables import TABLES

ONCE = TABLES.once
_CLAIM = text(
    "INSERT INTO once (name, fingerprint, holder, until) VALUES (:name, :fingerprint, :holder, :until) "
    "ON CONFLICT (name) DO NOTHING"
)


def begin(database: Database, once: Once, now: float, until: float) -> Before | None:
    """None where it is the caller's to do, until then; else what is known of it. StoreDown."""
    claim = {"name": once.name, "fingerprint": once.fingerprint, "holder": once.holder, "until": until}
    known = select(ONCE.c.fingerprint, ONCE.c.job_id, ONCE.c.answer).where(ONCE.c.name == once.name)
    with database.write(alone=False) as connection:
        connection.execute(delete(ONCE).where(ONCE.c.name == once.name, ONCE.c.until <= now))
        if connection.execute(_CLAIM, claim).rowcount:
            return None
        row = connection.execute(known).first()
    return Before(once.fingerprint, None, None) if row is None else Before(*row)  # it was given up this moment


def fulfil(connection: Connection, done: Fulfilment, job_id: str, expires_at: float) -> bool:
    """Whether it was still its holder's to do."""
    values = {"job_id": job_id, "answer": done.answer, "until": expires_at}
    return connection.execute(update(ONCE).where(_held(done.once)).values(values)).rowcount > 0


def give_up(database: Database, once: Once) -> None:
    """The next one may do it. StoreDown."""
    with database.write(alone=False) as connection:
        connection.execute(delete(ONCE).where(_held(once)))


def forget_jobs(connection: Connection, ids: Sequence[str]) -> None:
    """Their jobs are deleted."""
    connection.execute(delete(ONCE).where(ONCE.c.job_id.in_(ids)))


def sweep(connection: Connection, now: float, limit: int) -> None:
    """Those whose time is up, a few."""
    over = select(ONCE.c.name).where(ONCE.c.until <= now).limit(limit).with_for_update(skip_locked=True)
    names = list(connection.execute(over).scalars())
    if names:
        connection.execute(delete(ONCE).where(ONCE.c.name.in_(names)))


def _held(once: Once) -> Any:
    return and_(ONCE.c.name == once.name, ONCE.c.holder == once.holder, ONCE.c.job_id.is_(None))
