"""The cache of keys: fresh without asking, asking when it must, and going on without the store for a while."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete

from gateway.keys import cache as cache_module
from gateway.keys.cache import KeyCache
from gateway.keys.keeping import open_keys
from gateway.keys.opening import open_store
from gateway.keys.pepper import Peppers
from gateway.keys.records import Changes, Draft, KeyRecord
from gateway.keys.store import KEYS, Store
from gateway.stores.database import FILE_NAME
from gateway.stores.threads import StoreThreads
from shared.errors import StoreDown
from shared.file_marks import Mark
from shared.settings import Settings
from shared.supervision import Loops
from tests.unit.access.stores import ME, NOW, made_store
from tests.unit.access.test_auth import RECORD
from tests.waiting import until

PEPPERS = Peppers(["p" * 32])


class Source:
    """A store in memory that can be down, slow, or counted."""

    def __init__(self) -> None:
        self.version, self.records, self.asked = 0, dict[str, KeyRecord](), 0
        self.down, self.hold = False, threading.Event()
        self.hold.set()
        self.marked: Mark | None = None

    def put(self, key: bytes, **changes: object) -> None:
        self.version += 1
        digest = PEPPERS.digest(key)
        record = msgspec.structs.replace(RECORD, id=key.decode(), digest=digest, version=self.version, **changes)
        self.records[record.id] = record

    def mark(self) -> Mark | None:
        return self.marked

    def changes_since(self, version: int) -> Changes:
        self.asked += 1
        found = [r for r in self.records.values() if r.version > version]
        changes = Changes(self.version, found, sum(r.version for r in self.records.values()))
        self.hold.wait(5)
        if self.down:
            raise StoreDown
        return changes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(source: Source, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[KeyCache]:
    threads = StoreThreads()
    try:
        yield KeyCache(source, threads, lambda: PEPPERS, check_seconds=0.02, grace_seconds=10, now=clock)
    finally:
        source.hold.set()
        threads.close()


async def test_known_keys_are_found_without_asking_the_store() -> None:
    source = Source()
    source.put(b"one")
    async with opened(source) as cache:
        assert cache.lookup(b"one") is None
        await cache.refresh()
        for _ in range(1000):
            assert cache.lookup(b"one") is not None
            assert cache.lookup(b"two") is None
        assert source.asked == 1


async def test_a_change_is_seen_by_the_loop_and_at_once_when_poked() -> None:
    source = Source()
    source.put(b"one")
    async with opened(source) as cache:
        loops = Loops()
        loops.keep("key_cache", cache.round, 0.0, last_round_s=0.0)
        await until(lambda: cache.lookup(b"one") is not None)
        source.put(b"one", revoked_at=1.0)
        cache.poke()
        await until(lambda: cache.lookup(b"one").revoked_at == 1.0)
        await loops.aclose()


async def test_a_store_whose_files_have_not_changed_is_not_asked_unless_it_was_down() -> None:
    source = Source()
    source.marked = ((1, 2, 3),)
    async with opened(source) as cache:
        for _ in range(3):
            await cache.refresh()
            assert source.asked == 1
            assert cache.ready
        source.put(b"one")
        source.marked = ((1, 2, 4),)
        await cache.refresh()
        assert cache.lookup(b"one") is not None
        source.marked, source.down = None, True
        with pytest.raises(StoreDown):
            await cache.refresh()
        source.marked = ((1, 2, 4),)  # as it was when it last answered
        with pytest.raises(StoreDown):
            await cache.refresh()
        source.down, asked = False, source.asked
        await cache.refresh()
        assert source.asked == asked + 1


async def test_a_store_that_does_not_add_up_is_asked_again_though_its_files_have_not_changed() -> None:
    source = Source()
    source.put(b"one")
    source.marked = ((1, 2, 3),)
    async with opened(source) as cache:
        told = source.changes_since
        source.changes_since = lambda version: told(version)._replace(proof=-1)  # type: ignore[method-assign]
        for _ in range(2):
            asked = source.asked
            await cache.refresh()
            assert source.asked > asked


async def test_changes_that_follow_one_another_within_a_moment_are_all_seen(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    async with open_keys(settings, None) as keys:
        other = open_store(settings)
        for _ in range(30):
            made = other.create(Draft(name="one"), keys.cache.peppers, ME, NOW)
            await keys.cache.refresh()
            assert keys.cache.lookup(made.key.encode()) is not None
        other.database.close()


async def test_a_rehashed_key_is_known_by_its_new_digest_only() -> None:
    source = Source()
    source.put(b"one")
    async with opened(source) as cache:
        await cache.refresh()
        old = cache.lookup(b"one")
        source.version += 1
        moved = msgspec.structs.replace(old, digest=PEPPERS.digest(b"moved"), version=source.version)
        source.records["one"] = moved
        await cache.refresh()
        assert cache.lookup(b"one") is None
        assert cache.lookup(b"moved") == cache.get("one") == moved


async def test_many_who_ask_at_once_ask_twice_at_most() -> None:
    source = Source()
    async with opened(source) as cache:
        source.hold.clear()
        first = asyncio.create_task(cache.refresh())
        await until(lambda: source.asked == 1)
        source.put(b"late")  # committed after the first question: only a second one sees it
        others = [asyncio.create_task(cache.refresh()) for _ in range(500)]
        await asyncio.sleep(0.01)
        source.hold.set()
        await asyncio.gather(first, *others)
        assert source.asked == 2
        assert cache.lookup(b"late") is not None


async def test_unknown_keys_in_a_flood_ask_no_oftener_than_the_pause() -> None:
    source = Source()
    async with opened(source) as cache:
        started = time.monotonic()
        for _ in range(5):
            await asyncio.gather(*(cache.refresh() for _ in range(50)))
        passed = time.monotonic() - started
        assert source.asked <= 2 + 2 * passed / cache_module.PAUSE_S_MIN


async def test_with_the_store_down_known_keys_stay_for_the_grace_and_not_longer() -> None:
    source, clock = Source(), Clock()
    source.put(b"one")
    async with opened(source, clock) as cache:
        assert not cache.usable()
        await cache.refresh()
        assert cache.usable() and cache.ready
        source.down = True
        with pytest.raises(StoreDown):
            await cache.refresh()
        assert cache.usable() and not cache.ready
        clock.now = 10.0
        assert cache.usable()
        clock.now = 10.01
        assert not cache.usable()
        source.down = False
        await cache.refresh()
        assert cache.usable() and cache.ready


def test_a_store_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        source = Source()
        async with opened(source) as cache:
            source.hold.clear()
            with pytest.raises(StoreDown):
                await cache.refresh()
            assert not cache.ready

    monkeypatch.setattr(cache_module, "WAIT_S_MAX", 0.05)
    asyncio.run(work())


async def test_one_who_leaves_while_asking_disturbs_nobody() -> None:
    source = Source()
    source.put(b"one")
    async with opened(source) as cache:
        source.hold.clear()
        leaves, stays = asyncio.create_task(cache.refresh()), asyncio.create_task(cache.refresh())
        await until(lambda: source.asked == 1)
        leaves.cancel()
        source.hold.set()
        await stays
        assert cache.lookup(b"one") is not None


@asynccontextmanager
async def opened_on(store: Store, peppers: Peppers) -> AsyncIterator[KeyCache]:
    threads = StoreThreads()
    try:
        yield KeyCache(store, threads, lambda: peppers, check_seconds=0.02, grace_seconds=10)
    finally:
        threads.close()


@pytest.mark.parametrize("changes_after", [0, 1, 2, 3])
async def test_keys_absent_from_a_store_brought_back_from_a_backup_stop_working(
    tmp_path: Path, changes_after: int
) -> None:
    """Also where as many changes were made since as the backup lacks, so that counting them tells nothing."""
    store, peppers = made_store(tmp_path)
    kept = store.create(Draft(name="kept"), peppers, ME, NOW)
    file, backup = tmp_path / "var" / FILE_NAME, tmp_path / "backup"
    copy(file, backup)
    lost = store.create(Draft(name="lost"), peppers, ME, NOW)
    store.revoke(kept.record.id, ME, NOW)
    async with opened_on(store, peppers) as cache:
        await cache.refresh()
        assert cache.lookup(lost.key.encode()) is not None
        copy(backup, file)
        made = [store.create(Draft(name=str(n)), peppers, ME, NOW) for n in range(changes_after)]
        await cache.refresh()
        assert cache.lookup(lost.key.encode()) is None
        assert cache.get(lost.record.id) is None
        assert cache.lookup(kept.key.encode()) == kept.record
        assert all(cache.lookup(one.key.encode()) == one.record for one in made)


def copy(source: Path, target: Path) -> None:
    """As `.backup` of SQLite's command line does."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


async def test_a_key_removed_from_the_store_by_hand_stops_working_with_the_next_change(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    one, two = (store.create(Draft(name=name), peppers, ME, NOW) for name in ("one", "two"))
    async with opened_on(store, peppers) as cache:
        await cache.refresh()
        with store.database.write() as connection:
            connection.execute(delete(KEYS).where(KEYS.c.id == one.record.id))
        store.revoke(two.record.id, ME, NOW)
        await cache.refresh()
        assert cache.lookup(one.key.encode()) is None
        assert cache.lookup(two.key.encode()) is not None


async def test_a_bug_in_reading_the_store_does_not_make_old_knowledge_young(monkeypatch: pytest.MonkeyPatch) -> None:
    source, clock = Source(), Clock()
    source.put(b"one")
    async with opened(source, clock) as cache:
        await cache.refresh()
        monkeypatch.setattr(source, "records", None)
        with pytest.raises(AttributeError):
            await cache.refresh()
        assert cache.usable() and not cache.ready
        clock.now = 10.01
        assert not cache.usable()


async def test_closing_leaves_no_question_behind() -> None:
    source = Source()
    async with opened(source) as cache:
        source.hold.clear()
        asking = [asyncio.create_task(cache.refresh()) for _ in range(2)]
        await until(lambda: source.asked == 1)
        await cache.aclose()
        await asyncio.gather(*asking, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
