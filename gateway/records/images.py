"""The images as one gateway process has them: read, deleted, swept. `keeping.py` makes them, beside their jobs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.records import image_table
from gateway.records.image import Doomed, KeptImage
from gateway.records.storage import Room, Storage
from gateway.records.storage_mark import settle
from gateway.stores.database import Database
from gateway.stores.threads import StoreThreads
from shared.errors import ConfigurationError, FaceApiError, NotFound, StorageDown, Unavailable

#: A database call that takes longer is given up.
CALL_S_MAX = 5.0
#: How often is swept; a full sweep is followed by the next, and what is down is asked again soon.
SWEEP_S, NEXT_SWEEP_S, RETRY_S = 30.0, 0.05, 1.0
#: How long a URL works that anybody may use.
URL_S = 300

Result = TypeVar("Result")


@dataclass(slots=True)
class Images:
    """threads: for the database; the storage has its own. ttl_s: the longest that a picture is kept. now: wall-clock
    time. originals: whether pictures are kept as they came, too.
    """

    storage: Storage
    database: Database
    threads: StoreThreads
    ttl_s: float
    originals: bool = False
    now: Callable[[], float] = time.time
    _settled: bool = False
    _settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sweep_pause_s: float = SWEEP_S

    async def page(self, key_id: str, before: str, limit: int) -> list[KeptImage]:
        """A key's images, newest first. before: the id of the last one already seen, or nothing. StoreDown."""
        return await self.asked(lambda: image_table.page(self.database, key_id, before, limit, self.now()))

    async def one(self, key_id: str, image_id: str) -> KeptImage:
        """NotFound, also for another key's; StoreDown."""
        image = await self.asked(lambda: image_table.one(self.database, key_id, image_id, self.now()))
        if image is None:
            raise _no_such()
        return image

    async def content(self, key_id: str, image_id: str) -> tuple[KeptImage, bytes]:
        """NotFound, StoreDown, StorageDown."""
        image = await self.one(key_id, image_id)
        data = await self.storage.read(image.object)
        if data is None:  # deleted a moment ago, or behind our back
            raise _no_such()
        return image, data

    async def url(self, key_id: str, image_id: str) -> tuple[str, float]:
        """A URL with which anybody may read it, and until when in seconds since the epoch. NotFound where it is in a
        folder, and as above.
        """
        image, now = await self.one(key_id, image_id), self.now()
        seconds = max(1, min(URL_S, int(image.expires_at - now)))
        url = await self.storage.call(partial(self.storage.objects.url, image.object, seconds))
        if url is None:
            raise NotFound("Pictures are kept in a folder, which has no URLs: ask for this one's /content")
        return url, now + seconds

    async def put(self, image: KeptImage, data: bytes | bytearray | memoryview, room: Room) -> None:
        """StorageDown: it may be there all the same."""
        if not self._settled:
            raise StorageDown(self.storage.condition.why)
        await self.storage.put(image, data, room)

    async def delete(self, key_id: str, image_id: str) -> bool:
        """Whether it is gone already; else it is as soon as the storage is back. NotFound, StoreDown."""
        doomed = await self.asked(lambda: image_table.doom_one(self.database, key_id, image_id, self.now()))
        if not doomed:
            raise _no_such()
        return await self.tried(doomed)

    async def tried(self, doomed: Sequence[Doomed]) -> bool:
        """Whether they are gone now; where not, the sweeper goes on."""
        with contextlib.suppress(Unavailable):
            await self.finish(doomed)
            return True
        return False

    async def finish(self, doomed: Sequence[Doomed]) -> None:
        """First the objects, then the rows. StorageDown, StoreDown: the sweeper goes on."""
        if doomed:
            await self.storage.delete([each.object for each in doomed])
            await self.asked(partial(image_table.forget, self.database, doomed))

    async def sweep(self) -> None:
        """One round: whether the storage can be used, and what is due is deleted."""
        self._sweep_pause_s = RETRY_S
        with contextlib.suppress(FaceApiError):  # told by the conditions
            await self.settle()
            await self.storage.probe()
            doomed = await self.asked(lambda: image_table.take_due(self.database, self.now()))
            await self.finish(doomed)
            self.storage.condition.swept += len(doomed)
            full = len(doomed) == image_table.SWEPT_TOGETHER_MAX
            self._sweep_pause_s = NEXT_SWEEP_S if full else SWEEP_S

    def events(self) -> dict[str, int]:
        """What became of pictures since the start, as metrics tell it."""
        told = self.storage.condition
        return {
            "images_stored": told.stored,
            "images_lost": told.lost,
            "images_unconfirmed": told.unconfirmed,
            "images_swept": told.swept,
            "images_without_row": told.alone,
            "images_without_object": told.missing,
        }

    def sweep_pause_s(self) -> float:
        return self._sweep_pause_s if self.storage.condition.ready else RETRY_S

    async def settle(self) -> None:
        """Before anything is written, and again and again: a folder can be unmounted. ConfigurationError where the
        storage is another database's, or not where its pictures are.
        """
        async with self._settling:  # so that what was seen last counts
            try:
                await self.storage.call(partial(settle, self.database, self.storage.objects))
            except ConfigurationError as error:
                self._settled = False
                self.storage.condition.unwell(str(error))
                raise
            self._settled = True

    async def asked(self, work: Callable[[], Result]) -> Result:
        """Of the database, beside the event loop. StoreDown."""
        return await self.threads.call(work, CALL_S_MAX)


def _no_such() -> NotFound:
    return NotFound("No such image: it expired, was deleted, or is another key's")
