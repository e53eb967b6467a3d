"""The storage of pictures as a gateway process has it: calls beside the event loop, a bounded queue, its condition."""

from __future__ import annotations

import contextlib
import logging
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
NOT_ASKED = "the storage of pictures was not asked yet"

Result = TypeVar("Result")


@dataclass(slots=True)
class StorageCondition:
    """How it went lately. ready: the last time it was asked, it did what it was asked; why: else. Counted: since the
    start.
    """

    ready: bool = False
    why: str = NOT_ASKED
    stored: int = 0
    lost: int = 0
    unconfirmed: int = 0
    swept: int = 0
    alone: int = 0
    missing: int = 0

    def unwell(self, why: str) -> None:
        if why != self.why:
            logging.getLogger("face_api.storage").error("%s", why)
        self.ready, self.why = False, why

    def well(self) -> None:
        if self.why and self.why != NOT_ASKED:
            logging.getLogger("face_api.storage").warning("the storage of pictures can be used again")
        self.ready, self.why = True, ""


@dataclass(slots=True)
class Storage:
    """queue_bytes: most that wait to be stored; one picture may be larger, alone."""

    objects: Objects
    queue_bytes: int
    condition: StorageCondition = field(default_factory=StorageCondition)
    threads: StoreThreads = field(default_factory=lambda: StoreThreads(NAME, StorageDown, THREADS))
    waiting_bytes: int = 0
    _written: bool = False

    async def put(self, image: KeptImage, data: bytes | bytearray | memoryview, room: Room) -> None:
        """StorageDown: it may be there all the same, unless it comes when nobody waits for it any more."""
        room.take()
        put = _Put(self.objects, image, data)
        try:
            await self.call(put, room.leave)
        except BaseException:
            put.wanted = False
            raise
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
            await self.call(partial(try_storage, self.objects))
            self._well()
        self._written = False

    async def call(self, work: Callable[[], Result], ended: Callable[[], None] = lambda: None) -> Result:
        """Beside the event loop; the condition is told where it went wrong. ended: when it is over, or never begins."""
        try:
            return await self.threads.call(work, CALL_S_MAX, ended)
        except StorageDown as error:
            self.condition.unwell(error.why)
            raise

    def _well(self) -> None:
        self._written = True
        self.condition.well()

    @contextlib.contextmanager
    def room(self, size: int) -> Iterator[Room]:
        """In the queue, for one picture on its way. StorageDown for none, and whatever is raised inside: it is lost."""
        try:
            self.threads.refuse_hanging()
            if self.waiting_bytes and self.waiting_bytes + size > self.queue_bytes:
                raise StorageDown("Too many pictures wait to be stored")  # the condition is not told: it may be well
            room = Room(self, size)
            room.take()
            try:
                yield room
            finally:
                room.leave()
        except StorageDown:
            self.condition.lost += 1
            raise


def try_storage(objects: Objects) -> None:
    """Whether it takes objects and lets go of them; blocking. StorageDown."""
    name = new_object()
    objects.put(name, b"probe", "text/plain")
    objects.delete([name])


@dataclass(slots=True)
class Room:
    """Of one picture's bytes in the queue: free when all that hold them have left, a put that hangs among them."""

    storage: Storage
    size: int
    _holders: int = 0

    def take(self) -> None:
        self.storage.waiting_bytes += 0 if self._holders else self.size
        self._holders += 1

    def leave(self) -> None:
        self._holders -= 1
        self.storage.waiting_bytes -= 0 if self._holders else self.size


@dataclass(slots=True)
class _Put:
    """Blocking. What comes when it is wanted no more is deleted again: its row may be gone."""

    objects: Objects
    image: KeptImage
    data: bytes | bytearray | memoryview
    wanted: bool = True

    def __call__(self) -> None:
        self.objects.put(self.image.object, self.data, self.image.media_type)
        if not self.wanted:
            self.objects.delete([self.image.object])
