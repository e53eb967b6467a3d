"""A host of workers in the simulation: the real roll keeper, and workers that its pool starts anew and mourns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.announcement import Announcement
from shared.split_rules import HostPort
from shared.wire import decode_to_gateway
from tests.simulation.gateway import SimLink
from tests.simulation.network import Channel, Letter
from tests.simulation.worker import SimWorker
from worker.roll_keeper import LOOK_INTERVAL_S, RollKeeper
from worker.watch import ASK_INTERVAL_S, HANG_BATCHES, HANG_S_MIN

#: Until a pool hears of a worker's end, and until the next one serves.
HEARD_S, STARTED_S = (0.001, 0.05), (0.2, 1.5)


@dataclass(eq=False)
class SimPool:
    """One life of a host's pool. start: makes the worker of a slot. It is a keeper's watch and socket, too.

    unheard: workers that died and are announced until the pool hears of it; one that ends well withdraws itself.
    """

    loop: asyncio.AbstractEventLoop
    chance: random.Random
    number: int
    slots: range
    start: Callable[[SimPool, int], SimWorker]
    workers: dict[int, SimWorker] = field(default_factory=dict)
    channels: dict[bytes, Channel] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    unread: list[tuple[bytes, Letter]] = field(default_factory=list)
    unheard: set[SimWorker] = field(default_factory=set)
    alive: bool = True
    stopping: bool = False
    frozen_until: float = 0.0
    keeper: RollKeeper = field(init=False)

    def __post_init__(self) -> None:
        self.keeper = RollKeeper(Path("/simulated"), self.number, lambda _words: None, self.loop.time)
        self.keeper._watch = self.keeper._socket = self  # type: ignore[assignment]
        for slot in self.slots:
            self._fill(slot)
        self._look()

    # What the keeper sees

    def announced(self, _now: float) -> dict[str, Announcement]:
        living = (worker for worker in self.workers.values() if worker.alive or worker in self.unheard)
        return {one.generation: Announcement(one.slot, one.generation, "", 1, self.number) for one in living}

    def send_multipart(self, frames: list[Any], flags: int) -> None:
        gateway, *rest = frames
        channel = self.channels.get(gateway)
        if channel is not None and gateway not in self.gone:
            channel.send(self.loop.time(), decode_to_gateway(rest)[0], rest)

    # What the world does

    @property
    def works(self) -> bool:
        return self.alive and self.loop.time() >= self.frozen_until

    def take_over(self, gateway: bytes) -> None:
        self.unread = [one for one in self.unread if one[0] != gateway]

    def arrive(self, gateway: bytes, channel: Channel, letter: Letter) -> None:
        channel.read()
        self.unread.append((gateway, letter))
        self._read()

    def _read(self) -> None:
        if self.works:
            unread, self.unread = self.unread, []
            for gateway, letter in unread:
                self.keeper._hear(gateway, letter.frames)

    def _look(self) -> None:
        if self.works:
            self._read()
            self.keeper._tell_change()
        if self.alive:
            self.loop.call_later(LOOK_INTERVAL_S, self._look)

    def _fill(self, slot: int) -> None:
        if self.loop.time() < self.frozen_until:
            self.loop.call_at(self.frozen_until, self._fill, slot)
        elif self.alive and not self.stopping:
            self.workers[slot] = self.start(self, slot)

    def ended(self, worker: SimWorker) -> None:
        """A worker has, however it ended."""
        if self.alive:
            if not worker.finished:
                self.unheard.add(worker)
            at = max(self.loop.time(), self.frozen_until)
            self.loop.call_at(at + self.chance.uniform(*HEARD_S), self._heard_of, worker)

    def _heard_of(self, worker: SimWorker) -> None:
        if not self.alive:
            return
        self.unheard.discard(worker)
        if not (self.stopping and worker.finished):
            self.keeper.died(worker.generation)
        if not self.stopping:
            self.loop.call_later(self.chance.uniform(*STARTED_S), self._fill, worker.slot)
        elif not any(one.alive for one in self.workers.values()):
            self.alive = False

    def watch(self, worker: SimWorker) -> None:
        """It stands still: it is killed where that is for too long."""
        now = self.loop.time()
        kills_at = now + max(HANG_S_MIN, HANG_BATCHES * worker.serving.batch_s) + ASK_INTERVAL_S
        if worker.frozen_until > kills_at:
            self.loop.call_at(kills_at, self._kill, worker)

    def _kill(self, worker: SimWorker) -> None:
        if self.works and self.loop.time() < worker.frozen_until:
            worker.end(self.loop.time())

    def stop(self) -> None:
        self.stopping = True
        for worker in self.workers.values():
            if worker.alive:
                worker.stop()

    def kill(self) -> None:
        """With all its workers, and nobody is left who could tell of it."""
        self.alive = False
        for worker in self.workers.values():
            worker.end(self.loop.time())

    def freeze(self, seconds: float) -> None:
        self.frozen_until = max(self.frozen_until, self.loop.time() + seconds)
        for worker in self.workers.values():
            worker.freeze(seconds)


@dataclass(eq=False)
class SimHost:
    """An address. named: whether its name is known; well_since: when it was last cut off, unknown or new."""

    loop: asyncio.AbstractEventLoop
    chance: random.Random
    number: int
    place: HostPort
    pool: SimPool
    named: bool = True
    heals: float = 0.0
    links: list[SimLink] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        return self.named and self.loop.time() >= self.heals

    def listener(self, above: int) -> Any:
        """Who listens on a port, or nobody. above: 0 for the pool."""
        one: Any = self.pool if not above else self.pool.workers.get(above - 1)
        return one if one is not None and one.alive and not getattr(one, "over", False) else None
