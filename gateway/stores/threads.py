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


def _nothing() -> None:
    """To be done at a call's end."""


class StoreThreads:
    """Runs blocking store calls beside the event loop; one that hangs is given up, not waited for.

    It has its thread until it comes back; while all hang, whoever calls is refused at once. down: what is raised then,
    with what it was that did not answer.
    """

    def __init__(
        self, name: str = "The key store", down: Callable[[str], Unavailable] = StoreDown, threads: int = THREADS
    ) -> None:
        self._name, self._down = name, down
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name.removeprefix("The ").replace(" ", "-"))
        self._threads, self._hanging = threads, 0
        self._free = asyncio.Semaphore(threads)  # nothing waits in the pool itself, which could not let go of it

    async def call(
        self,
        work: Callable[[], Result],
        patience_s: float = PEOPLES_PATIENCE_S,
        ended: Callable[[], None] = _nothing,
    ) -> Result:
        """The result of `work`; StoreDown, or what is raised in its place, when the patience ends.

        ended: called once, in the event loop, when the work is over or will never begin.
        """
        running: asyncio.Future[Result] | None = None
        try:
            self.refuse_hanging()
            async with asyncio.timeout(patience_s):
                await self._free.acquire()
                running = asyncio.get_running_loop().run_in_executor(self._pool, work)
                running.add_done_callback(lambda _: self._over(ended))
                return await asyncio.shield(running)
        except TimeoutError as error:
            if running is not None and not running.done():
                self._hanging += 1
                running.add_done_callback(lambda _: self._came_back())
            raise self._down(f"{self._name} did not answer in time") from error
        finally:
            if running is None:
                ended()

    def refuse_hanging(self) -> None:
        """StoreDown, or what is raised in its place, while no call can begin."""
        if self._hanging >= self._threads:
            raise self._down(f"{self._name} does not answer: {self._hanging} calls hang")

    def _over(self, ended: Callable[[], None]) -> None:
        self._free.release()
        ended()

    def _came_back(self) -> None:
        self._hanging -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
