"""Rounds in which a process that keeps pictures is killed at a step of its order, and what is left is looked at.

    python -m tests.records_rounds --rounds 500 [--storage s3://bucket/prefix] [--database postgresql://…]

A process tells of an id as an answer would, and of a deletion, on its standard output. After each round every id told
of must lead to its picture, unless it was to be deleted; after the last, two hours later, table and storage must hold
the same; after an erasure, neither anything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.keys.audit import Actor
from gateway.records import comparing, erasing, image_table, table
from gateway.records.images import Images
from gateway.records.keeping import Kept, open_records
from gateway.records.storage import Storage
from gateway.stores.database import Database, open_database
from gateway.stores.objects import MARK
from gateway.stores.storage_url import open_objects
from gateway.stores.threads import StoreThreads
from shared.errors import NotFound
from shared.settings import Settings
from shared.supervision import Loops
from tests.unit.records.test_images import MASKED, PICTURE, fresh

#: Where it is killed: beside the call that does it, before or after.
STEPS = ("pending", "put", "stored", "deleting", "object", "row")
ROOT = Path(__file__).resolve().parents[1]
KEPT_IN_A_ROUND, EACH_DELETED = 12, 3


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def mortal(call: Callable[..., Any], fatal: int, *, after: bool) -> Callable[..., Any]:
    """The call, whose process ends before or after the one with this number."""
    calls = iter(range(1, 10_000))

    def called(*arguments: Any) -> Any:
        number = next(calls)
        if number == fatal and not after:
            die()
        result = call(*arguments)
        if number == fatal:
            die()
        return result

    return called


def arm(kept: Kept, step: str, fatal: int, *, after: bool) -> None:
    assert kept.images is not None
    objects: Any = kept.images.storage.objects
    if step in ("pending", "stored"):  # every other write
        table.write = mortal(table.write, 2 * fatal - (step == "pending"), after=after)
    elif step == "put":
        objects.put = mortal(objects.put, fatal, after=after)
    elif step == "object":
        objects.delete = mortal(objects.delete, fatal, after=after)
    elif step == "deleting":
        image_table.doom_one = mortal(image_table.doom_one, fatal, after=after)
    else:
        image_table.forget = mortal(image_table.forget, fatal, after=after)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Kept]:
    database = open_database(settings)
    database.prepare()
    database.close()
    loops = Loops()
    async with open_records(settings, loops) as kept:
        yield kept
    await loops.aclose()


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


async def live(settings: Settings, step: str, fatal: int, *, after: bool) -> None:
    """Keeps and deletes until it is killed."""
    async with opened(settings) as kept:
        records, images = kept
        assert records is not None
        assert images is not None
        arm(kept, step, fatal, after=after)
        for number in range(KEPT_IN_A_ROUND):
            told = await records.keep(fresh(), PICTURE)
            print("kept", told.image_id, flush=True)
            if number % EACH_DELETED == 0 and told.image_id is not None:
                print("deleting", told.image_id, flush=True)
                await images.delete("key_a", told.image_id)


def one_round(settings: Settings, number: int) -> tuple[set[str], set[str]]:
    """(ids told of, those of them whose deletion was asked)."""
    step, after = STEPS[number % len(STEPS)], bool(number // len(STEPS) % 2)
    fatal = 1 + number % 3
    words = [settings.data_dir, settings.storage_url, settings.database_url, step, str(fatal), str(after)]
    command = [sys.executable, "-m", "tests.records_rounds", "--live", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {word for what, word in lines if what == "kept"}, {word for what, word in lines if what == "deleting"}


async def missing(settings: Settings, told: set[str]) -> set[str]:
    """Ids that do not lead to their picture."""
    lost = set()
    with looked_at(settings) as images:
        for image_id in told:
            try:
                _, data = await images.content("key_a", image_id)
            except NotFound:
                lost.add(image_id)
            else:
                assert data == MASKED
    return lost


async def left(settings: Settings) -> dict[str, int]:
    """Once what was cut off is swept and compared: rows, and objects that differ from them; both after an erasure."""
    with looked_at(settings) as images:
        images.now = lambda: time.time() + 2 * comparing.YOUNG_S
        await images.sweep()
        await comparing.compare(images)
        rows, objects = names_of(images.database), stored(images.storage.objects)
        keys: Any = SimpleNamespace(store=SimpleNamespace(database=images.database), threads=images.threads)
        await erasing.erase(keys, images, erasing.Wanted("key_a"), Actor("rounds"), time.time(), 100)
        after = names_of(images.database) | stored(images.storage.objects)
    return {"rows": len(rows), "differ": len(rows ^ objects), "after_erasure": len(after)}


def names_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(image_table.select(image_table.IMAGES.c.object)).scalars())


def stored(objects: Any) -> set[str]:
    return {each.name for each in objects.found()} - {MARK}


def rounds(settings: Settings, count: int) -> dict[str, int]:
    told: set[str] = set()
    for number in range(count):
        kept, deleted = one_round(settings, number)
        lost = asyncio.run(missing(settings, kept))
        assert lost <= deleted, f"round {number}: told of, and gone: {lost - deleted}"
        told |= kept - deleted
    lost = asyncio.run(missing(settings, told))
    return {"rounds": count, "told": len(told), "lost": len(lost)} | asyncio.run(left(settings))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--storage", default="")
    parser.add_argument("--database", default="")
    parser.add_argument("--live", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live:
        folder, storage, database, step, fatal, after = options.live
        settings = Settings(data_dir=folder, storage_url=storage, database_url=database, records="required")
        asyncio.run(live(settings, step, int(fatal), after=after == "True"))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        storage = options.storage or (Path(folder) / "pictures").as_uri()
        settings = Settings(data_dir=folder, storage_url=storage, database_url=options.database, records="required")
        print(rounds(settings, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
