"""Blocking calls to a store, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shared.errors import StoreDown, Unavailable

Result = TypeVar("Result")

PEOPLES_PATIENCE_S = 20.0  # a password takes 64 MiB and, on a busy machine, seconds
THREADS = 4


class StoreThreads:
    """Runs blocking store calls beside the event loop; one that hangs is given up, not waited for.

    down: what is raised then, with what it was that did not answer.
    """

    def __init__(
        self, name: str = "The key store", down: Callable[[str], Unavailable] = StoreDown, threads: int = THREADS
    ) -> None:
        self._name, self._down = name, down
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name.removeprefix("The ").replace(" ", "-"))

    async def call(self, work: Callable[[], Result], patience_s: float = PEOPLES_PATIENCE_S) -> Result:
        """The result of `work`; StoreDown, or what is raised in its place, when the patience ends."""
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise self._down(f"{self._name} did not answer in time") from error

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
