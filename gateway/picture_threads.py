"""Pictures in this process's own memory, worked on by a bounded pool of threads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor

import cv2

from gateway import memory_need
from gateway.byte_budget import ByteBudget
from gateway.headers.facts import Header
from gateway.image_header import check_limits, read_header
from gateway.masking import MaskOptions
from gateway.picture import Crop, Data, Masked, PictureFacts, facts_of, refuse_frames
from gateway.picture_work import Opened, mask_picture, open_picture
from shared.deadline import Deadline
from shared.errors import Overloaded
from shared.faces import Faces
from shared.processes import usable_cores
from shared.settings import Settings


class ThreadPicture:
    """A picture whose pixels lie in this process; see `gateway.picture.Picture`."""

    def __init__(self, owner: ThreadPictures, data: Data, opened: Opened, held: int) -> None:
        self.facts: PictureFacts = facts_of(opened.header, len(data))
        self.crops: tuple[Crop, ...] = opened.crops
        self.decode_ms = opened.decode_ms
        self.preprocess_ms = opened.preprocess_ms
        self._owner = owner
        self._data: Data | None = data
        self._opened: Opened | None = opened
        self._held = held

    async def mask(self, faces: Faces, options: MaskOptions) -> Masked:
        assert self._opened is not None, "the picture is closed"
        assert self._data is not None
        return await self._owner.run_mask(self._data, self._opened, faces, options)

    def close(self) -> None:
        if self._opened is None:
            return
        self._opened = self._data = None
        self.crops = ()
        self._owner.budget.give(self._held)


class ThreadPictures:
    """Opens pictures in threads; see `gateway.picture.Pictures`."""

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)  # one picture, one core: the pool is the only parallelism
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.decode_processes or usable_cores(), "picture")
        self.budget = ByteBudget(memory_need.budget(settings, memory_need.memory_of_host()))

    async def open(
        self, data: Data, *, sides: tuple[int, ...], deadline: Deadline, single_frame: bool
    ) -> ThreadPicture:
        header = read_header(memoryview(data))
        check_limits(header, self._settings)
        if single_frame:
            refuse_frames(header)
        held = self.budget.clamp(memory_need.to_decode(header))
        await self.budget.take(held, deadline, time.monotonic())
        work = self._threads.submit(self._open, data, header, sides, deadline, to_mask=single_frame)
        try:
            opened = await asyncio.wrap_future(work)
        except BaseException:
            self._give_when_done(work, held)
            raise
        return ThreadPicture(self, data, opened, held)

    def _open(self, data: Data, header: Header, sides: tuple[int, ...], deadline: Deadline, *, to_mask: bool) -> Opened:
        if deadline.passed(time.monotonic()):
            raise Overloaded
        return open_picture(memoryview(data), header, sides, self._settings, to_mask=to_mask)

    def _give_when_done(self, work: Future[Opened], held: int) -> None:
        """A caller may leave while the thread still works: its bytes stay counted until it is done."""
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self.budget.give, held))

    async def run_mask(self, data: Data, opened: Opened, faces: Faces, options: MaskOptions) -> Masked:
        work = self._threads.submit(mask_picture, memoryview(data), opened, faces, options, self._settings)
        return await asyncio.wrap_future(work)

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
