"""A worker of the simulation: the real serving loop over a network that is only numbers, sockets that are channels
and a clock of its own.

A turn of the loop is computed at once. What it sends bears the worker's own time, which runs ahead while the network
"runs"; until then it is on its way, and lost if the worker is killed meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.faces import Faces
from shared.messages import Canary, ModelInfo, Welcome
from shared.wire import decode_to_gateway
from tests.simulation.network import Channel, Letter
from tests.simulation.plan import Kind, Make, picture_of
from worker.clock import Clock
from worker.credit import CreditLedger
from worker.crop_view import open_view
from worker.links import LOOK_INTERVAL_S
from worker.micro_batch import MicroBatcher
from worker.outbox import Outbox
from worker.pipeline import Found
from worker.router import Delivery
from worker.serve import LAST_PATIENCE_S, Serving, WorkerSick
from worker.topology import capacity_of

INFO = ModelInfo("simulated", "fp32", "none", 64, True, 1, True, "MIT", "0" * 64)


class Crash(BaseException):
    """The process ends without a word."""


@dataclass(slots=True)
class OwnClock(Clock):
    at: float = 0.0

    def now(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


def faces_of(number: int) -> Faces:
    """The one face of picture `number`: it could be no other's."""
    return Faces(np.array([[number, 0, number + 1, 1]], np.float32), np.ones(1, np.float32), None)


@dataclass(slots=True)
class Numbers:
    """The pipeline: each run takes its time on the worker's clock, and a picture's face says which picture it was.

    finished: when each picture was last run. longest_s: of any run. killers: what ended it.
    """

    clock: OwnClock
    make: Make
    run_s: float
    finished: dict[int, float] = field(default_factory=dict)
    free_at: float = 0.0
    sick: bool = False
    longest_s: float = 0.0
    killers: list[int] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return self.make.depth

    def submit(self, batch: list[tuple[Any, Any]]) -> tuple[list[int], float]:
        assert 1 <= len(batch) <= self.make.max_batch
        run_s = self.run_s * (1 + 0.5 * (len(batch) - 1))
        self.longest_s = max(self.longest_s, run_s)
        self.free_at = max(self.free_at, self.clock.at) + run_s
        return [picture_of(crops[0]) for _, crops in batch], self.free_at

    def collect(self, submitted: tuple[list[int], float]) -> list[Found]:
        numbers, ready = submitted
        kinds = [Kind.of(number) for number in numbers]
        self.clock.at = max(self.clock.at, ready)
        if Kind.KILLER in kinds:
            self.killers = [number for number in numbers if Kind.of(number) is Kind.KILLER]
            raise Crash
        self.finished.update(dict.fromkeys(numbers, self.clock.at))
        self.sick = self.sick or Kind.SICKENING in kinds
        return [
            Found(None, "it fails", 1.0, 0.0)
            if kind in (Kind.BAD, Kind.SICKENING)
            else Found(faces_of(number), "", 1.0, 0.0)
            for number, kind in zip(numbers, kinds, strict=True)
        ]

    def healthy(self) -> bool:
        return not self.sick


@dataclass(slots=True, eq=False)
class SimWorker:
    """One process. ended: called with it once it is gone. held: with every answer's seconds between run and sending.

    reached: whether gateways can reach its host.
    """

    loop: asyncio.AbstractEventLoop
    slot: int
    generation: str
    make: Make
    run_s: float
    ended: Callable[[SimWorker], None]
    held: Callable[[SimWorker, float], None]
    serving: Serving = field(init=False)
    clock: OwnClock = field(init=False)
    numbers: Numbers = field(init=False)
    channels: dict[bytes, Channel] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    inbox: deque[tuple[bytes, Channel, Letter]] = field(default_factory=deque)
    alive: bool = True
    asked_to_stop: bool = False
    closed: bool = False
    finished: bool = False
    over: bool = False
    frozen_until: float = 0.0
    ever_frozen: bool = False
    well_since: float = 0.0
    wrong: str = ""
    reached: Callable[[], bool] = lambda: True
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.well_since = self.loop.time()
        self.clock = OwnClock(self.loop.time())
        self.numbers = Numbers(self.clock, self.make, self.run_s)
        make = self.make
        capacity = capacity_of(make.max_batch, make.depth, make.together, self.run_s)
        self.serving = Serving(
            sockets=self,
            pipeline=self.numbers,  # type: ignore[arg-type]
            welcome=Welcome(
                self.generation, self.slot, 1, capacity, make.max_batch, INFO, Canary(0.5, 0.4, [], 1.0, 0.1)
            ),
            batcher=MicroBatcher(make.max_batch, make.delay_s),
            ledger=CreditLedger(capacity),
            told=lambda _words: None,
            stopping=lambda: self.asked_to_stop,
            view=open_view,
            clock=self.clock,
            outbox=Outbox(make.together),
            batch_s=self.run_s,
        )
        self._wake_at(self.clock.at)

    # What the serving loop sees

    def receive(self, timeout_s: float | None) -> tuple[bytes, list[memoryview]] | None:
        if not self.inbox:
            self.clock.at += timeout_s or 0.0
            return None
        gateway, channel, letter = self.inbox.popleft()
        channel.read()
        return gateway, [memoryview(frame) for frame in letter.frames]

    def send(self, gateway: bytes, frames: list[Any]) -> Delivery:
        channel = self.channels.get(gateway)
        if channel is None or gateway in self.gone:
            return Delivery.GONE
        if channel.full:
            return Delivery.FULL
        plain = [bytes(frame) for frame in frames]
        message, faces = decode_to_gateway(plain)
        if faces is not None:
            self.held(self, self.clock.at - self.numbers.finished[int(faces.boxes[0, 0])])
        channel.send(self.clock.at, message, plain)
        return Delivery.SENT

    # What the world does

    @property
    def serves(self) -> bool:
        return self.alive and not self.asked_to_stop and self.loop.time() >= self.frozen_until and self.reached()

    def arrive(self, gateway: bytes, channel: Channel, letter: Letter) -> None:
        if self.alive:
            self.inbox.append((gateway, channel, letter))
            self._wake_at(self.loop.time())

    def take_over(self, gateway: bytes) -> None:
        """A gateway comes by another connection: what it sent over the one before and was not read is refused."""
        self.inbox = deque(one for one in self.inbox if one[0] != gateway)

    def freeze(self, seconds: float) -> None:
        self.frozen_until, self.ever_frozen = self.loop.time() + seconds, True
        self.well_since = self.frozen_until

    def stop(self) -> None:
        self.asked_to_stop = True
        self._wake_at(self.loop.time())

    def end(self, at: float, *, flushed: bool = False) -> None:
        """The process is gone. at: by its own clock, or earlier when it is killed."""
        if not self.alive:
            return
        self.alive = False
        if self._timer is not None:
            self._timer.cancel()
        for channel in self.channels.values():
            channel.end(at, flushed=flushed)
        self.ended(self)

    def _wake_at(self, when: float) -> None:
        if self.over:
            return
        when = max(when, self.clock.at, self.frozen_until)
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._turn)

    def _turn(self) -> None:
        self._timer = None
        if not self.alive:
            return
        if self.loop.time() < self.frozen_until:
            self._wake_at(self.frozen_until)
            return
        self.clock.at = max(self.clock.at, self.loop.time())
        try:
            wait_s = self._one_turn()
        except Crash:
            self._over(flushed=False)
        except WorkerSick:
            self._over(flushed=True)
        except Exception as error:  # the loop must never raise: it is told as a broken promise
            self.wrong = f"a worker's loop raised {type(error).__name__}: {error}"
            self._over(flushed=False)
        else:
            if wait_s is None:
                self.finished = True
                self._over(flushed=True)
            else:
                self._wake_at(
                    self.clock.at + (0.0 if self.inbox else math.ceil(wait_s * 1000) / 1000)
                )  # as polling does

    def _over(self, *, flushed: bool) -> None:
        """It ends by itself, once its own time has come."""
        self.over = True
        self.loop.call_at(self.clock.at, lambda: self.end(self.clock.at, flushed=flushed))

    def _one_turn(self) -> float | None:
        """As `Serving.run` does. How long it waits next for a message; None when it is done."""
        if not self.asked_to_stop:
            self.serving.turn(0.0)
            return self.serving.wait_s(LOOK_INTERVAL_S)
        if not self.closed:
            self.closed = True
            self.serving.close()
        if self.serving.unfinished(any_arrived=self.serving.turn(0.0)):
            return self.serving.wait_s(LAST_PATIENCE_S)
        self.serving.links.part()
        return None
