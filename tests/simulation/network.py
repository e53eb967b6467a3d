"""The wire of the simulation: in order within a link, late by chance between links, and lossy where a process dies."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: What a process handed to its socket less than this before it was killed may never have left it.
UNSENT_S = 0.01


@dataclass(slots=True)
class Letter:
    """One message on its way. sent: by the sender's own clock, which may be ahead of the loop's."""

    sent: float
    message: Any
    frames: list[bytes]
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Channel:
    """One direction of one link. arrive: called with each letter in turn. room: letters that fit before it is full."""

    loop: asyncio.AbstractEventLoop
    chance: random.Random
    late_s_max: float
    arrive: Callable[[Letter], None]
    room: int = 1 << 30
    on_way: deque[Letter] = field(default_factory=deque)
    unread: int = 0
    last_due: float = 0.0
    ended: float | None = None

    @property
    def full(self) -> bool:
        return len(self.on_way) + self.unread >= self.room

    def send(self, at: float, message: Any, frames: list[bytes]) -> None:
        if self.ended is not None and at > self.ended:
            return
        letter = Letter(at, message, frames)
        self.last_due = max(self.last_due + 1e-6, at + self.chance.random() ** 3 * self.late_s_max)
        letter.timer = self.loop.call_at(self.last_due, self._deliver, letter)
        self.on_way.append(letter)

    def _deliver(self, letter: Letter) -> None:
        assert self.on_way[0] is letter, "a link keeps its order"
        self.on_way.popleft()
        self.unread += 1
        self.arrive(letter)

    def read(self) -> None:
        """The receiver took one letter in."""
        self.unread -= 1

    def end(self, at: float, *, flushed: bool) -> float:
        """The sender ends: what it had not sent is lost, from some point on. Returns when the last of it is here."""
        self.ended = at
        kept = deque(letter for letter in self.on_way if letter.sent <= at)
        while not flushed and kept and kept[-1].sent > at - UNSENT_S and self.chance.random() < 0.5:
            kept.pop()
        self._keep(kept)
        return max(at, self.last_due if kept else at) + self.chance.random() * self.late_s_max

    def cut(self) -> None:
        """The receiver is gone."""
        self.ended = float("-inf")
        self._keep(deque())

    def _keep(self, kept: deque[Letter]) -> None:
        for letter in self.on_way:
            if letter not in kept and letter.timer is not None:
                letter.timer.cancel()
        self.on_way = kept
