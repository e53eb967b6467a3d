"""Pictures that live in child processes: a crash or a loop in a decoder costs one picture an error, and nothing else.

Alone knows how long a picture's bytes are counted, and how one is decoded again that was lost with its child.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import numpy as np

from gateway.pictures import memory_need
from gateway.pictures.byte_budget import ByteBudget
from gateway.pictures.child_crew import Crew, LostError
from gateway.pictures.child_process import Answer, Child, Job
from gateway.pictures.encode import MEDIA_TYPES, refuse_too_long
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_header import check_limits, read_header
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import Crop, Data, Masked, PictureFacts, decoders_of, facts_of, refuse_frames
from gateway.pictures.picture_messages import CropShape, Mask, MaskDone, Open, Opened
from shared.deadline import Deadline
from shared.errors import BadImage, DeadlineExceeded
from shared.faces import Faces
from shared.settings import Settings


class ProcessPicture:
    """A picture whose pixels a child holds; see `gateway.pictures.picture.Picture`."""

    def __init__(
        self,
        owner: ProcessPictures,
        data: Data,
        header: Header,
        sides: tuple[int, ...],
        deadline: Deadline,
        *,
        to_mask: bool,
    ) -> None:
        self.facts: PictureFacts = facts_of(header, len(data))
        self.crops: tuple[Crop, ...] = ()
        self.decode_ms = 0.0
        self.preprocess_ms = 0.0
        self._owner, self._header, self._sides, self._deadline = owner, header, sides, deadline
        self._to_mask = to_mask
        self._data: Data | None = data
        self._job: Job | None = None
        self._child: Child | None = None
        self._id = owner.next_id()
        self._held = 0

    async def decode(self) -> None:
        """Has a child decode the file; the crops are there afterwards."""
        assert self._data is not None
        if not self._held:
            need = memory_need.holding(self._header, self._sides, to_mask=self._to_mask)
            self._held = await self._owner.holding.take(need, self._deadline, time.monotonic())
        message = Open(self._id, self._header, len(self._data), self._sides, self._to_mask)
        need = memory_need.decoding(self._header, to_mask=self._to_mask)
        answer = await self._ask(message, self._data, need, None)
        assert isinstance(answer.message, Opened)
        self.crops = self._checked_crops(answer)
        self.decode_ms, self.preprocess_ms = answer.message.decode_ms, answer.message.preprocess_ms

    async def mask(self, faces: Faces, options: MaskOptions) -> Masked:
        assert self._data is not None, "the picture is closed"
        refuse_too_long(options.format, self.facts.width, self.facts.height)
        message, boxes = Mask(self._id, len(faces), options), faces.boxes.astype(np.float32).tobytes()
        need, answer = memory_need.masking(self._header, options.format), None
        while answer is None:
            await self._decode_again_if_lost()
            with contextlib.suppress(LostError):
                answer = await self._ask(message, boxes, need, self._child)
        done = answer.message
        assert isinstance(done, MaskDone)
        data = answer.memory[: done.size]
        return Masked(data, MEDIA_TYPES[options.format], done.weak, done.as_stored, done.mask_ms, done.encode_ms)

    def close(self) -> None:
        if self._data is None:
            return
        self._data, self.crops = None, ()
        if self._job is None:
            self._release()
        else:
            self._job.when_over(self._release)  # a child may still work on it

    async def _decode_again_if_lost(self) -> None:
        """A child may have died over another picture, and a picture opened to detect is not kept at all."""
        if self._child is None or self._child.gone:
            self._to_mask, self._child = True, None
            await self.decode()

    async def _ask(self, message: Open | Mask, payload: Data, need: int, child: Child | None) -> Answer:
        """A child's answer, with `need` bytes counted as in use from before it begins until it is over."""
        working = self._owner.working
        taken = await working.take(need, self._deadline, time.monotonic())
        job = self._job = Job(message, payload, asyncio.get_running_loop().create_future(), child)
        try:
            self._owner.crew.submit(job)
            async with asyncio.timeout(self._deadline.left_s(time.monotonic())):
                answer = await asyncio.shield(job.answer)
            self._child = job.child if self._to_mask else None
            return answer
        except TimeoutError:
            raise DeadlineExceeded("The picture was not ready in time; send it again later") from None
        finally:
            self._owner.crew.withdraw(job)
            job.when_over(lambda: working.give(taken))

    def _checked_crops(self, answer: Answer) -> tuple[Crop, ...]:
        """The crops, if they are what the header announces: a child is not trusted with our own sizes."""
        assert isinstance(answer.message, Opened)
        crops, start = [], 0
        for shape in answer.message.crops:
            fitted = Letterbox.fit(self.facts.width, self.facts.height, shape.side)
            if shape.side not in self._sides or shape != CropShape(fitted.rows, fitted.cols, fitted.side, fitted.scale):
                raise BadImage("The picture could not be decoded")
            end = start + shape.rows * shape.cols * 3
            pixels = np.frombuffer(answer.memory[start:end], np.uint8).reshape(shape.rows, shape.cols, 3)
            crops.append(Crop(pixels, shape.side, shape.scale))
            start = end
        return tuple(crops)

    def _release(self) -> None:
        child = None if self._job is None else self._job.child
        if child is not None and self._to_mask:
            child.forget(self._id)
        self._child = None
        self._owner.holding.give(self._held)
        self._held = 0


class ProcessPictures:
    """Opens pictures in child processes; see `gateway.pictures.picture.Pictures`.

    holding: bytes of pictures that are open. working: bytes at the peaks of what children do at this moment. Two
    budgets, since who holds bytes while he waits for more could wait for himself.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ids = itertools.count(1)
        total = memory_need.budget(settings, memory_need.memory_of_host())
        self.holding, self.working = ByteBudget(total // 2), ByteBudget(total - total // 2)
        self.crew = Crew(settings, decoders_of(settings))

    @property
    def deaths(self) -> int:
        return self.crew.deaths

    async def start(self) -> None:
        """Returns when the children can work. Raises ConfigurationError when they cannot."""
        await self.crew.start()

    async def open(
        self,
        data: Data,
        *,
        sides: tuple[int, ...],
        deadline: Deadline,
        single_frame: bool,
        header: Header | None = None,
    ) -> ProcessPicture:
        if header is None:
            header = read_header(memoryview(data))
            check_limits(header, self._settings)
        if single_frame:
            refuse_frames(header)
        picture = ProcessPicture(self, data, header, sides, deadline, to_mask=single_frame)
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
