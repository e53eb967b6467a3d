"""What stands behind the door: store, cache, limiters, counters, and the tasks that keep them going.

It alone opens and closes them, in order, for one gateway process.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

from redis.asyncio import Redis

from gateway.access.rate_limit import FallbackLimiter, Limiter, MemoryLimiter
from gateway.access.rate_limit_redis import RedisLimiter, open_client
from gateway.access.rate_limit_sqlite import SqliteLimiter
from gateway.console.sessions import Sessions
from gateway.edge.client_ip import ClientAddresses
from gateway.keys.announce import Listening, announce
from gateway.keys.audit import prune
from gateway.keys.cache import KeyCache, StoreThreads
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import Peppers, load_peppers
from gateway.keys.records import Changes
from gateway.keys.store import KeyStore
from gateway.keys.usage import Gathering, day_of, forget_old, hand_in
from gateway.reporting.counters import HAND_IN_S as COUNTS_S
from gateway.reporting.counters import Counters, Present
from shared.access_rules import parse_networks
from shared.errors import ConfigurationError, FaceApiError, StoreDown
from shared.settings import Settings
from shared.supervision import Loop, Loops

HAND_IN_S = 60.0
TIDY_S = 3600.0
MOST_MOVED = 1000  # keys that wait to be moved to another pepper


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
        self.news = Listening(redis, self.cache.poke) if redis is not None else None
        self.gathering = Gathering()
        self._old_peppers: dict[str, tuple[str, str]] = {}
        self._tidied_at = time.monotonic()
        self._kept: list[Loop] = []
        self._log = logging.getLogger("face_api.access")
        self.counters.say_of_now(lambda: Present(use=self.gathering.on_day(day_of(time.time()))))

    def start(self, loops: Loops) -> None:
        self._kept = [
            loops.keep("key_cache", self.cache.round, 0.0, last_round_s=0.0),
            loops.keep("counts", self.counters.hand_in, COUNTS_S),
            loops.keep("key_use", self._keep_store, HAND_IN_S),
        ]
        if self.news is not None:
            self._kept.append(loops.keep("key_news", self.news.round, 0.0, last_round_s=0.0))

    async def aclose(self) -> None:
        """In order, whatever fails: the loops, what they gathered, then what they stood on."""
        async with contextlib.AsyncExitStack() as last:
            last.callback(self.store.database.close)
            last.callback(self.threads.close)
            last.push_async_callback(self.cache.aclose)
            last.callback(self.counters.close)
            if self.redis is not None:
                last.push_async_callback(self.redis.aclose)
            last.push_async_callback(self.limiter.aclose)
            if self.news is not None:
                last.push_async_callback(self.news.aclose)
            last.push_async_callback(self._hand_in_at_last)
            for loop in self._kept:
                last.push_async_callback(loop.end)

    def note_old_pepper(self, key_id: str, key: bytes) -> None:
        """A key was used that an earlier pepper hashed: it moves to the present one with the next hand-in."""
        if len(self._old_peppers) < MOST_MOVED:
            peppers = self.cache.peppers
            self._old_peppers[key_id] = (peppers.digest(key), peppers.current)

    async def keys_changed(self) -> None:
        """This process just changed keys: it knows at once, the others as soon as they can be told."""
        with contextlib.suppress(FaceApiError):
            await self.cache.refresh()
        if self.redis is not None:
            await announce(self.redis)

    async def hand_in(self) -> None:
        """Tells the store what keys were used for. What it cannot take now is kept."""
        await self._hand_in_use()
        await self._hand_in_moved()

    async def _hand_in_use(self) -> None:
        taken, database = self.gathering.take(), self.store.database
        if not taken:
            return
        try:
            await self.threads.call(lambda: hand_in(database, taken))
        except Exception:
            self.gathering.give_back(taken)
            raise

    async def _hand_in_moved(self) -> None:
        # Handed over, not shared: while a thread writes these, the loop gathers others.
        moved, self._old_peppers = self._old_peppers, {}
        if not moved:
            return
        try:
            await self.threads.call(lambda: self.store.rehash(moved))
        except Exception:
            self._old_peppers = moved | self._old_peppers
            raise

    async def _hand_in_at_last(self) -> None:
        self.counters.hand_in()
        with contextlib.suppress(FaceApiError):
            await self.hand_in()

    async def _keep_store(self) -> None:
        """One round: hands in, and now and then tidies. A store that is down is no failure: what it missed is kept."""
        try:
            await self.hand_in()
            if time.monotonic() - self._tidied_at >= TIDY_S:
                await self.threads.call(self._tidy)
                self._tidied_at = time.monotonic()
        except FaceApiError as error:
            self._log.debug("use of keys not noted: %s", error)

    def _tidy(self) -> None:
        """Drops what nobody will look at again. Blocking."""
        now, database = time.time(), self.store.database
        forget_old(database, now)
        with database.write() as connection:
            prune(connection, self.settings.audit_keep)
        Sessions(database, self.settings).forget_old(now)


class _Prepared:
    """The store, made ready before the first question; it may have been down when the process started."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._prepared = False

    def changes_since(self, version: int) -> Changes:
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


async def open_parts(settings: Settings, runtime_dir: Path, loops: Loops) -> Parts:
    """Opens everything and starts its loops. ConfigurationError."""
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
    parts.start(loops)
    return parts


def _open_redis(settings: Settings) -> Redis | None:
    if not settings.redis_url:
        return None
    try:
        return open_client(settings.redis_url, settings.redis_timeout_ms / 1000)
    except ValueError as error:
        raise ConfigurationError("FACE_API_REDIS_URL cannot be understood; write redis://host:6379/0") from error
