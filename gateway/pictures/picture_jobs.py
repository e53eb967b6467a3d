"""Work for picture children: what is asked, what comes back, what is known when nothing comes back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.picture_messages import Mask, MaskDone, Open, Opened


class LostError(Exception):
    """The child that held a picture ended over another one."""


class CrashedError(Exception):
    """The child crashed over the job. alone: it had never held another picture, whose damage this could be."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__()
        self.alone = alone


@dataclass(eq=False, slots=True)
class ChildAnswer:
    """What a child said about a job, and the memory that came with it."""

    message: Opened | MaskDone
    memory: memoryview


class Doer(Protocol):
    """A child, as a job knows it. gone: it has ended. pinned: jobs on pictures that it alone holds."""

    @property
    def gone(self) -> bool: ...
    @property
    def pinned(self) -> deque[Job]: ...

    def forget(self, picture: int) -> None:
        """Drops what it holds of a picture."""


@dataclass(eq=False, slots=True)
class Job:
    """One message that is answered, and what goes with it.

    is_right: whether an answer can be one to this; a child that gives another is not believed. child: who alone can do
    it, then who does it. alone: it wants a child that has held no picture yet. then: done next by the same child, with
    no stranger in between.
    started: a child has it; from then on it runs to its end (ended), whoever still waits for the answer.
    """

    message: Open | Mask
    payload: Bytes
    answer: asyncio.Future[ChildAnswer]
    is_right: Callable[[Opened | MaskDone], bool]
    child: Doer | None = None
    alone: bool = False
    then: Job | None = None
    started: bool = False
    ended: bool = False
    _afterwards: list[Callable[[], None]] = field(default_factory=list)

    def succeed(self, answer: ChildAnswer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)
        self._end()

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # has been seen: whoever asked may have left
        self._end()

    def when_over(self, act: Callable[[], None]) -> None:
        """Calls `act` when no child works on it (any more): now, or when the answer comes that nobody awaits."""
        if self.started and not self.ended:
            self._afterwards.append(act)
        else:
            act()

    def _end(self) -> None:
        self.ended, acts, self._afterwards = True, self._afterwards, []
        for act in acts:
            act()
