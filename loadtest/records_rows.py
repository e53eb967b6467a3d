"""How lists, reads and the sweeper do in tables of a million rows.

`python -m loadtest.records_rows` fills a SQLite file of its own, or with `--database postgresql://…` an empty database,
with jobs and images of ten keys, a second apart, and asks as the endpoints and the sweeper do, from a process of its
own: milliseconds, as the database answers, without HTTP.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import insert

from gateway.keys.opening import open_store
from gateway.records import image_table, table
from gateway.records.image import KeptImage
from gateway.records.job import FoundFace, KeptJob, born, row_of
from gateway.stores.database import Database, open_database
from shared.settings import Settings

KEYS, PAGE, TTL_S = 10, 100, 30 * 86_400.0
WRITTEN_TOGETHER = 5000
BEGIN = 1_800_000_000.0


class Measured(msgspec.Struct, frozen=True):
    """Of so many calls: milliseconds."""

    what: str
    calls: int
    p50_ms: float
    p95_ms: float
    max_ms: float


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder, database_url=options.database)
        store = open_store(settings)
        store.database.prepare()
        store.database.close()
        database = open_database(settings)
        begin = time.perf_counter()
        ids = fill(database, options.rows)
        filled_s, rows = time.perf_counter() - begin, list(measured(database, ids, options.calls))
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        database.close()
    facts = {"database": database.kind, "rows": options.rows, "filled_s": round(filled_s, 1), "file_bytes": size}
    if options.json:
        print(msgspec.json.encode(facts | {"measured": rows}).decode())
        return
    print(" ".join(f"{name}={value}" for name, value in facts.items()))
    for row in rows:
        print(f"{row.what:32} {row.calls:5} p50 {row.p50_ms:8.2f}  p95 {row.p95_ms:8.2f}  most {row.max_ms:8.2f} ms")


def fill(database: Database, rows: int) -> list[tuple[str, str, str]]:
    """(key, job, image) of each."""
    ids: list[tuple[str, str, str]] = []
    while len(ids) < rows:
        numbers = range(len(ids), min(rows, len(ids) + WRITTEN_TOGETHER))
        pairs = [_pair(number) for number in numbers]
        with database.write(alone=False) as connection:
            connection.execute(insert(table.JOBS), [row_of(job) for job, _ in pairs])
            connection.execute(insert(image_table.IMAGES), [msgspec.structs.asdict(image) for _, image in pairs])
        ids += [(job.key_id, job.id, image.id) for job, image in pairs]
    return ids


def measured(database: Database, ids: list[tuple[str, str, str]], calls: int) -> Iterator[Measured]:
    """Reads while all are alive, then sweeps of a tenth."""
    draw, now, tenth = random.Random(0), BEGIN + len(ids), BEGIN + TTL_S + len(ids) / 10
    picked = [draw.choice(ids) for _ in range(calls)]
    asks: dict[str, Callable[[tuple[str, str, str]], Any]] = {
        "a page of jobs, the newest": lambda each: table.page(database, each[0], "", PAGE + 1, now),
        "a page of jobs, anywhere": lambda each: table.page(database, each[0], each[1], PAGE + 1, now),
        "a page of all keys' jobs": lambda each: table.page(database, None, each[1], PAGE + 1, now),
        "one job": lambda each: table.one(database, each[0], each[1], now),
        "a page of images, anywhere": lambda each: image_table.page(database, each[0], each[2], PAGE + 1, now),
        "one image": lambda each: image_table.one(database, each[0], each[2], now),
        "a sweep of jobs, none due": lambda _: table.sweep(database, now),
        "a sweep of images, none due": lambda _: image_table.take_due(database, now),
    }
    for what, ask in asks.items():
        yield _timed(what, [lambda each=each, ask=ask: ask(each) for each in picked])  # type: ignore[misc]
    passes = max(1, min(calls, len(ids) // 10 // table.SWEPT_TOGETHER_MAX))
    for part in ("first", "later"):
        yield _timed(f"a full sweep of jobs, {part}", [lambda: table.sweep(database, tenth)] * max(1, passes // 2))
    yield _timed("a full sweep of images", [lambda: _sweep_images(database, tenth)] * passes)


def _sweep_images(database: Database, now: float) -> None:
    image_table.forget(database, image_table.take_due(database, now))


def _timed(what: str, calls: list[Callable[[], Any]]) -> Measured:
    spent = []
    for call in calls:
        begin = time.perf_counter()
        call()
        spent.append((time.perf_counter() - begin) * 1000)
    return Measured(what, len(calls), *(round(float(np.percentile(spent, q)), 2) for q in (50, 95, 100)))


def _pair(number: int) -> tuple[KeptJob, KeptImage]:
    birth, key_id = born(TTL_S, int((BEGIN + number) * 1e9)), f"key_{number % KEYS:012x}"
    image = KeptImage(
        id=born(TTL_S, int((BEGIN + number) * 1e9) + 1000).id, key_id=key_id, job_id=birth.id, kind="masked",
        state="stored", object=f"{number:032x}", media_type="image/jpeg", width=640, height=360, bytes=60_000,
        sha256="0" * 64, created_at=birth.created_at, expires_at=birth.expires_at, due_at=birth.expires_at,
    )  # fmt: skip
    job = KeptJob(
        id=birth.id, key_id=key_id, request_id="0" * 36, endpoint="mask", state="done", created_at=birth.created_at,
        expires_at=birth.expires_at, model="scrfd_500m", parameters={"method": "solid"}, width=640, height=360, faces=2,
        masked=2, boxes=[FoundFace(1.5, 2.0, 30.0, 40.0, 0.9)] * 2, bytes_in=60_000, bytes_out=60_000,
        sha256_in="0" * 64, sha256_out="0" * 64, image_id=image.id, original_id=None,
    )  # fmt: skip
    return job, image


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--database", default="", help="postgresql://…, an empty one; a SQLite file if absent")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
