"""Blocking calls to the key store, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shared.errors import StoreDown

Result = TypeVar("Result")

PEOPLES_PATIENCE_S = 20.0  # a password takes 64 MiB and, on a busy machine, seconds
THREADS = 4


class StoreThreads:
    """Runs blocking store calls beside the event loop; one that hangs is given up, not waited for."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="key-store")

    async def call(self, work: Callable[[], Result], patience_s: float = PEOPLES_PATIENCE_S) -> Result:
        """The result of `work`; StoreDown when the patience ends."""
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise StoreDown("The key store did not answer in time") from error

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
