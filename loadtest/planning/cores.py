"""Cores that share themselves evenly among what runs on them, as the kernel does, in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Generator
from itertools import count
from typing import Any

import simpy

#: What happens to one thing in simulated time.
Happening = Generator[simpy.Event, Any, None]
#: Two ends closer than this are one.
TICK_S = 1e-9


class Cores:
    """Each piece of work gets a core, or its share of all where there is more work than cores.

    All work progresses at one speed, so it ends in the order of what it needs: one clock of work done is enough.
    """

    def __init__(self, env: simpy.Environment, cores: int) -> None:
        self._env, self._cores = env, cores
        self._done_s, self._at = 0.0, 0.0
        self._running: list[tuple[float, int, simpy.Event]] = []
        self._numbers = count()
        self._round = 0
        self.busy_s = 0.0

    def work(self, seconds: float) -> simpy.Event:
        """Happens when so many seconds of one core were spent."""
        self._advance()
        over = self._env.event()
        heapq.heappush(self._running, (self._done_s + seconds, next(self._numbers), over))
        self._look_again()
        return over

    @property
    def _speed(self) -> float:
        return min(1.0, self._cores / len(self._running)) if self._running else 0.0

    def _advance(self) -> None:
        passed = self._env.now - self._at
        self._done_s += passed * self._speed
        self.busy_s += passed * min(self._cores, len(self._running))
        self._at = self._env.now

    def _look_again(self) -> None:
        self._round += 1
        if self._running:
            left, begun = max(0.0, self._running[0][0] - self._done_s) / self._speed, self._round
            self._env.timeout(left).callbacks.append(lambda _: self._end_the_first(begun))

    def _end_the_first(self, begun: int) -> None:
        if begun != self._round:
            return  # something came or ended in between
        self._advance()
        self._done_s = max(self._done_s, self._running[0][0])
        while self._running and self._running[0][0] <= self._done_s + TICK_S:
            heapq.heappop(self._running)[2].succeed()
        self._look_again()
