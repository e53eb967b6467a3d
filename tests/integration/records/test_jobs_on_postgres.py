"""Jobs on a real PostgreSQL: what the file does the server does, and several hosts sweep it together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from msgspec import structs
from sqlalchemy import delete, make_url, text, update

from gateway.keys.opening import open_store
from gateway.records import image_table, once_table, table
from gateway.records.image import Doomed, pending
from gateway.records.image_table import IMAGES
from gateway.records.keeping import open_records
from gateway.records.once import Before
from gateway.stores.database import Database, open_database
from gateway.stores.migrations import MIGRATIONS, migrate, schema_version
from shared.errors import StoreDown
from shared.settings import Settings
from shared.supervision import Loops
from tests.integration.access.servers import Postgres, postgres
from tests.unit.records.drawn import NOW, TTL_S, job
from tests.unit.records.test_images import PICTURE
from tests.unit.records.test_once import (  # noqa: F401 — the same on this server
    HELD_S,
    MINE,
    test_an_answer_goes_with_its_job,
    test_the_sweeper_takes_what_nobody_came_back_for,
    test_what_is_done_is_told_until_its_job_ends,
    test_what_one_has_begun_no_other_begins_until_it_is_given_up_or_its_time_is_up,
    test_who_lost_his_turn_keeps_neither_job_nor_picture,
)
from tests.waiting import WAIT_S_MAX


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture
def database(server: Postgres, tmp_path: Path) -> Iterator[Database]:
    settings = Settings(data_dir=str(tmp_path), database_url=server.url)
    store = open_store(settings)
    store.database.prepare()
    store.database.close()
    opened = open_database(settings)
    with opened.write() as connection:
        for each in (once_table.ONCE, IMAGES, table.JOBS):
            connection.execute(delete(each))
    yield opened
    opened.close()


def test_one_of_many_hosts_that_are_asked_the_same_at_once_does_it(database: Database) -> None:
    def begun(number: int) -> Before | None:
        return once_table.begin(database, MINE._replace(holder=str(number)), NOW, NOW + HELD_S)

    for _ in range(5):
        with ThreadPoolExecutor(4) as hosts:
            told = list(hosts.map(begun, range(4)))
        assert sorted(told, key=str) == [Before("print", None, None)] * 3 + [None]
        with database.write() as connection:
            connection.execute(delete(once_table.ONCE))


@pytest.mark.parametrize("before", range(1, len(MIGRATIONS)))
def test_a_store_of_any_version_before_keeps_what_is_in_it(server: Postgres, tmp_path: Path, before: int) -> None:
    name = f"before_{before}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = make_url(server.url).set(database=name).render_as_string(hide_password=False)
    old = open_store(Settings(data_dir=str(tmp_path), database_url=url)).database
    with old.write() as connection:
        assert migrate(connection, MIGRATIONS[:before]) == before
        connection.execute(text("INSERT INTO meta (name, text, number) VALUES ('marker', 'stays', 7)"))
    old.prepare()
    with old.read() as connection:
        assert schema_version(connection) == len(MIGRATIONS)
        assert connection.execute(text("SELECT number FROM meta WHERE name = 'marker'")).scalar_one() == 7
    assert table.write(old, [job()]) == [True]
    old.close()


def test_what_the_file_does_the_server_does(database: Database) -> None:
    mine, newer = job(parameters={"keep": [[1.5, 2.0, 3.0, 4.0], 0]}, masked=1), job(at=NOW + 1)
    table.write(database, [mine, newer])
    assert table.one(database, "key_a", mine.id, NOW) == mine
    assert table.page(database, "key_a", "", 10, NOW) == [newer, mine]
    assert table.page(database, "key_a", newer.id, 10, NOW) == [mine]
    assert table.delete_one(database, "key_b", mine.id, NOW) is None
    assert table.delete_one(database, "key_a", mine.id, NOW) == []
    assert table.one(database, "key_a", newer.id, newer.expires_at) is None


def test_hosts_that_sweep_at_once_delete_every_row_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SWEPT_TOGETHER_MAX", 7)
    jobs = [job("key_swept", NOW + number / 100) for number in range(200)]
    table.write(database, jobs)
    later = NOW + TTL_S + 60
    while table.sweep(database, NOW + TTL_S - 1):  # what other tests left
        pass
    with ThreadPoolExecutor(3) as hosts:
        swept = list(hosts.map(lambda _: list(iter(lambda: table.sweep(database, later), 0)), range(3)))
    assert sum(map(sum, swept)) >= len(jobs)
    assert table.page(database, "key_swept", "", 10, NOW) == []


def test_jobs_are_written_while_keys_are_changed(database: Database) -> None:
    with database.write(), ThreadPoolExecutor(1) as beside:  # holds the lock of all that change keys
        beside.submit(table.write, database, [job("key_beside")]).result(timeout=WAIT_S_MAX)
    assert table.page(database, "key_beside", "", 10, NOW)


def test_what_another_has_locked_is_waited_for_and_never_left_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = job("key_locked")
    image = pending(PICTURE, asked, int(NOW * 1e9))
    table.write(database, [image])
    table.write(database, [structs.replace(asked, image_id=image.id)])

    def delete() -> list[Doomed] | None:
        return table.delete_one(database, "key_locked", asked.id, NOW)

    with ThreadPoolExecutor(1) as beside:
        with database.write(alone=False) as other:
            other.execute(update(IMAGES).where(IMAGES.c.id == image.id).values(bytes=1))
            with monkeypatch.context() as patience, pytest.raises(StoreDown):  # 503, not 204 for what is still there
                patience.setattr("gateway.stores.database.STATEMENT_LIMIT_MS", 50)
                beside.submit(delete).result(timeout=WAIT_S_MAX)
            waiting = beside.submit(delete)
            assert image_table.take_due(database, NOW + 2 * TTL_S) == []  # the sweeper goes round it
            assert not waiting.done()
        assert waiting.result(timeout=WAIT_S_MAX) == [Doomed(image.id, image.object)]


def test_required_refuses_while_the_server_is_gone_and_goes_on_when_it_is_back(
    server: Postgres, database: Database, tmp_path: Path
) -> None:
    async def work() -> None:
        loops = Loops()
        settings = Settings(data_dir=str(tmp_path), database_url=server.url, records="required")
        async with open_records(settings, loops) as (records, _):
            assert records is not None
            assert (await records.keep(job(at=time.time()))).job
            server.stop()
            with pytest.raises(StoreDown):
                await records.keep(job(at=time.time()))
            assert not records.condition.ready
            server.restart()
            assert (await records.keep(job(at=time.time()))).job
            assert records.condition.ready
        await loops.aclose()

    assert database.kind == "postgresql"
    asyncio.run(work())
