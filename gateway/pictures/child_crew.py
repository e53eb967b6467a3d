"""The children of one gateway process and the jobs in line before them. Alone knows who gets which, and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque

from gateway.pictures.child_process import Child
from gateway.pictures.crop_memory import CropMemory
from gateway.pictures.picture_jobs import Job, LostError
from gateway.pictures.sandbox.report import Sandbox
from shared.errors import ConfigurationError, Overloaded
from shared.settings import Settings

#: How long to wait before a child is started again, by how many died since one last worked.
_RESTART_SECONDS = (0.0, 0.1, 0.5, 2.0)


class Crew:
    """A fixed number of children, each with one job at a time; late binding, but for pictures a child holds.

    deaths: children that ended without being asked to, since the start. sandbox: how they are shut in.
    """

    def __init__(self, settings: Settings, size: int, crops: CropMemory | None = None) -> None:
        self._settings = settings
        self._crops = crops
        self._size = size
        self._children: list[Child] = []
        self._waiting: deque[Job] = deque()
        self._alone: deque[Job] = deque()  # these want a child that has had no job yet
        self.deaths = 0
        self.sandbox = Sandbox()
        self._deaths_in_a_row = 0
        self._closing = False

    async def start(self) -> None:
        """Starts the children and returns when they can work. Raises ConfigurationError when they cannot."""
        for _ in range(self._size):
            self._add_child()
        while not self.all_ready():
            await asyncio.sleep(0.01)
            if self._deaths_in_a_row >= len(_RESTART_SECONDS):
                await self.aclose()
                raise ConfigurationError(self._why_not())

    async def aclose(self) -> None:
        """Ends the children; jobs still waiting are dropped."""
        self._closing = True
        children, self._children = self._children, []
        for child in children:
            if not child.gone:
                child.hang_up()
        for child in children:
            await asyncio.to_thread(child.wait, 2.0)
            child.close()
        running = [child.running for child in children if child.running is not None]
        pinned = itertools.chain.from_iterable(child.pinned for child in children)
        for job in [*self._waiting, *self._alone, *running, *pinned]:
            job.fail(Overloaded())

    def pids(self) -> tuple[int, ...]:
        """Of the children that live, for metrics and tests."""
        return tuple(child.pid for child in self._children)

    def all_ready(self) -> bool:
        """Whether every child that should be there can work."""
        return sum(child.ready and not child.gone for child in self._children) == self._size

    def submit(self, job: Job) -> None:
        """Puts a job in line: with the child that holds its picture, or with whoever is free first.

        It fails with LostError when that child has ended, now or before its turn.
        """
        if job.child is not None and job.child.gone:
            job.fail(LostError())
        else:
            self._line_of(job).append(job)
            self._dispatch()

    def withdraw(self, job: Job) -> None:
        """Takes a job that nobody waits for any more out of its line; one that runs goes on, and nothing follows it."""
        job.then = None
        if not job.started:
            with contextlib.suppress(ValueError):
                self._line_of(job).remove(job)

    def _line_of(self, job: Job) -> deque[Job]:
        if job.child is not None:
            return job.child.pinned
        return self._alone if job.alone else self._waiting

    def _dispatch(self) -> None:
        for child in tuple(self._children):
            if not child.free:
                continue
            if self._alone and not child.pinned and not self._fresh_one_comes():
                self._replace(child)
            elif line := self._line_for(child):
                child.start(line.popleft())

    def _line_for(self, child: Child) -> deque[Job]:
        """What a child already holds goes first."""
        if child.pinned:
            return child.pinned
        return self._alone if self._alone and child.fresh else self._waiting

    def _fresh_one_comes(self) -> bool:
        return len(self._children) < self._size or any(child.fresh for child in self._children)

    def _replace(self, child: Child) -> None:
        """By one that has held no picture yet."""
        self._children.remove(child)
        child.retire()
        self._add_child()

    def _add_child(self) -> None:
        if self._closing:
            return
        try:
            self._children.append(Child(self._settings, self._free, self._gone, self._crops))
        except OSError as error:  # no memory, no descriptors: perhaps later
            logging.getLogger("face_api.pictures").error("a picture child cannot be started: %s", error)
            asyncio.get_running_loop().call_later(_RESTART_SECONDS[-1], self._add_child)

    def _free(self, child: Child) -> None:
        self._deaths_in_a_row = 0
        self.sandbox = child.sandbox or self.sandbox
        self._dispatch()

    def _gone(self, child: Child) -> None:
        """Its pictures are lost: those who wait for them decode again elsewhere."""
        if self._closing:
            return
        self._children.remove(child)
        self.sandbox = child.sandbox or self.sandbox
        for job in child.pinned:
            job.fail(LostError())
        delay = _RESTART_SECONDS[min(self._deaths_in_a_row, len(_RESTART_SECONDS) - 1)]
        self.deaths += 1
        self._deaths_in_a_row += 1
        asyncio.get_running_loop().call_later(delay, self._add_child)

    def _why_not(self) -> str:
        """Why no child works, with the mend."""
        if self.sandbox.notes and self._settings.decode_sandbox == "required":
            return f"FACE_API_DECODE_SANDBOX=required, and {'; '.join(self.sandbox.notes)}"
        return "The processes that decode pictures do not start; their error stands above"
