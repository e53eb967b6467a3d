"""Supervision: background loops that last as long as their process, none of which ends silently.

A round that fails is logged with its traceback, counted, and tried again after a pause that grows. A loop that goes
on failing is told of (`Loops.failing`), so that the service can say that it is not well. `Fate` decides, `Loops` acts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from shared.beat import to_next_beat

#: The pause after a failure; each further one in a row doubles it.
FIRST_PAUSE_S, PAUSE_S_MAX = 0.1, 10.0
#: So many failures in a row, and the loop counts as failing until a round goes well.
FAILURES_MAX = 3
#: The round in hand may take so long to finish when its loop is ended, unless its owner says otherwise.
LAST_ROUND_S = 2.0

Result = TypeVar("Result")
Round = Callable[[], Awaitable[None] | None]


@dataclass(slots=True)
class Fate:
    """How the rounds of one loop went. Pure. Seconds; `now` is monotonic.

    failures: in a row. since: when the first of them was. why: the last one's kind, without its words: those are
    for the log, since anybody may ask how the service is.
    """

    failures: int = 0
    since: float = 0.0
    why: str = ""

    def went_well(self) -> None:
        self.failures = 0

    def failed(self, error: BaseException, now: float) -> float:
        """Seconds to wait before the next round."""
        self.since = self.since if self.failures else now
        self.failures += 1
        self.why = type(error).__name__
        return float(min(PAUSE_S_MAX, FIRST_PAUSE_S * 2 ** min(self.failures - 1, 30)))

    def failing(self, now: float) -> str:
        """In words, when it cannot be kept going; else empty."""
        if self.failures < FAILURES_MAX:
            return ""
        return f"has failed {self.failures} times in a row, for {now - self.since:.0f} s ({self.why})"


@dataclass(slots=True)
class Loop:
    """One loop; `end` is final. rested: its first round comes after a pause, too."""

    name: str
    work: Round
    pause: Callable[[], float]
    last_round_s: float
    told: Callable[[Loop, BaseException, float], None]
    rested: bool = False
    fate: Fate = field(default_factory=Fate)
    _working: bool = False
    _ending: bool = False
    _task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.name)

    def failing(self, now: float) -> str:
        """In words, when it does not go on; else empty."""
        ended = self._task.done() and not self._ending
        return "has ended" if ended else self.fate.failing(now)

    async def end(self) -> None:
        """Lets the round in hand finish, if it does so soon; then no other begins."""
        self._ending = True
        if self._working:
            await asyncio.wait({self._task}, timeout=self.last_round_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        if self.rested:
            await asyncio.sleep(to_next_beat(self.pause()))
        while not self._ending:
            try:
                await self._round()
                pause = to_next_beat(self.pause())
            except asyncio.CancelledError as error:
                if self._task.cancelling():
                    raise
                pause = self._failed(error)  # what it waited for was cancelled, not the loop
            except Exception as error:
                pause = self._failed(error)
            if not self._ending:
                await asyncio.sleep(pause)

    async def _round(self) -> None:
        self._working = True
        try:
            result = self.work()
            if result is not None:
                await result
        finally:
            self._working = False
        self.fate.went_well()

    def _failed(self, error: BaseException) -> float:
        pause = self.fate.failed(error, monotonic())
        with contextlib.suppress(OSError, ValueError):  # a log that cannot be written ends no loop
            self.told(self, error, pause)
        return pause


async def finished(work: Callable[[], Awaitable[Result]], failed: Callable[[BaseException], None]) -> Result:
    """The result of work that has an end, begun again, after the same pauses, as often as it fails on the way."""
    fate = Fate()
    while True:
        try:
            return await work()
        except Exception as error:
            failed(error)
            await asyncio.sleep(fate.failed(error, monotonic()))


class Loops:
    """The loops of one process. failures: by loop, since the start."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        self._loops: list[Loop] = []
        self._log = logging.getLogger("face_api.loops")

    def keep(
        self,
        name: str,
        work: Round,
        pause: float | Callable[[], float],
        *,
        last_round_s: float = LAST_ROUND_S,
        rested: bool = False,
    ) -> Loop:
        """Runs rounds of `work` from now on, with a pause after each: to the next beat of so many seconds.

        last_round_s: how long a round may go on when the loop is ended; 0 for rounds that only wait for something.
        rested: a pause comes first, for work that its owner has just done.
        """
        loop = Loop(name, work, pause if callable(pause) else lambda: pause, last_round_s, self._told, rested)
        self._loops.append(loop)
        return loop

    def note(self, name: str, error: BaseException) -> None:
        """Counts and logs what failed beside the loops, in a callback that is called again whatever happens."""
        self.failures[name] += 1
        with contextlib.suppress(OSError, ValueError):
            self._log.error("%s failed", name, exc_info=error)

    def hear_event_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Counts what nobody else catches: in callbacks, timers, and tasks that nobody awaits. asyncio logs it."""

        def unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            self.failures["event_loop"] += 1
            loop.default_exception_handler(context)

        loop.set_exception_handler(unheard)

    def failing(self) -> str:
        """Which loop does not go on, and why; empty when all do."""
        now = monotonic()
        return next((f"the loop {one.name} {why}" for one in self._loops if (why := one.failing(now))), "")

    async def aclose(self) -> None:
        """Ends those that their owners have not ended, the youngest first."""
        for loop in reversed(self._loops):
            await loop.end()

    def _told(self, loop: Loop, error: BaseException, pause: float) -> None:
        self.failures[loop.name] += 1
        words = "the loop %s failed, %d in a row, and goes on in %g s"
        self._log.error(words, loop.name, loop.fate.failures, pause, exc_info=error)
