"""One owner of a picture from its bytes to its last use: open → facts and crops, mask → bytes, close.

Its pixels live in a child process: a crash or a loop in a decoder costs one picture an error, and nothing else.

Alone knows how long a picture's bytes are counted, how one is decoded again that was lost with its child, and when a
picture is held to be what crashes decoders: not after one crash, since damage that an earlier file did to a
child may fell it, too; a second one does, in a child that has held nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

import numpy as np

from gateway.pictures import memory_need
from gateway.pictures.byte_budget import ByteBudget
from gateway.pictures.child_crew import Crew
from gateway.pictures.crop_memory import CropMemory
from gateway.pictures.encode import OUTPUTS, refuse_too_long
from gateway.pictures.exif_tags import Metadata
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions, refuse_to_keep
from gateway.pictures.overlay_file import OverlayFile
from gateway.pictures.picture_facts import Crop, Data, Masked, PictureFacts, decoders_of, facts_of, refuse_to_mask
from gateway.pictures.picture_jobs import ChildAnswer, CrashedError, Doer, Job, LostError
from gateway.pictures.picture_messages import Mask, MaskDone, Open, Opened
from gateway.pictures.sandbox.report import Sandbox
from gateway.pictures.views import crop_of, shapes_of
from shared.errors import BadImage, ConfigurationError
from shared.settings import Settings


class Picture:
    """One decoded picture. Times in milliseconds. Not used by two tasks at once.

    facts: of the upright picture. crops: as they were asked for; of a picture that is partly transparent each twice.
    """

    def __init__(
        self,
        owner: Pictures,
        data: Data,
        header: Header,
        sides: tuple[int, ...],
        *,
        to_mask: bool,
        kept: bool,
        tiles: int,
        metadata: Metadata,
        reach: int,
        planar: bool,
    ) -> None:
        self.facts: PictureFacts = facts_of(header, len(data))
        self.crops: tuple[Crop, ...] = ()
        self.decode_ms = 0.0
        self.preprocess_ms = 0.0
        self._owner, self._header, self._sides = owner, header, sides
        self._to_mask, self._kept, self._tiles, self._metadata = to_mask, kept, tiles, metadata
        self._reach, self._planar = reach, planar
        self._data: Data | None = data
        self._job: Job | None = None
        self._child: Doer | None = None
        self._id = owner.next_id()
        self._held = 0
        self._crashes = 0

    @property
    def seen_twice(self) -> bool:
        """Whether it is partly transparent, so that its crops show it as it looks on white as well."""
        sides = [crop.side for crop in self.crops if not crop.tile]
        return len(sides) > len(set(sides))

    @property
    def media_type(self) -> str:
        """Of the file as it came."""
        return INPUTS[self._header.format].media_type

    async def decode(self) -> None:
        """Has a child decode the file; the crops are there afterwards."""
        if not self._held:
            need = (
                memory_need.holding(self._header, self._sides, self._tiles, to_mask=self._to_mask) + self._kept_bytes()
            )
            self._held = await self._owner.holding.take(need)
        answer = None
        while answer is None:
            try:
                (answer,) = await self._ask(self._decoding_need(), self._opening(self._sides, self._tiles, self._reach))
            except CrashedError as crash:
                self._count(crash)
        assert isinstance(answer.message, Opened)
        self.crops = self._crops_of(answer)
        self.decode_ms, self.preprocess_ms = answer.message.decode_ms, answer.message.preprocess_ms

    async def mask(self, marks: Marks, options: MaskOptions, overlay: OverlayFile | None = None) -> Masked:
        """Hides what is marked and encodes. overlay: a caller's own, for a method that lays one.

        Raises BadParameter, BadImage, Unavailable; never hides less.
        """
        assert self._data is not None, "the picture is closed"
        refuse_too_long(options.format, self.facts.width, self.facts.height)
        refuse_to_keep(self._header, options)
        answer = None
        while answer is None:
            try:
                answer = await self._masked(marks, options, overlay)
            except CrashedError as crash:
                self._count(crash)
            except LostError:
                continue  # decoded again
        done = answer.message
        assert isinstance(done, MaskDone)
        data = answer.memory[: done.size]
        media_type = OUTPUTS[options.format].media_type
        return Masked(data, media_type, done.weak, done.as_stored, done.mask_ms, done.encode_ms)

    def close(self) -> None:
        """Frees every byte as soon as no child works on it; may be called again."""
        if self._data is None:
            return
        self._data, self.crops = None, ()
        if self._job is None:
            self._release()
        else:
            self._job.when_over(self._release)  # a child may still work on it

    async def _masked(self, marks: Marks, options: MaskOptions, overlay: OverlayFile | None) -> ChildAnswer:
        """The masked picture; decoded again first, in one go, where no child holds it (any more)."""
        kept_bytes = self.facts.size_bytes * options.keeps
        need = memory_need.masking(self._header, options.format, kept_bytes, overlay.header if overlay else None)
        planar = self._planar and options.writes_planes
        opened_for_it = (self._kept, self._planar) == (options.keeps, planar)
        if self._child is not None and not self._child.gone and opened_for_it:
            (answer,) = await self._ask(need, self._masking(marks, options, overlay, self._child))
            return answer
        self._to_mask, self._kept, self._planar, self._child = True, options.keeps, planar, None
        jobs = self._opening((), 0), self._masking(marks, options, overlay, None)
        _opened, answer = await self._ask(max(need, self._decoding_need()), *jobs)
        return answer

    def _opening(self, sides: tuple[int, ...], tiles: int, reach: int = 0) -> Job:
        """The crops must be what the header announces: a child is not trusted with our own sizes."""
        assert self._data is not None
        wanted = sides, self._to_mask, tiles, self._kept, self._metadata, reach, self._planar
        message = Open(self._id, self._header, len(self._data), *wanted)
        shapes = tuple(shapes_of(self.facts.width, self.facts.height, sides, tiles))
        right = (shapes, shapes * 2)  # twice: as it looks on white as well
        return Job(
            message,
            self._data,
            _future(),
            lambda said: isinstance(said, Opened) and said.crops in right,
            alone=self._crashes > 0,
        )

    def _masking(self, marks: Marks, options: MaskOptions, overlay: OverlayFile | None, child: Doer | None) -> Job:
        data, header = (overlay.data, overlay.header) if overlay else (b"", None)
        message = Mask(self._id, len(marks.faces), len(marks.own), options, header, len(data))
        most = memory_need.encoded_most(self._header)
        return Job(
            message,
            marks.packed() + data,
            _future(),
            lambda said: isinstance(said, MaskDone) and said.size <= most,
            child,
        )

    def _decoding_need(self) -> int:
        return memory_need.decoding(self._header, to_mask=self._to_mask) + self._kept_bytes()

    def _kept_bytes(self) -> int:
        return self.facts.size_bytes * self._kept

    def _count(self, crash: CrashedError) -> None:
        """It has another try, alone in a fresh child; the second crash, if it was alone, is its doing: BadImage."""
        self._crashes, self._child = self._crashes + 1, None
        if self._crashes > 1 and crash.alone:
            raise BadImage("The picture could not be processed: the decoder failed on it") from None

    async def _ask(self, need: int, *jobs: Job) -> list[ChildAnswer]:
        """A child's answers, with `need` bytes counted as in use from before it begins until it is over.

        jobs: each follows the one before, in the same child with nothing in between.
        """
        working, crew = self._owner.working, self._owner.crew
        taken = await working.take(need)
        for job, following in itertools.pairwise(jobs):
            job.then = following
        try:
            crew.submit(jobs[0])
            answers = [await job.answer for job in jobs]
            self._child = jobs[-1].child if self._to_mask else None
            return answers
        finally:
            for job in jobs:
                crew.withdraw(job)
            self._job = next((job for job in reversed(jobs) if job.started), jobs[0])
            self._job.when_over(lambda: working.give(taken))

    def _crops_of(self, answer: ChildAnswer) -> tuple[Crop, ...]:
        assert isinstance(answer.message, Opened)
        crops, start = [], 0
        for shape in answer.message.crops:
            end = start + shape.rows * shape.cols * 3
            pixels = np.frombuffer(answer.memory[start:end], np.uint8).reshape(shape.rows, shape.cols, 3)
            crops.append(crop_of(shape, pixels))
            start = end
        return tuple(crops)

    def _release(self) -> None:
        child = None if self._job is None else self._job.child
        if child is not None and self._to_mask:
            child.forget(self._id)
        self._child = None
        self._owner.holding.give(self._held)
        self._held = 0


def _future() -> asyncio.Future[ChildAnswer]:
    return asyncio.get_running_loop().create_future()


class Pictures:
    """Opens pictures in child processes, a bounded number and a bounded number of bytes at once.

    holding: bytes of pictures that are open. working: bytes at the peaks of what children do at this moment. Two
    budgets, since who holds bytes while he waits for more could wait for himself. crops: where crops are to lie; None:
    anywhere.
    """

    def __init__(self, settings: Settings, crops: CropMemory | None = None) -> None:
        self._settings = settings
        self._ids = itertools.count(1)
        total = memory_need.budget(settings, memory_need.memory_of_host())
        self.holding, self.working = ByteBudget(total // 2), ByteBudget(total - total // 2)
        self.crew = Crew(settings, decoders_of(settings), crops)

    @property
    def deaths(self) -> int:
        """Children that ended without being asked to, since the start."""
        return self.crew.deaths

    @property
    def sandbox(self) -> Sandbox:
        """How the children are shut in."""
        return self.crew.sandbox

    async def start(self) -> None:
        """Returns when the children can work. Raises ConfigurationError when they cannot."""
        if sys.platform != "linux":
            raise ConfigurationError(
                "Pictures are decoded in processes of their own, in memory that only Linux shares and shut in as only "
                "Linux can: run the service in a Linux container or virtual machine"
            )
        await self.crew.start()

    async def open(
        self,
        data: Data,
        *,
        sides: tuple[int, ...],
        to_mask: bool,
        header: Header | None = None,
        kept: bool = False,
        tiles: int = 0,
        metadata: Metadata = "none",
        reach: int = 0,
        planar: bool = False,
    ) -> Picture:
        """The picture, one crop per side, and at most so many tiles. `data` must stay unchanged until it is closed.

        to_mask: refuse animated and multi-page files (for mask). kept: to change only blocks of the file. header: of
        `data`, where it was read and found within the limits before. metadata: what of the file's goes into the masked
        picture. reach, planar: as in `Open`. Raises BadImage, TooLarge, Unavailable.
        """
        if header is None:
            header = read_header(memoryview(data))
            check_limits(header, self._settings)
        if to_mask:
            refuse_to_mask(header)
        picture = Picture(
            self, data, header, sides,
            to_mask=to_mask, kept=kept, tiles=tiles, metadata=metadata, reach=reach, planar=planar,
        )  # fmt: skip
        try:
            await picture.decode()
        except BaseException:
            picture.close()
            raise
        return picture

    async def aclose(self) -> None:
        await self.crew.aclose()

    def next_id(self) -> int:
        return next(self._ids)


async def open_pictures(settings: Settings, crops: CropMemory | None = None) -> Pictures:
    """The owner of all pictures of this gateway process. Raises ConfigurationError when it cannot start."""
    pictures = Pictures(settings, crops)
    await pictures.start()
    return pictures
