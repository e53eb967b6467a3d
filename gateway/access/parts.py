"""What stands behind the door: store, cache, limiters, counters, and the tasks that keep them going.

It alone opens and closes them, in order, for one gateway process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from gateway.access.rate_limit import FallbackLimiter, Limiter, MemoryLimiter
from gateway.access.rate_limit_redis import RedisLimiter, open_client
from gateway.access.rate_limit_sqlite import SqliteLimiter
from gateway.console.sessions import Sessions
from gateway.edge.client_ip import ClientAddresses
from gateway.keys.announce import announce, listen
from gateway.keys.audit import prune
from gateway.keys.cache import KeyCache, StoreThreads
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import Peppers, load_peppers
from gateway.keys.records import KeyRecord
from gateway.keys.store import KeyStore
from gateway.keys.usage import Gathering, day_of, forget_old, hand_in
from gateway.reporting.counters import Counters, Present
from shared.access_rules import parse_networks
from shared.errors import ConfigurationError, FaceApiError, StoreDown
from shared.settings import Settings

HAND_IN_S = 60.0
TIDY_EVERY = 60  # hand-ins


class Parts:
    """Everything about access that lives as long as the process."""

    def __init__(
        self, settings: Settings, store: KeyStore, peppers: Peppers, runtime_dir: Path, redis: Redis | None
    ) -> None:
        self.settings = settings
        self.store = store
        self.redis = redis
        self.threads = StoreThreads()
        self.counters = Counters(runtime_dir)
        self.addresses = ClientAddresses(parse_networks(settings.trusted_proxies))
        self.limiter = limiter_chain(settings, runtime_dir, redis, self.counters)
        self.cache = KeyCache(
            _Prepared(store),
            self.threads,
            lambda: load_peppers(settings, make=False) or peppers,
            check_seconds=settings.key_check_seconds,
            grace_seconds=settings.key_grace_seconds,
        )
        self.gathering = Gathering()
        self._old_peppers: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._log = logging.getLogger("face_api.access")
        self.counters.say_of_now(lambda: Present(use=self.gathering.on_day(day_of(time.time()))))

    def start(self) -> None:
        self._go(self.cache.run())
        self._go(self.counters.run())
        self._go(self._hand_in_for_ever())
        if self.redis is not None:
            self._go(listen(self.redis, self.cache.poke))

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(FaceApiError):
            await self.hand_in()
        await self.limiter.aclose()
        if self.redis is not None:
            await self.redis.aclose()
        self.counters.close()
        self.threads.close()
        self.store.database.close()

    def note_old_pepper(self, key_id: str, digest: str) -> None:
        """A key was used that an earlier pepper hashed: it moves to the present one with the next hand-in."""
        if len(self._old_peppers) < 1000:
            self._old_peppers[key_id] = digest

    async def keys_changed(self) -> None:
        """This process just changed keys: it knows at once, the others as soon as they can be told."""
        with contextlib.suppress(FaceApiError):
            await self.cache.refresh()
        if self.redis is not None:
            await announce(self.redis)

    async def hand_in(self) -> None:
        """Tells the store what keys were used for. What it cannot take now is kept."""
        taken, moved = self.gathering.take(), self._old_peppers
        database, peppers = self.store.database, self.cache.peppers
        try:
            if taken:
                await self.threads.call(lambda: hand_in(database, taken))
        except FaceApiError:
            self.gathering.give_back(taken)
            raise
        if moved:
            await self.threads.call(lambda: self.store.rehash(moved.items(), peppers.current))
            self._old_peppers = {}

    async def _hand_in_for_ever(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(HAND_IN_S)
            rounds += 1
            try:
                await self.hand_in()
                if rounds % TIDY_EVERY == 0:
                    await self.threads.call(self._tidy)
            except FaceApiError as error:
                self._log.debug("use of keys not noted: %s", error)

    def _tidy(self) -> None:
        """Drops what nobody will look at again. Blocking."""
        now, database = time.time(), self.store.database
        forget_old(database, now)
        with database.write() as connection:
            prune(connection, self.settings.audit_keep)
        Sessions(database, self.settings).forget_old(now)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.error("a background task of access ended", exc_info=task.exception())


class _Prepared:
    """The store, made ready before the first question; it may have been down when the process started."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._prepared = False

    def changes_since(self, version: int) -> tuple[int, list[KeyRecord]]:
        if not self._prepared:
            self._store.database.prepare()
            self._prepared = True
        return self._store.changes_since(version)


def limiter_chain(settings: Settings, folder: Path, redis: Redis | None, counters: Counters) -> Limiter:
    """Redis where there is one, else all processes of this host together, else this process alone."""

    def note(name: str) -> None:
        counters.add(f"limiter_failures.{name}")

    share = 1 / max(1, settings.gateway_processes)
    exact = SqliteLimiter(folder)
    with contextlib.suppress(sqlite3.Error, OSError):  # then the first request finds out, and what to do instead
        exact.open()
    here: Limiter = FallbackLimiter(exact, MemoryLimiter(share), "host-wide", note)
    if redis is None:
        return here
    return FallbackLimiter(RedisLimiter(redis, settings.redis_timeout_ms / 1000), here, "Redis", note)


async def open_parts(settings: Settings, runtime_dir: Path) -> Parts:
    """Opens everything and starts its tasks. ConfigurationError."""
    store = open_store(settings)
    redis = _open_redis(settings)
    opening = StoreThreads()
    try:
        peppers = await opening.call(lambda: peppers_for(settings, store))
    finally:
        opening.close()
    parts = Parts(settings, store, peppers, runtime_dir, redis)
    with contextlib.suppress(StoreDown):  # said in the log; known again as soon as it answers
        await parts.cache.refresh()
    parts.start()
    return parts


def _open_redis(settings: Settings) -> Redis | None:
    if not settings.redis_url:
        return None
    try:
        return open_client(settings.redis_url, settings.redis_timeout_ms / 1000)
    except ValueError as error:
        raise ConfigurationError("FACE_API_REDIS_URL cannot be understood; write redis://host:6379/0") from error
