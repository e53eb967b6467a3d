"""What is left after rounds, seen past the service: whether rows and objects agree, and that an erasure leaves neither."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select

from gateway.keys.audit import Actor
from gateway.records import comparing, erasing, table
from gateway.records.image_table import IMAGES
from gateway.records.images import Images
from gateway.records.once_table import ONCE
from gateway.records.storage import Storage
from gateway.records.table import JOBS
from gateway.stores.database import Database, open_database
from gateway.stores.objects import MARK
from gateway.stores.storage_url import open_objects
from gateway.stores.threads import StoreThreads
from shared.settings import Settings

KEY_ID = "anonymous"


@contextlib.contextmanager
def looked_at(settings: Settings) -> Iterator[Images]:
    """Without loops, which would sweep beside who looks."""
    objects = open_objects(settings)
    assert objects is not None
    storage = Storage(objects, settings.storage_queue_bytes)
    images = Images(storage, open_database(settings), StoreThreads(), settings.records_ttl * 3600)
    yield images
    images.storage.threads.close()
    images.threads.close()
    images.database.close()


async def leftovers(settings: Settings) -> dict[str, int]:
    """Two hours later. jobs, images: rows. twice: requests that left more than one job. broken: images whose object is
    not what their row says, or jobs that name one that is none. differ: what is in table or storage alone.
    after_erasure: rows and objects.
    """
    with looked_at(settings) as images:
        later = time.time() + 2 * comparing.YOUNG_S
        images.now = lambda: later
        await images.sweep()
        await comparing.compare(images)
        table.sweep(images.database, later)
        found = told(images)
        keys: Any = SimpleNamespace(store=SimpleNamespace(database=images.database), threads=images.threads)
        await erasing.erase(keys, images, erasing.Wanted(KEY_ID), Actor("rounds"), time.time(), 100)
        once_table_is_empty = rows(images.database, ONCE) == 0
        left = rows(images.database, JOBS) + rows(images.database, IMAGES) + (not once_table_is_empty)
        return found | {"after_erasure": left + len(stored(images.storage.objects))}


def told(images: Images) -> dict[str, int]:
    database, objects = images.database, images.storage.objects
    many = select(JOBS.c.request_id).group_by(JOBS.c.request_id).having(func.count() > 1)
    with database.read() as connection:
        kept = connection.execute(select(IMAGES.c.id, IMAGES.c.object, IMAGES.c.state, IMAGES.c.sha256)).all()
        named = set(connection.execute(select(JOBS.c.image_id).where(JOBS.c.image_id.is_not(None))).scalars())
        twice = len(connection.execute(many).all())
    broken = [
        row
        for row in kept
        if row.state != "stored" or sha256(objects.read(row.object) or b"").hexdigest() != row.sha256
    ]
    return {
        "jobs": rows(database, JOBS),
        "images": len(kept),
        "twice": twice,
        "broken": len(broken) + len(named ^ {row.id for row in kept}),
        "differ": len({row.object for row in kept} ^ stored(objects)),
    }


def rows(database: Database, which: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(which)).scalar_one())


def stored(objects: Any) -> set[str]:
    return {each.name for each in objects.found()} - {MARK}
