"""Pictures in this process's own memory, worked on by a bounded pool of threads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor

import cv2

from gateway.pictures import memory_need
from gateway.pictures.byte_budget import ByteBudget
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.masking import OUTPUT_FORMATS, MaskOptions
from gateway.pictures.picture import Crop, Data, Masked, PictureFacts, decoders_of, facts_of, refuse_to_mask
from gateway.pictures.picture_work import Opened, mask_picture, open_picture
from gateway.pictures.sandbox.report import Sandbox
from shared.deadline import Deadline
from shared.errors import Overloaded
from shared.faces import Faces
from shared.settings import Settings


class ThreadPicture:
    """A picture whose pixels lie in this process; see `gateway.pictures.picture.Picture`."""

    def __init__(self, owner: ThreadPictures, data: Data, header: Header, opened: Opened, held: int) -> None:
        self.facts: PictureFacts = facts_of(header, len(data))
        self.crops: tuple[Crop, ...] = opened.crops
        self.decode_ms = opened.decode_ms
        self.preprocess_ms = opened.preprocess_ms
        self._owner, self._header, self._held = owner, header, held
        self._data: Data | None = data
        self._opened: Opened | None = opened

    async def mask(self, faces: Faces, options: MaskOptions) -> Masked:
        assert self._data is not None, "the picture is closed"
        if self._opened is None:  # it was opened to detect
            self._opened = await self._owner.decode(self._data, self._header, (), to_mask=True)
        return await self._owner.mask(self._opened, faces, options)

    def forget_pixels(self) -> None:
        """Detect needs the crops alone."""
        self._opened = None
        keep = min(self._held, sum(crop.pixels.nbytes for crop in self.crops))
        self._owner.budget.give(self._held - keep)
        self._held = keep

    def close(self) -> None:
        if self._data is None:
            return
        self._opened = self._data = None
        self.crops = ()
        self._owner.budget.give(self._held)


class ThreadPictures:
    """Opens pictures in threads; see `gateway.pictures.picture.Pictures`.

    For development and systems without anonymous memory: a decoder that crashes ends this process, one that loops
    keeps its thread, and what libjpeg says of damage is not heard.
    """

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)  # one picture, one core: the pool is the only parallelism
        self._settings = settings
        self._threads = ThreadPoolExecutor(decoders_of(settings), "picture")
        self.budget = ByteBudget(memory_need.budget(settings, memory_need.memory_of_host()))

    @property
    def deaths(self) -> int:
        """A thread does not die alone."""
        return 0

    @property
    def sandbox(self) -> Sandbox:
        """Nothing is around threads."""
        return Sandbox(notes=("pictures are decoded in threads; FACE_API_DECODE_ISOLATION=process shuts them in",))

    async def open(
        self,
        data: Data,
        *,
        sides: tuple[int, ...],
        deadline: Deadline,
        single_frame: bool,
        header: Header | None = None,
        tiles: int = 0,
    ) -> ThreadPicture:
        if header is None:
            header = read_header(memoryview(data))
            check_limits(header, self._settings)
        if single_frame:
            refuse_to_mask(header)
        held = await self.budget.take(_at_most(header, sides, tiles, to_mask=single_frame), deadline, time.monotonic())
        work = self._threads.submit(self._in_time, deadline, memoryview(data), header, sides, single_frame, tiles)
        try:
            opened = await asyncio.wrap_future(work)
        except BaseException:
            self._give_when_done(work, held)
            raise
        picture = ThreadPicture(self, data, header, opened, held)
        if not single_frame:
            picture.forget_pixels()
        return picture

    async def decode(self, data: Data, header: Header, sides: tuple[int, ...], *, to_mask: bool) -> Opened:
        work = self._threads.submit(open_picture, memoryview(data), header, sides, self._settings, to_mask=to_mask)
        return await asyncio.wrap_future(work)

    async def mask(self, opened: Opened, faces: Faces, options: MaskOptions) -> Masked:
        work = self._threads.submit(mask_picture, opened, faces, options, self._settings)
        return await asyncio.wrap_future(work)

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    def _in_time(
        self, deadline: Deadline, data: memoryview, header: Header, sides: tuple[int, ...], to_mask: bool, tiles: int
    ) -> Opened:
        if deadline.passed(time.monotonic()):
            raise Overloaded
        return open_picture(data, header, sides, self._settings, to_mask=to_mask, tiles=tiles)

    def _give_when_done(self, work: Future[Opened], held: int) -> None:
        """A caller may leave while the thread still works: its bytes stay counted until it is done."""
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self.budget.give, held))


def _at_most(header: Header, sides: tuple[int, ...], tiles: int, *, to_mask: bool) -> int:
    """Bytes at the highest peak of a picture's life, counted from its beginning."""
    stays = memory_need.holding(header, sides, tiles, to_mask=to_mask)
    peaks = [memory_need.decoding(header, to_mask=to_mask)]
    if to_mask:
        peaks += [memory_need.masking(header, output) for output in OUTPUT_FORMATS]
    return stays + max(peaks)
