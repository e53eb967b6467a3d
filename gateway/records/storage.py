"""The storage of pictures as a gateway process has it: calls beside the event loop, a bounded queue, its condition."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.records.image import KeptImage, new_object
from gateway.stores.objects import Objects
from gateway.stores.threads import StoreThreads
from shared.errors import StorageDown

NAME = "The storage of pictures"
#: A picture on its way is given up after so long, and a read.
CALL_S_MAX = 20.0
#: Calls at once.
THREADS = 8

Result = TypeVar("Result")


@dataclass(slots=True)
class StorageCondition:
    """How it went lately. ready: the last time it was asked, it did what it was asked; why: else. Counted: since the
    start.
    """

    ready: bool = False
    why: str = "the storage of pictures was not asked yet"
    stored: int = 0
    lost: int = 0
    unconfirmed: int = 0
    swept: int = 0
    alone: int = 0
    missing: int = 0

    def unwell(self, why: str) -> None:
        self.ready, self.why = False, why


@dataclass(slots=True)
class Storage:
    """queue_bytes: most that wait to be stored; one picture may be larger, alone."""

    objects: Objects
    queue_bytes: int
    condition: StorageCondition = field(default_factory=StorageCondition)
    threads: StoreThreads = field(default_factory=lambda: StoreThreads(NAME, StorageDown, THREADS))
    waiting_bytes: int = 0
    _written: bool = False

    async def put(self, image: KeptImage, data: bytes | bytearray | memoryview) -> None:
        """StorageDown: it may be there all the same."""
        await self.call(partial(self.objects.put, image.object, data, image.media_type))
        self._well()
        self.condition.stored += 1

    async def read(self, name: str) -> bytes | None:
        return await self.call(partial(self.objects.read, name))

    async def delete(self, names: Sequence[str]) -> None:
        if names:
            await self.call(partial(self.objects.delete, names))

    async def probe(self) -> None:
        """Whether it can be written, where no picture has shown it since the last time."""
        if not (self._written and self.condition.ready):
            name = new_object()
            await self.call(partial(self.objects.put, name, b"probe", "text/plain"))
            await self.delete([name])
            self._well()
        self._written = False

    async def call(self, work: Callable[[], Result]) -> Result:
        """Beside the event loop; the condition is told where it went wrong."""
        try:
            return await self.threads.call(work, CALL_S_MAX)
        except StorageDown as error:
            self.condition.unwell(error.why)
            raise

    def _well(self) -> None:
        self._written, self.condition.ready, self.condition.why = True, True, ""

    @contextlib.contextmanager
    def room(self, size: int) -> Iterator[None]:
        """In the queue, for one picture on its way. StorageDown for none, and whatever is raised inside: it is lost."""
        try:
            if self.waiting_bytes and self.waiting_bytes + size > self.queue_bytes:
                raise StorageDown("Too many pictures wait to be stored")  # the condition is not told: it may be well
            self.waiting_bytes += size
            try:
                yield
            finally:
                self.waiting_bytes -= size
        except StorageDown:
            self.condition.lost += 1
            raise
