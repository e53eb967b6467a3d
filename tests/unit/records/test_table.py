"""The table of jobs on a real SQLite file: pages, whose they are, and that nothing outlives its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import delete, event, func, select

from gateway.keys.opening import open_store
from gateway.records import image_table, table
from gateway.records.image import pending
from gateway.records.job import KeptJob, job_of, row_of
from gateway.records.table import JOBS
from gateway.stores.database import Database, open_database
from gateway.stores.migrations import MIGRATIONS, migrate, schema_version
from gateway.stores.sqlite_files import make_sqlite_file
from shared.errors import StoreDown
from tests.unit.access.stores import made_store
from tests.unit.records.drawn import NOW, TTL_S, database_in, file_of, job, settings_in
from tests.unit.records.test_images import PICTURE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = database_in(tmp_path)
    yield opened
    opened.close()


def rows(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(JOBS)).scalar_one())


def all_pages(database: Database, key_id: str, limit: int, now: float = NOW) -> list[KeptJob]:
    seen: list[KeptJob] = []
    while found := table.page(database, key_id, seen[-1].id if seen else "", limit, now):
        assert len(found) <= limit
        seen += found
    return seen


def test_a_job_comes_back_as_it_was_written(database: Database) -> None:
    written = job(parameters={"keep": [[1.5, 2.0, 3.0, 4.0], 0], "color": "#00ff00"}, masked=1)
    assert job_of(row_of(written)) == written
    table.write(database, [written])
    assert table.one(database, "key_a", written.id, NOW) == written


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["key_a", "key_b"]), st.integers(0, 40))), st.integers(1, 5))
def test_pages_hold_every_job_of_the_key_once_newest_first(
    database: Database, drawn: list[tuple[str, int]], limit: int
) -> None:
    with database.write() as connection:
        connection.execute(delete(JOBS))
    written = [job(key_id, NOW + after) for key_id, after in drawn]
    if written:
        table.write(database, written)
    for key_id in ("key_a", "key_b"):
        mine = [each for each in written if each.key_id == key_id]
        assert all_pages(database, key_id, limit) == sorted(mine, key=lambda each: each.id, reverse=True)


def test_another_keys_job_is_neither_read_nor_deleted(database: Database) -> None:
    mine = job("key_a")
    table.write(database, [mine])
    assert table.one(database, "key_b", mine.id, NOW) is None
    assert table.delete_one(database, "key_b", mine.id, NOW) is None
    assert table.delete_one(database, "key_a", mine.id, NOW) == []
    assert table.delete_one(database, "key_a", mine.id, NOW) is None
    assert rows(database) == 0


def test_what_has_expired_is_not_there_before_any_sweep(database: Database) -> None:
    mine = job()
    table.write(database, [mine])
    end = mine.expires_at
    assert table.one(database, "key_a", mine.id, end - 1)
    assert table.one(database, "key_a", mine.id, end) is None
    assert table.page(database, "key_a", "", 10, end) == []
    assert table.delete_one(database, "key_a", mine.id, end) is None
    assert rows(database) == 1


def test_a_sweep_takes_what_has_expired_and_nothing_else(database: Database) -> None:
    table.write(database, [job(at=NOW + minute * 60) for minute in range(10)])
    assert table.sweep(database, NOW + TTL_S - 1) == 0
    assert table.sweep(database, NOW + TTL_S + 4 * 60) == 5
    assert rows(database) == 5
    assert table.sweep(database, NOW - 3600) == 0  # a clock set back deletes nothing
    assert rows(database) == 5


def test_several_sweepers_delete_everything_once_in_small_transactions(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "SWEPT_TOGETHER_MAX", 7)
    table.write(database, [job(at=NOW + number / 100) for number in range(100)])
    alive = job(at=NOW + TTL_S)
    table.write(database, [alive])

    def sweep_to_the_end(_number: int) -> list[int]:
        own = open_database(settings_in(tmp_path))
        swept = list(iter(lambda: table.sweep(own, NOW + TTL_S + 60), 0))
        own.close()
        return swept

    with ThreadPoolExecutor(3) as hosts:
        swept = [count for counts in hosts.map(sweep_to_the_end, range(3)) for count in counts]
    assert sum(swept) == 100
    assert max(swept) <= 7
    assert all_pages(database, "key_a", 10, NOW + TTL_S + 60) == [alive]


def test_a_service_that_keeps_records_no_more_sweeps_all_the_same(database: Database) -> None:
    table.write(database, [job(at=NOW + number / 1000) for number in range(table.SWEPT_TOGETHER_MAX + 1)])
    table.sweep_all(database, NOW + TTL_S + 60)
    assert rows(database) == 0


def test_a_group_is_written_whole_or_not_at_all(database: Database) -> None:
    twice = job()
    with pytest.raises(Exception, match="UNIQUE"):
        table.write(database, [job(), twice, twice])
    assert rows(database) == 0


def test_a_key_store_of_before_keeps_its_keys_and_gets_its_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    make_sqlite_file(file_of(folder))
    old = open_store(settings_in(folder))
    with old.database.write() as connection:
        assert migrate(connection, MIGRATIONS[:1]) == 1
        row = "INSERT INTO meta (name, text, number) VALUES ('marker', 'stays', 7)"
        connection.exec_driver_sql(row)
    with pytest.raises(StoreDown):
        table.write(old.database, [job()])
    old.database.prepare()
    with old.database.read() as connection:
        assert schema_version(connection) == len(MIGRATIONS)
        assert connection.exec_driver_sql("SELECT number FROM meta WHERE name = 'marker'").scalar_one() == 7
    table.write(old.database, [job()])
    assert rows(old.database) == 1


def test_keys_and_jobs_share_one_file(tmp_path: Path) -> None:
    store, _ = made_store(tmp_path)
    table.write(store.database, [job()])
    assert rows(store.database) == 1


def plans(database: Database, ask: Callable[[], object]) -> list[str]:
    """How SQLite looks for the rows of each statement that is asked."""
    asked: list[tuple[str, object]] = []

    def note(_c: object, _u: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(database._engine, "before_cursor_execute", note)
    ask()
    event.remove(database._engine, "before_cursor_execute", note)
    with database.read() as connection:
        looked = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given).all() for words, given in asked]  # type: ignore[arg-type]
    return [str(row[3]) for rows in looked for row in rows]


def test_nothing_that_is_asked_often_reads_a_whole_table_or_sorts(database: Database) -> None:
    kept = job()
    image = pending(PICTURE, kept, int(NOW * 1e9))
    table.write(database, [image])
    table.write(database, [structs.replace(kept, image_id=image.id)])
    asks: list[Callable[[], object]] = [
        lambda: table.page(database, "key_a", kept.id, 10, NOW),
        lambda: table.page(database, None, kept.id, 10, NOW),
        lambda: table.one(database, "key_a", kept.id, NOW),
        lambda: image_table.page(database, "key_a", image.id, 10, NOW),
        lambda: image_table.one(database, "key_a", image.id, NOW),
        lambda: image_table.known_objects(database, [image.object]),
        lambda: image_table.stored_after(database, image.id, 10),
        lambda: image_table.take_due(database, NOW + 2 * TTL_S),
        lambda: table.sweep(database, NOW + 2 * TTL_S),
    ]
    found = {number: plans(database, ask) for number, ask in enumerate(asks)}
    slow = [
        (number, plan) for number, each in found.items() for plan in each if "SCAN" in plan or "TEMP B-TREE" in plan
    ]
    assert slow == []
    assert all(found.values())
