"""WorkQueue: what waits, who works on what, and what happens when a worker is lost. Pure: no clock, no socket.

Late binding: a request is given to a worker only against that worker's credit; until then it waits here,
where it can be cancelled, expired and seen.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

from shared.deadline import Deadline
from shared.messages import CropHeader
from shared.wire import CropArray

#: A request is moved so often to another worker before it is given up, whatever ended the workers.
MOVES_MAX = 5


@dataclass(slots=True, eq=False)
class Work:
    """One request for a worker. id is unique in this gateway process for life; sizes of the upright picture.

    moves: how often a worker ended with it in hand. started: a worker said that it runs this one now, alone.
    noted: a worker ended with the same picture in hand, for whichever request. digest: once it was needed.
    trace: `Trace.told` of the request, or empty. plain: whether it looks at the whole picture as it is: what a run
    costs is learned from these, but for what was sent as the only one in the house (lone). accompanied: others of the
    same picture go with it.
    """

    id: int
    crops: tuple[CropArray, ...]
    headers: tuple[CropHeader, ...]
    confidence: float
    nms_threshold: float
    max_faces: int
    width: int
    height: int
    deadline: Deadline
    moves: int = 0
    started: bool = False
    noted: bool = False
    digest: bytes = b""
    trace: str = ""
    plain: bool = True
    accompanied: bool = False
    lone: bool = False

    @property
    def suspected(self) -> bool:
        """Whether it may be what ended a worker: then it is run alone, and the worker says so first."""
        return self.noted or self.moves > 0


@dataclass(slots=True)
class WorkerState:
    """One serving worker as this gateway sees it: its capacity, how many requests keep it busy, our credits, our
    requests in its hand. unasked: also in its hand, but nobody waits for them any more. told: how many it was last told
    that wait here.
    """

    capacity: int
    busy_with: int
    credits: int = 0
    in_hand: dict[int, Work] = field(default_factory=dict)
    unasked: dict[int, Work] = field(default_factory=dict)
    told: int = 0

    @property
    def share(self) -> int:
        """Places of it that are ours."""
        return self.credits + len(self.in_hand) + len(self.unasked)


@dataclass(frozen=True, slots=True)
class Lost:
    """What a lost worker left behind: work to try elsewhere (already queued again), work that ended two workers,
    work that was moved too often without being to blame, and work that nobody waits for, which may be.
    """

    again: list[Work]
    poison: list[Work]
    given_up: list[Work]
    unasked: list[Work]


class WorkQueue:
    """Workers are known by generation."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Work] = OrderedDict()
        self._workers: dict[str, WorkerState] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def in_hand(self) -> int:
        return sum(len(worker.in_hand) for worker in self._workers.values())

    @property
    def capacity(self) -> int:
        return sum([worker.capacity for worker in self._workers.values()])

    @property
    def busy_with(self) -> int:
        """How many requests keep the workers busy, as far as they have places for this gateway's."""
        return sum([min(one.busy_with, one.credits + len(one.in_hand)) for one in self._workers.values()])

    @property
    def workers(self) -> dict[str, WorkerState]:
        return self._workers

    def join(self, generation: str, capacity: int, busy_with: int) -> None:
        assert generation not in self._workers
        self._workers[generation] = WorkerState(capacity, busy_with)

    def leave(self, generation: str) -> Lost:
        """A worker is gone: its work goes to the head of the queue, oldest first, or is given up.

        Everything in the hand of a dying worker is suspected. A suspect runs alone, after the worker said
        Started: if that worker ends too, it was this picture; its neighbours come through.
        """
        worker = self._workers.pop(generation, None)
        lost = Lost([], [], [], [])
        for work in worker.unasked.values() if worker else ():
            (lost.poison if work.started else lost.unasked).append(work)
        for work in reversed(list(worker.in_hand.values()) if worker else []):
            work.moves += 1
            if work.started:
                lost.poison.append(work)
            elif work.moves > MOVES_MAX:
                lost.given_up.append(work)
            else:
                self._waiting[work.id] = work
                self._waiting.move_to_end(work.id, last=False)
                lost.again.append(work)
        return lost

    def started(self, generation: str, work_id: int) -> None:
        """A worker begins to run a suspect."""
        worker = self._workers.get(generation)
        work = worker and (worker.in_hand.get(work_id) or worker.unasked.get(work_id))
        if work:
            work.started = True

    def hand_back(self, generation: str) -> None:
        """A worker said goodbye in good health: its work waits again and is not suspected."""
        worker = self._workers.pop(generation, None)
        for work in reversed(list(worker.in_hand.values()) if worker else []):
            work.started = False
            self._waiting[work.id] = work
            self._waiting.move_to_end(work.id, last=False)

    def doubted(self, generation: str) -> None:
        """Nobody knows whether it lives: nothing more goes to it, and what it has in hand stays."""
        if generation in self._workers:
            self._workers[generation].credits = 0

    def granted(self, generation: str, credits_: int) -> None:
        if generation in self._workers:
            self._workers[generation].credits += credits_

    def recalled(self, generation: str, credits_: int) -> int:
        """How many of the recalled credits can be given back."""
        if generation not in self._workers:
            return 0
        worker = self._workers[generation]
        given = min(credits_, worker.credits)
        worker.credits -= given
        return given

    def submit(self, work: Work) -> None:
        assert work.id not in self._waiting
        self._waiting[work.id] = work

    def next_up(self) -> list[Work]:
        """What `assign` would give away now."""
        if not self._waiting:
            return []
        return list(itertools.islice(self._waiting.values(), sum([one.credits for one in self._workers.values()])))

    def assign(self) -> list[tuple[str, Work]]:
        """Gives waiting work, oldest first, to the least busy workers with credit."""
        assigned = []
        while self._waiting and (generation := self._least_busy()) is not None:
            worker = self._workers[generation]
            _, work = self._waiting.popitem(last=False)
            worker.credits -= 1
            worker.in_hand[work.id] = work
            assigned.append((generation, work))
        for generation, _ in assigned:
            self._workers[generation].told = len(self._waiting)
        return assigned

    def offers(self) -> list[str]:
        """Workers that are to be told how much waits here: that any does, or that none does and credit lies idle.

        Without the second a worker would count on work that was cancelled, or done elsewhere, and keep others waiting.
        """
        waiting = len(self._waiting)
        untold = [generation for generation, worker in self._workers.items() if _believes_wrongly(worker, waiting)]
        for generation in untold:
            self._workers[generation].told = waiting
        return untold

    def answered(self, generation: str, work_id: int) -> Work | None:
        """The work an answer belongs to; None for an answer nobody waits for any more."""
        worker = self._workers.get(generation)
        if worker is None:
            return None
        worker.unasked.pop(work_id, None)
        return worker.in_hand.pop(work_id, None)

    def withdraw(self, work_id: int) -> tuple[str, Work] | None:
        """Its client left or its time is over. Returns the worker to tell and the work, if one has it in hand.

        There it stays until the worker answers: should that one end, this may be why.
        """
        if self._waiting.pop(work_id, None) is not None:
            return None
        for generation, worker in self._workers.items():
            work = worker.in_hand.pop(work_id, None)
            if work is not None:
                worker.unasked[work_id] = work
                return generation, work
        return None

    def _least_busy(self) -> str | None:
        able = [generation for generation, worker in self._workers.items() if worker.credits > 0]
        return min(able, key=self._load) if able else None

    def _load(self, generation: str) -> tuple[float, int]:
        worker = self._workers[generation]
        return (len(worker.in_hand) / worker.capacity, -worker.credits)


def _believes_wrongly(worker: WorkerState, waiting: int) -> bool:
    """Whether a worker should hear how many requests wait here; who has no place left to give need not."""
    if waiting:
        return not worker.told and worker.share < worker.capacity
    return bool(worker.told and worker.credits)
