"""The table of images: page, read, doom, take what is due, forget. Blocking; `now` is an argument. It alone knows the
SQL.

A row goes from pending to stored to deleting to nothing, or leaves some out; its object is there no longer than it.
Who dooms a row has it in hand for HOLD_S: then the sweeper takes it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, null, select, update

from gateway.records.image import Doomed, KeptImage
from gateway.stores.database import Database
from gateway.stores.tables import TABLES

IMAGES = TABLES.images
HOLD_S = 60.0
#: Images of one job.
OF_A_JOB_MAX = 2
#: Images that are swept in one step.
SWEPT_TOGETHER_MAX = 100


def add(connection: Connection, images: Sequence[KeptImage]) -> None:
    if images:
        connection.execute(insert(IMAGES), [_row_of(image) for image in images])


def now_stored(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of them whose objects are there from now on; not those that were given up meanwhile."""
    if not ids:
        return set()
    change = update(IMAGES).where(IMAGES.c.id.in_(ids), IMAGES.c.state == "pending")
    stored = change.values(state="stored", due_at=IMAGES.c.expires_at).returning(IMAGES.c.id)
    return set(connection.execute(stored).scalars())


def page(database: Database, key_id: str, before: str, limit: int, now: float) -> list[KeptImage]:
    """A key's images, newest first. before: the id of the last one already seen, or nothing."""
    query = select(IMAGES).where(alive(key_id, now)).order_by(IMAGES.c.id.desc()).limit(limit)
    if before:
        query = query.where(IMAGES.c.id < before)
    with database.read() as connection:
        return [KeptImage(**row) for row in connection.execute(query).mappings()]


def one(database: Database, key_id: str, image_id: str, now: float) -> KeptImage | None:
    query = select(IMAGES).where(alive(key_id, now), IMAGES.c.id == image_id)
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else KeptImage(**row)


def doom_one(database: Database, key_id: str, image_id: str, now: float) -> list[Doomed]:
    """It, or nothing where there is no such one."""
    with database.write(alone=False) as connection:
        return doom(connection, and_(alive(key_id, now), IMAGES.c.id == image_id), 1, now)


def take_due(database: Database, now: float) -> list[Doomed]:
    """The longest due, a few: expired, given up half-way, or not deleted by whoever was to. None that another has."""
    with database.write(alone=False) as connection:
        return doom(connection, IMAGES.c.due_at <= now, SWEPT_TOGETHER_MAX, now, skip_locked=True)


def doom(connection: Connection, which: Any, limit: int, now: float, *, skip_locked: bool = False) -> list[Doomed]:
    """Marks them as deleting, the longest due first, so that nobody sees them any more, and their jobs name none.

    skip_locked: False waits for rows that others change, a while (StoreDown): what was asked for is not left out.
    """
    # In two steps: PostgreSQL may run a locking subquery more than once, and take more than the limit.
    query = select(IMAGES.c.id, IMAGES.c.object, IMAGES.c.job_id).where(which).order_by(IMAGES.c.due_at).limit(limit)
    rows = connection.execute(query.with_for_update(skip_locked=skip_locked)).all()
    if rows:
        marked = {"state": "deleting", "due_at": now + HOLD_S}
        ids = [row.id for row in rows]
        connection.execute(update(IMAGES).where(IMAGES.c.id.in_(ids)).values(marked))
        jobs = update(TABLES.jobs).where(TABLES.jobs.c.id.in_({row.job_id for row in rows}))
        names = (TABLES.jobs.c.image_id, TABLES.jobs.c.original_id)
        connection.execute(jobs.values({each: case((each.in_(ids), null()), else_=each) for each in names}))
    return [Doomed(row.id, row.object) for row in rows]


def forget(database: Database, doomed: Sequence[Doomed]) -> None:
    """Their objects are gone."""
    ids = [each.id for each in doomed]
    with database.write(alone=False) as connection:
        connection.execute(delete(IMAGES).where(IMAGES.c.id.in_(ids), IMAGES.c.state == "deleting"))


def count(connection: Connection) -> int:
    """Rows in any state."""
    return int(connection.execute(select(func.count()).select_from(IMAGES)).scalar_one())


def any_of(database: Database, which: Any) -> bool:
    with database.read() as connection:
        return connection.execute(select(IMAGES.c.id).where(which).limit(1)).first() is not None


def known_objects(database: Database, names: Sequence[str]) -> set[str]:
    """Those of the names that a row has, in any state."""
    with database.read() as connection:
        return set(connection.execute(select(IMAGES.c.object).where(IMAGES.c.object.in_(names))).scalars())


def stored_after(database: Database, last: str, limit: int) -> list[KeptImage]:
    """All keys' stored images in the order of their ids, from the one behind `last` on."""
    query = select(IMAGES).where(IMAGES.c.state == "stored", IMAGES.c.id > last).order_by(IMAGES.c.id).limit(limit)
    with database.read() as connection:
        return [KeptImage(**row) for row in connection.execute(query).mappings()]


def alive(key_id: str, now: float) -> Any:
    return and_(IMAGES.c.key_id == key_id, IMAGES.c.state == "stored", IMAGES.c.expires_at > now)


def of_job(job_id: str) -> Any:
    return IMAGES.c.job_id == job_id


def _row_of(image: KeptImage) -> dict[str, Any]:
    return {name: getattr(image, name) for name in KeptImage.__struct_fields__}
