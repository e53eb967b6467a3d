"""Several hosts on one PostgreSQL: the same store, and what happens when it is gone.

fault                    known keys       unknown keys    admin writes     /readyz
stopped (SIGSTOP)        pass             503             503              200
killed                   pass             503             503              200
read-only                pass             401             503, read-only   200
back again               pass             401             done             200
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.access.door import Door
from gateway.first_start import prepare_first_start
from gateway.keys import usage
from gateway.keys.audit import entries
from gateway.keys.cache import WAIT_S_MAX
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import Peppers
from gateway.keys.records import Draft
from gateway.keys.store import Store
from gateway.keys.usage import Gathering
from gateway.people.accounts import Accounts
from gateway.people.sessions import Sessions
from gateway.stores.key_format import new_key
from shared.errors import ClientError, ConfigurationError, NotFound, StoreDown
from tests.integration.access.doors import CEILING_S, make, opened, status
from tests.integration.access.servers import Postgres, postgres
from tests.unit.access.stores import ME, NOW, settings_in
from tests.waiting import until

PEPPER = "p" * 32


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(cluster: Postgres, tmp_path: Path) -> Iterator[Postgres]:
    """With an empty database."""
    yield cluster
    store = open_store(settings_in(tmp_path, database_url=cluster.url))
    with store.database.write() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    store.database.close()


def test_a_connection_that_comes_back_after_the_end_is_closed(server: Postgres, tmp_path: Path) -> None:
    late, watching = (open_store(settings_in(tmp_path, database_url=server.url)).database for _ in range(2))
    mine = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'face-api'")
    with late.read() as connection:
        connection.execute(text("SELECT 1"))
        late.close()

    def seen() -> int:
        with watching.read() as connection:
            return int(connection.execute(mine).scalar_one())

    asyncio.run(until(lambda: seen() == 1))
    watching.close()


def test_everything_the_file_does_the_server_does(server: Postgres, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER)
    store = open_store(settings)
    peppers = peppers_for(settings, store)
    made = store.create(Draft(name="one %", scopes=("mask",), expires_in_s=100, mask_limit=5), peppers, ME, NOW)
    assert store.get(made.record.id) == made.record
    successor = store.rotate(made.record.id, 10, peppers, ME, NOW).record
    assert store.revoke(successor.id, ME, NOW + 1).revoked_at == NOW + 1
    version, changed, proof = store.changes_since(-1)
    assert (len(changed), proof) == (2, sum(record.version for record in changed))
    assert store.changes_since(version) == (version, [], None)
    assert [r.id for r in store.page(NOW, search="%", state="active")[0]] == [made.record.id]
    with pytest.raises(NotFound):
        store.get("nope")
    gathering = Gathering()
    gathering.note(made.record.id, NOW, error=False)
    for _ in range(2):
        usage.hand_in(store.database, dict(gathering._used))
    assert usage.requests_on(store.database, usage.day_of(NOW), [made.record.id]) == {made.record.id: 2}
    assert store.get(made.record.id).last_used_at == NOW
    assert store.peppers_in_use(NOW) == {peppers.current: 1}
    with store.database.read() as connection:
        assert [e.action for e in entries(connection)] == ["key revoked", "key rotated", "key created"]
    store.database.close()


def test_accounts_and_sessions_live_there_too(server: Postgres, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER)
    store = open_store(settings)
    store.database.prepare()
    accounts, sessions = Accounts(store.database), Sessions(store.database, settings)
    accounts.use_link(accounts.new_link(NOW), "correct horse battery", ME, NOW)
    assert accounts.sign_in("admin", "correct horse battery", "net", ME, NOW) == "admin"
    token = sessions.open("admin", "127.0.0.1", "browser", NOW)
    session = sessions.find(token, NOW + 61, active=True)
    assert session is not None
    assert sessions.end("admin", session.id)
    assert sessions.find(token, NOW + 62, active=True) is None
    store.database.close()


def test_tries_at_the_same_moment_are_one_there_too(server: Postgres, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER)
    store = open_store(settings)
    store.database.prepare()

    def guess(n: int) -> str:
        try:
            Accounts(store.database).sign_in("admin", f"guess {n}", "net", ME, NOW)
        except ClientError as refusal:
            return type(refusal).__name__
        raise AssertionError

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(guess, range(4))) == ["RateLimited"] * 3 + ["Unauthorized"]
    store.database.close()


def test_hosts_that_start_with_one_password_of_the_settings_agree(server: Postgres, tmp_path: Path) -> None:
    more = {"database_url": server.url, "key_pepper": PEPPER, "admin_password": "correct horse battery"}
    hosts = [settings_in(tmp_path / str(n), **more) for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda host: prepare_first_start(host, terminal=True), hosts))
    assert sum(first.plaintext is not None for first in made) == 1
    assert all(first.admin_link is None for first in made)


def test_hosts_that_start_together_migrate_once_and_make_one_first_key(server: Postgres, tmp_path: Path) -> None:
    hosts = [settings_in(tmp_path / str(n), database_url=server.url, key_pepper=PEPPER) for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda host: prepare_first_start(host, terminal=True), hosts))
    assert sum(first.plaintext is not None for first in made) == 1
    store = open_store(hosts[0])
    assert store.page(time.time())[1] == 1
    store.database.close()


def test_a_second_host_without_the_pepper_refuses_to_start(server: Postgres, tmp_path: Path) -> None:
    prepare_first_start(settings_in(tmp_path / "one", database_url=server.url), terminal=True)
    with pytest.raises(ConfigurationError, match="hashed with another pepper"):
        prepare_first_start(settings_in(tmp_path / "two", database_url=server.url), terminal=True)
    assert not (tmp_path / "two" / "var").exists()


def test_versions_are_seen_in_order_by_readers_while_many_write(server: Postgres, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER)
    peppers = peppers_for(settings, store := open_store(settings))
    writers = [open_store(settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(_write_ten, writer, peppers) for writer in writers]
        version, seen = -1, set[str]()
        while not all(task.done() for task in work) or store.changes_since(version)[1]:
            version, changed, _ = store.changes_since(version)
            seen |= {record.id for record in changed}
        assert seen == {key_id for task in work for key_id in task.result()}
    for opened_store in (store, *writers):
        opened_store.database.close()


def _write_ten(store: Store, peppers: Peppers) -> list[str]:
    return [store.create(Draft(name="n"), peppers, ME, NOW).record.id for _ in range(10)]


async def test_a_key_of_one_host_works_and_ends_on_another(server: Postgres, tmp_path: Path) -> None:
    more = {"database_url": server.url, "key_pepper": PEPPER, "key_check_seconds": 0.2}
    async with (
        opened(settings_in(tmp_path / "a", **more)) as here,
        opened(settings_in(tmp_path / "b", **more)) as there,
    ):
        key = make(here)
        assert await status(there, key) == 200
        record = there.keys.cache.lookup(key.encode())
        assert record is not None
        here.keys.store.revoke(record.id, ME, time.time())
        await until(lambda: refused(there, key))


async def refused(door: Door, key: str) -> bool:
    return await status(door, key) == 403


@pytest.mark.parametrize("fault", ["stopped", "killed"])
async def test_with_the_server_gone_known_keys_pass_and_unknown_ones_wait_for_it(
    server: Postgres, tmp_path: Path, fault: str
) -> None:
    assert WAIT_S_MAX < CEILING_S
    settings = settings_in(
        tmp_path, database_url=server.url, key_pepper=PEPPER, key_check_seconds=0.2, rate_limit_wrong_keys=1000
    )
    async with opened(settings) as door:
        key = make(door)
        assert await status(door, key) == 200
        server.freeze() if fault == "stopped" else server.stop()
        assert await status(door, new_key()) == 503
        assert [await status(door, key) for _ in range(20)] == [200] * 20
        assert not door.keys.cache.ready
        server.thaw() if fault == "stopped" else server.restart()
        await until(lambda: door.keys.cache.ready)
        assert await status(door, new_key()) == 401
        assert await status(door, key) == 200


async def test_a_host_that_starts_while_the_server_is_down_serves_when_it_is_back(
    server: Postgres, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER, key_check_seconds=0.2)
    async with opened(settings) as door:
        key = make(door)
    server.stop()
    async with opened(settings) as door:
        assert await status(door, key) == 503
        server.restart()
        await until(lambda: serves(door, key))


async def serves(door: Door, key: str) -> bool:
    return await status(door, key) == 200


def test_a_read_only_server_reads_and_says_what_it_cannot(server: Postgres, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url=server.url, key_pepper=PEPPER)
    store = open_store(settings)
    record = store.create(Draft(name="n"), peppers_for(settings, store), ME, NOW).record
    read_only = open_store(
        settings_in(
            tmp_path, database_url=server.url + "?options=-c%20default_transaction_read_only%3Don", key_pepper=PEPPER
        )
    )
    assert read_only.get(record.id) == record
    assert read_only.changes_since(-1)[1] == [record]
    with pytest.raises(StoreDown, match="read-only"):
        read_only.revoke(record.id, ME, NOW)
    read_only.database.close()
    store.database.close()


async def test_a_wrong_password_is_a_store_that_is_down_and_is_not_repeated(
    server: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url.replace("secret-word", "other-word")
    async with opened(settings_in(tmp_path, database_url=url, key_pepper=PEPPER)) as door:
        assert await status(door, new_key()) == 503
    assert "key store cannot be reached" in caplog.text
    assert "-word" not in caplog.text
