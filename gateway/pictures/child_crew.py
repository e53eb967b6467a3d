"""The children of one gateway process and the jobs in line before them. Alone knows who gets which, and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque

from gateway.pictures.child_process import Child, Job
from shared.errors import ConfigurationError
from shared.settings import Settings

#: How long to wait before a child is started again, by how many died since one last worked.
_RESTART_SECONDS = (0.0, 0.1, 0.5, 2.0)


class LostError(Exception):
    """The child that held a picture died over another one."""


class Crew:
    """A fixed number of children, each with one job at a time; late binding, but for pictures a child holds.

    deaths: children that ended without being asked to, since the start.
    """

    def __init__(self, settings: Settings, size: int) -> None:
        self._settings = settings
        self._size = size
        self._children: list[Child] = []
        self._waiting: deque[Job] = deque()
        self.deaths = 0
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
                raise ConfigurationError(
                    "The processes that decode pictures do not start (their error stands above); "
                    "FACE_API_DECODE_ISOLATION=thread does without them"
                )

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

    def pids(self) -> tuple[int, ...]:
        """Of the children that live, for metrics and tests."""
        return tuple(child.pid for child in self._children)

    def all_ready(self) -> bool:
        """Whether every child that should be there can work."""
        return sum(child.ready for child in self._children) == self._size

    def submit(self, job: Job) -> None:
        """Puts a job in line: with the child that holds its picture, or with whoever is free first."""
        (self._waiting if job.child is None else job.child.pinned).append(job)
        self._dispatch()

    def withdraw(self, job: Job) -> None:
        """Takes a job that nobody waits for any more out of its line; one that runs goes on."""
        if not job.started:
            with contextlib.suppress(ValueError):
                (self._waiting if job.child is None else job.child.pinned).remove(job)

    def _dispatch(self) -> None:
        for child in tuple(self._children):
            line = child.pinned or self._waiting  # what a child already holds goes first
            if child.free and line:
                child.start(line.popleft())

    def _add_child(self) -> None:
        if not self._closing:
            self._children.append(Child(self._settings, self._free, self._gone))

    def _free(self, _child: Child) -> None:
        self._deaths_in_a_row = 0
        self._dispatch()

    def _gone(self, child: Child) -> None:
        """Its pictures are lost: those who wait for them decode again elsewhere."""
        if self._closing:
            return
        self._children.remove(child)
        for job in child.pinned:
            job.answer.set_exception(LostError())
        delay = _RESTART_SECONDS[min(self._deaths_in_a_row, len(_RESTART_SECONDS) - 1)]
        self.deaths += 1
        self._deaths_in_a_row += 1
        asyncio.get_running_loop().call_later(delay, self._add_child)
