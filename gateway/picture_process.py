"""Pictures that live in child processes: a crash or a loop in a decoder costs one picture an error, and nothing else.

Alone knows which child holds which picture, who waits for a child, and how a lost picture is decoded again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque

import numpy as np

from gateway import memory_need
from gateway.byte_budget import ByteBudget
from gateway.child_process import Answer, Child, Job
from gateway.encode import MEDIA_TYPES, refuse_too_long
from gateway.headers.facts import Header
from gateway.image_header import check_limits, read_header
from gateway.letterbox import Letterbox
from gateway.masking import MaskOptions
from gateway.picture import Crop, Data, Masked, PictureFacts, facts_of, refuse_frames
from gateway.picture_messages import CropShape, Mask, MaskDone, Open, Opened
from shared.deadline import Deadline
from shared.errors import BadImage, ConfigurationError, DeadlineExceeded
from shared.faces import Faces
from shared.processes import usable_cores
from shared.settings import Settings

_RESTART_SECONDS = (0.0, 0.1, 0.5, 2.0)


class ProcessPicture:
    """A picture whose pixels a child holds; see `gateway.picture.Picture`."""

    def __init__(
        self,
        owner: ProcessPictures,
        data: Data,
        header: Header,
        sides: tuple[int, ...],
        deadline: Deadline,
        held: int,
        *,
        to_mask: bool,
    ) -> None:
        self.facts: PictureFacts = facts_of(header, len(data))
        self.crops: tuple[Crop, ...] = ()
        self.decode_ms = 0.0
        self.preprocess_ms = 0.0
        self._owner, self._header, self._sides, self._deadline, self._held = owner, header, sides, deadline, held
        self._to_mask = to_mask
        self._data: Data | None = data
        self._job: Job | None = None
        self._child: Child | None = None
        self._id = owner.next_id()

    async def decode(self) -> None:
        """Has a child decode the file; the crops are there afterwards."""
        assert self._data is not None
        message = Open(self._id, self._header, len(self._data), self._sides, self._to_mask)
        answer = await self._ask(message, self._data, None)
        assert isinstance(answer.message, Opened)
        assert self._job is not None
        self._child = self._job.child if self._to_mask else None
        self.crops = self._checked_crops(answer)
        self.decode_ms, self.preprocess_ms = answer.message.decode_ms, answer.message.preprocess_ms

    async def mask(self, faces: Faces, options: MaskOptions) -> Masked:
        assert self._data is not None, "the picture is closed"
        refuse_too_long(options.format, self.facts.width, self.facts.height)
        boxes = faces.boxes.astype(np.float32).tobytes()
        answer = None
        while answer is None:
            await self._decode_again_if_lost()
            with contextlib.suppress(_Lost):
                answer = await self._ask(Mask(self._id, len(faces), options), boxes, self._child)
        done = answer.message
        assert isinstance(done, MaskDone)
        data = answer.memory[: done.size]
        return Masked(data, MEDIA_TYPES[options.format], done.weak, done.mask_ms, done.encode_ms)

    async def _decode_again_if_lost(self) -> None:
        """A child may have died over another picture, and a picture opened to detect is not kept at all."""
        if self._child is None or self._child.gone:
            self._to_mask, self._child = True, None
            await self.decode()

    def shrink(self, keep: int) -> None:
        """Gives back what decoding took and nobody holds any more."""
        keep = min(keep, self._held)
        self._owner.budget.give(self._held - keep)
        self._held = keep

    def close(self) -> None:
        if self._data is None:
            return
        self._data, self.crops = None, ()
        job = self._job
        if job is not None and job.started and not job.answer.done():
            job.answer.add_done_callback(lambda _: self._release())  # the child still works on it
        else:
            self._release()

    async def _ask(self, message: Open | Mask, payload: Data, child: Child | None) -> Answer:
        job = Job(message, payload, asyncio.get_running_loop().create_future(), child)
        job.answer.add_done_callback(_look_at)
        self._job = job
        try:
            self._owner.submit(job)
            async with asyncio.timeout(self._deadline.left_s(time.monotonic())):
                return await asyncio.shield(job.answer)
        except TimeoutError:
            raise DeadlineExceeded("The picture was not ready in time; send it again later") from None
        finally:
            self._owner.withdraw(job)

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
        if self._child is not None:
            self._child.forget(self._id)
            self._child = None
        self._owner.budget.give(self._held)


class ProcessPictures:
    """Opens pictures in child processes; see `gateway.picture.Pictures`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ids = itertools.count(1)
        self._children: list[Child] = []
        self._waiting: deque[Job] = deque()
        self._deaths_in_a_row = 0
        self._closing = False
        self.budget = ByteBudget(memory_need.budget(settings, memory_need.memory_of_host()))

    async def start(self) -> None:
        """Starts the children and returns when they can work. Raises ConfigurationError when they cannot."""
        count = self._settings.decode_processes or _default_children(self._settings)
        for _ in range(count):
            self._add_child()
        while sum(child.ready for child in self._children) < count:
            await asyncio.sleep(0.01)
            if self._deaths_in_a_row >= len(_RESTART_SECONDS):
                await self.aclose()
                raise ConfigurationError(
                    "The processes that decode pictures do not start (their error stands above); "
                    "FACE_API_DECODE_ISOLATION=thread does without them"
                )

    async def open(
        self, data: Data, *, sides: tuple[int, ...], deadline: Deadline, single_frame: bool
    ) -> ProcessPicture:
        header = read_header(memoryview(data))
        check_limits(header, self._settings)
        if single_frame:
            refuse_frames(header)
        held = self.budget.clamp(memory_need.at_most(header, to_mask=single_frame))
        await self.budget.take(held, deadline, time.monotonic())
        picture = ProcessPicture(self, data, header, sides, deadline, held, to_mask=single_frame)
        try:
            await picture.decode()
        except BaseException:
            picture.close()
            raise
        picture.shrink(
            memory_need.masking(header) if single_frame else sum(crop.pixels.nbytes for crop in picture.crops)
        )
        return picture

    async def aclose(self) -> None:
        """Ends the children; jobs still waiting are dropped."""
        self._closing = True
        children, self._children = self._children, []
        for child in children:
            if not child.gone:
                child.hang_up()
        for child in children:
            await asyncio.to_thread(child.wait, 2.0)
        for job in [*self._waiting, *itertools.chain.from_iterable(child.pinned for child in children)]:
            job.answer.cancel()

    def next_id(self) -> int:
        return next(self._ids)

    def pids(self) -> tuple[int, ...]:
        """Of the children, for metrics and tests."""
        return tuple(child.pid for child in self._children)

    def all_ready(self) -> bool:
        """Whether every child that should be there can work."""
        return bool(self._children) and all(child.ready for child in self._children)

    def submit(self, job: Job) -> None:
        """Puts a job in line: with the child that holds its picture, or with whoever is free first."""
        (self._waiting if job.child is None else job.child.pinned).append(job)
        self._dispatch()

    def withdraw(self, job: Job) -> None:
        """Takes a job that nobody waits for any more out of its line; one that runs goes on."""
        if job.started:
            return
        line = self._waiting if job.child is None else job.child.pinned
        with contextlib.suppress(ValueError):
            line.remove(job)

    def _dispatch(self) -> None:
        for child in tuple(self._children):
            line = child.pinned or self._waiting  # what a child already holds goes first
            if child.free and line:
                child.start(line.popleft())

    def _add_child(self) -> None:
        if not self._closing:
            self._children.append(Child(self._settings, self._free, self._gone))

    def _free(self, child: Child) -> None:
        del child
        self._deaths_in_a_row = 0
        self._dispatch()

    def _gone(self, child: Child) -> None:
        """Its pictures are lost: those who wait for them decode again elsewhere."""
        if self._closing:
            return
        self._children.remove(child)
        for job in child.pinned:
            job.answer.set_exception(_Lost())
        delay = _RESTART_SECONDS[min(self._deaths_in_a_row, len(_RESTART_SECONDS) - 1)]
        self._deaths_in_a_row += 1
        asyncio.get_running_loop().call_later(delay, self._add_child)


class _Lost(Exception):
    """The child that held a picture died over another one."""


def _default_children(settings: Settings) -> int:
    return max(1, usable_cores() // max(1, settings.gateway_processes))


def _look_at(answer: asyncio.Future[Answer]) -> None:
    """Marks an error as seen: whoever asked may have left."""
    if not answer.cancelled():
        answer.exception()
