"""The keys as one gateway process has them: the store, what is known of it in memory, how others hear of changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.keys.cache import KeyCache
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import load_peppers, pepper_files
from gateway.keys.records import Changes
from gateway.keys.store import Store
from gateway.stores.threads import StoreThreads
from shared.errors import FaceApiError, StoreDown
from shared.file_marks import Mark
from shared.settings import Settings

if TYPE_CHECKING:  # who has no Redis does not load its library
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class Keys:
    """store: blocking, to be called in `threads`. redis: by which other hosts are told, where there is one."""

    store: Store
    threads: StoreThreads
    cache: KeyCache
    redis: Redis | None = None

    async def changed(self) -> None:
        """This process just changed keys: it knows at once, the others as soon as they can be told."""
        with contextlib.suppress(FaceApiError):
            await self.cache.refresh()
        if self.redis is not None:
            from gateway.keys.announce import announce

            await announce(self.redis)


@contextlib.asynccontextmanager
async def open_keys(settings: Settings, redis: Redis | None) -> AsyncIterator[Keys]:
    """Opens the store of the settings and asks it once; one that is down stops nothing. ConfigurationError."""
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(settings)
        stack.callback(store.database.close)
        threads = StoreThreads()
        stack.callback(threads.close)
        peppers = await threads.call(lambda: peppers_for(settings, store))
        cache = KeyCache(
            _Prepared(store, settings),
            threads,
            lambda: load_peppers(settings, make=False) or peppers,
            check_seconds=settings.key_check_seconds,
            grace_seconds=settings.key_grace_seconds,
        )
        stack.push_async_callback(cache.aclose)
        with contextlib.suppress(StoreDown):  # said in the log; known again as soon as it answers
            await cache.refresh()
        yield Keys(store, threads, cache, redis)


class _Prepared:
    """The store, made ready before the first question; it may have been down when the process started."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._prepared = False

    def mark(self) -> Mark | None:
        return self._store.mark(*pepper_files(self._settings))

    def changes_since(self, version: int) -> Changes:
        if not self._prepared:
            self._store.database.prepare()
            self._prepared = True
        return self._store.changes_since(version)
