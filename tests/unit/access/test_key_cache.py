"""The cache of keys: fresh without asking, asking when it must, and going on without the store for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from gateway.keys import cache as cache_module
from gateway.keys.cache import KeyCache, StoreThreads
from gateway.keys.pepper import Peppers
from gateway.keys.records import KeyRecord
from shared.errors import StoreDown
from tests.unit.access.test_auth import RECORD

PEPPERS = Peppers(["p" * 32])


class Source:
    """A store in memory that can be down, slow, or counted."""

    def __init__(self) -> None:
        self.version, self.records, self.asked = 0, dict[str, KeyRecord](), 0
        self.down, self.hold = False, threading.Event()
        self.hold.set()

    def put(self, key: bytes, **changes: object) -> None:
        self.version += 1
        digest = PEPPERS.digest(key)
        record = msgspec.structs.replace(RECORD, id=key.decode(), digest=digest, version=self.version, **changes)
        self.records[record.id] = record

    def changes_since(self, version: int) -> tuple[int, list[KeyRecord]]:
        self.asked += 1
        present, found = self.version, [r for r in self.records.values() if r.version > version]
        self.hold.wait(5)
        if self.down:
            raise StoreDown
        return present, found


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


def test_known_keys_are_found_without_asking_the_store() -> None:
    async def work() -> None:
        source = Source()
        source.put(b"one")
        async with opened(source) as cache:
            assert cache.lookup(b"one") is None
            await cache.refresh()
            for _ in range(1000):
                assert cache.lookup(b"one") is not None
                assert cache.lookup(b"two") is None
            assert source.asked == 1

    asyncio.run(work())


def test_a_change_is_seen_by_the_loop_and_at_once_when_poked() -> None:
    async def work() -> None:
        source = Source()
        source.put(b"one")
        async with opened(source) as cache:
            running = asyncio.create_task(cache.run())
            await until(lambda: cache.lookup(b"one") is not None)
            source.put(b"one", revoked_at=1.0)
            cache.poke()
            await until(lambda: cache.lookup(b"one").revoked_at == 1.0)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(work())


def test_a_rehashed_key_is_known_by_its_new_digest_only() -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_many_who_ask_at_once_ask_twice_at_most() -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_unknown_keys_in_a_flood_ask_no_oftener_than_the_pause() -> None:
    async def work() -> None:
        source = Source()
        async with opened(source) as cache:
            started = time.monotonic()
            for _ in range(5):
                await asyncio.gather(*(cache.refresh() for _ in range(50)))
            passed = time.monotonic() - started
            assert source.asked <= 2 + 2 * passed / cache_module.LEAST_PAUSE_S

    asyncio.run(work())


def test_with_the_store_down_known_keys_stay_for_the_grace_and_not_longer() -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_a_store_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        source = Source()
        async with opened(source) as cache:
            source.hold.clear()
            with pytest.raises(StoreDown):
                await cache.refresh()
            assert not cache.ready

    monkeypatch.setattr(cache_module, "LONGEST_WAIT_S", 0.05)
    asyncio.run(work())


def test_one_who_leaves_while_asking_disturbs_nobody() -> None:
    async def work() -> None:
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

    asyncio.run(work())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 — what it waits for is somebody else's
            await asyncio.sleep(0.005)
