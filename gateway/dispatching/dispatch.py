"""Dispatcher: requests in, faces out. The only place that joins the queue, the links and the futures.

What may be decided without a socket is decided in `work_queue.py`; this file does what was decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import msgspec
import numpy as np

from gateway.dispatching import quarantine_folder
from gateway.dispatching.cost_model import CostModel
from gateway.dispatching.counts import Counts
from gateway.dispatching.quarantine_folder import QuarantineFolder
from gateway.dispatching.roster import Known, Roster
from gateway.dispatching.split_roster import SplitRoster
from gateway.dispatching.work_queue import Work, WorkQueue
from gateway.dispatching.worker_hosts import WorkerHosts
from gateway.pictures.crop_memory import CropMemory
from shared.errors import DeadlineExceeded, DetectionFailed, FaceApiError, NoWorker, PoisonPicture
from shared.faces import Faces
from shared.messages import Cancel, Failure, Grant, Offer, Recall, Release, Reply, Request, Started, ToGateway, Welcome
from shared.supervision import Loops
from shared.wire import CropArray, encode, encode_request, looks_of

#: Without any worker for this long who waits for one is answered 503, and who comes is at once.
NO_WORKER_GRACE_S = 5.0

Incident = Callable[[str, dict[str, object]], None]


class Looks(msgspec.Struct, frozen=True):
    """How a picture was looked at. passes: runs of the network. tiles: parts of it. turns: beside upright, 0 or 3.
    closer: doubted finds that were looked at again.
    """

    passes: int
    tiles: int = 0
    turns: int = 0
    closer: int = 0

    def told(self) -> str:
        """The value of X-Looks: a structured field (RFC 9651)."""
        return f"passes={self.passes}, tiles={self.tiles}, turns={self.turns}, closer={self.closer}"


class Detection(msgspec.Struct, frozen=True):
    """Faces in pixels of the upright picture, with the milliseconds they took on the way.

    sure: the best score in the largest look.
    """

    faces: Faces
    queue_ms: float
    inference_ms: float
    postprocess_ms: float
    batch_size: int
    dispatch: str
    worker: Welcome
    looks: Looks
    sure: float


#: What a request that somebody awaits is answered with.
Answer = asyncio.Future[tuple[Reply, Faces, Welcome]]


@dataclass(slots=True)
class Dispatcher:
    """Opened and closed by the lifespan; `detect` is all the routes use. clock: CLOCK_MONOTONIC, of findings.

    hosts: where workers are, when they have hosts of their own. crops: where crops lie for workers of this host. alone:
    whether one picture is all there is in the house.
    """

    runtime_dir: Path
    name: str
    told: Incident = lambda _event, _facts: None
    hosts: WorkerHosts | None = None
    crops: CropMemory | None = None
    clock: Callable[[], float] = monotonic
    alone: Callable[[], bool] = lambda: False
    loops: Loops = field(default_factory=Loops)
    queue: WorkQueue = field(default_factory=WorkQueue)
    counts: Counts = field(default_factory=Counts)
    cost: CostModel = field(default_factory=CostModel)
    quarantine: QuarantineFolder = field(init=False)
    roster: Roster = field(init=False)
    _pending: dict[int, Answer] = field(default_factory=dict)
    _next_id: int = 0
    _served_at: float = 0.0

    # Life

    def __post_init__(self) -> None:
        self.quarantine = QuarantineFolder(quarantine_folder.folder(self.runtime_dir), self.not_shared)
        hears = (self.runtime_dir, self.name, self._on_message, self._on_lost, self._on_parted)
        if self.hosts is None:
            self.roster = Roster(*hears, loops=self.loops, crops=self.crops.address if self.crops else None)
        else:
            self.roster = SplitRoster(
                *hears, loops=self.loops, hosts=self.hosts, on_doubted=self.queue.doubted, on_relinked=self._relinked
            )

    def open(self) -> None:
        self._worker_went()
        self.quarantine.open()
        self.roster.open()

    async def aclose(self) -> None:
        """Says goodbye to the workers; whoever still waits is answered 503."""
        for work_id in list(self._pending):
            self._fail(work_id, NoWorker("The server is stopping, retry in 1 second"))
        await self.roster.aclose()

    def links(self, now: float) -> dict[str, int]:
        """Links to other hosts by how they stand; empty where workers are on this one."""
        return self.roster.links(now) if isinstance(self.roster, SplitRoster) else {}

    def _relinked(self) -> None:
        self.counts.relinked += 1

    @property
    def workers(self) -> list[Welcome]:
        """The workers that serve now."""
        return self.roster.workers

    @property
    def exact_pixels(self) -> bool:
        """Whether a model that serves, or may come to, is shown just what the reference would show it."""
        workers = self.workers
        return not workers or any(worker.model.exact_pixels for worker in workers)

    @property
    def closer_network(self) -> bool:
        """Whether every model that serves has a closer network."""
        workers = self.workers
        return bool(workers) and all(worker.model.closer_network for worker in workers)

    def interval_s(self) -> float:
        """Seconds per picture with all workers at full batches, by the cost model; 0 while nothing is known."""
        batches = [worker.model.max_batch for worker in self.workers]
        per_second = sum([batch / run_s for batch in batches if (run_s := self.cost.run_s(batch))])
        return 1 / per_second if per_second else 0.0

    # Requests

    def next_id(self) -> int:
        """An id for a Work of this process."""
        self._next_id += 1
        return self._next_id

    def blank(self, shape: tuple[int, int, int]) -> CropArray:
        """Black memory for a crop, uint8: where workers of this host read it, as far as there is room."""
        room = self.crops.blank(shape) if self.crops is not None else None
        return np.zeros(shape, np.uint8) if room is None else room

    async def detect(self, work: Work) -> Detection:
        """The faces of one request, from whichever worker.

        Raises DeadlineExceeded, NoWorker (503), PoisonPicture (422), DetectionFailed (500). A cancelled caller, whose
        client left or whose time is over, frees its place at once.
        """
        loop, passes = asyncio.get_running_loop(), looks_of(work.headers)
        now = loop.time()
        self._refuse_hopeless(work, now)
        answer: Answer = loop.create_future()
        self._pending[work.id] = answer
        self.queue.submit(work)
        self._pump()
        try:
            reply, faces, worker = await answer
        except asyncio.CancelledError:
            if work.deadline.passed(loop.time()):
                self.counts.expired += 1
            else:
                self.counts.cancelled += 1
            self._withdraw(work.id)
            raise
        finally:
            del self._pending[work.id]
        total_ms = (loop.time() - now) * 1000
        queue_ms = max(0.0, total_ms - reply.inference_ms - reply.postprocess_ms)
        return Detection(
            faces, queue_ms, reply.inference_ms, reply.postprocess_ms, reply.batch_size, reply.dispatch, worker,
            Looks(passes), reply.sure,
        )  # fmt: skip

    def _refuse_hopeless(self, work: Work, now: float) -> None:
        if self.workers:
            self._served_at = now
        elif now - self._served_at > NO_WORKER_GRACE_S:
            raise NoWorker("No worker is serving, retry in 1 second")
        if self.quarantine.standing(work, self.clock()) == "poison":
            self.counts.quarantined += 1
            raise _poison()

    def _refused_now(self) -> list[Work]:
        """Of what goes to workers next: what was found to be poison while it waited. Notes what became suspected."""
        refused = []
        for work in self.queue.next_up():
            standing = self.quarantine.last_standing(work)
            work.noted = standing == "suspected"
            if standing == "poison":
                refused.append(work)
        return refused

    def _withdraw(self, work_id: int) -> None:
        held = self.queue.withdraw(work_id)
        if held is None:
            self._tell()
            return
        generation, _ = held
        if generation in self.roster.known:
            self.counts.cancelled_in_hand += 1
            self.roster.known[generation].link.send(encode(Cancel(work_id)))

    def _fail(self, work_id: int, error: FaceApiError) -> None:
        answer = self._pending.get(work_id)
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def _pump(self) -> None:
        """Sends what can be sent, and tells workers what waits without credit."""
        while refused := self._refused_now():
            for work in refused:
                self.counts.quarantined += 1
                self.queue.withdraw(work.id)
                self._fail(work.id, _poison())
        for generation, work in self.queue.assign():
            known = self.roster.known[generation]
            known.link.send(self._frames(work, self._placed(work, known)))
        self._tell()

    def _tell(self) -> None:
        for generation in self.queue.offers():
            self.roster.known[generation].link.send(encode(Offer(self.queue.waiting)))

    def _placed(self, work: Work, known: Known) -> tuple[int, ...]:
        """Where its crops begin that a worker reads in our memory, put there if need be; empty where it cannot."""
        if self.crops is None or known.welcome is None or not known.welcome.reads_crops:
            return ()
        placed = self.crops.placed(work.crops)
        if placed is None:
            return ()
        work.crops, offsets = placed
        return offsets

    def _frames(self, work: Work, offsets: tuple[int, ...]) -> list[object]:
        work.lone = self.alone() and self.queue.in_hand == 1 and not work.accompanied
        request = Request(
            id=work.id,
            left_ms=work.deadline.left_ms(self._now()),
            confidence=work.confidence,
            nms_threshold=work.nms_threshold,
            max_faces=work.max_faces,
            width=work.width,
            height=work.height,
            crops=work.headers,
            waiting=self.queue.waiting,
            suspected=work.suspected,
            trace=work.trace,
            lone=work.lone,
            offsets=offsets,
        )
        return encode_request(request, work.crops)

    # Workers

    def _on_message(self, known: Known, message: ToGateway, faces: Faces | None) -> None:
        generation = known.link.generation
        if isinstance(message, Reply):
            self._on_reply(known, message, faces)
        elif isinstance(message, Failure):
            self._on_failure(generation, message)
        elif isinstance(message, Welcome):
            self.queue.hand_back(generation)
            self.queue.join(generation, message.capacity, message.busy_with)
        elif isinstance(message, Grant):
            self.queue.granted(generation, message.credits)
        elif isinstance(message, Recall):
            known.link.send(encode(Release(self.queue.recalled(generation, message.credits))))
        elif isinstance(message, Started):
            self.queue.started(generation, message.id)
        self._pump()

    def _on_reply(self, known: Known, reply: Reply, faces: Faces | None) -> None:
        assert faces is not None
        generation = known.link.generation
        self.queue.granted(generation, reply.grant)
        work = self.queue.answered(generation, reply.id) if reply.generation == generation else None
        self._acquit(work)
        answer = self._pending.get(reply.id)
        if work is None or answer is None or answer.done() or known.welcome is None:
            self.counts.late_answers += 1
            return
        self.counts.answered += 1
        if work.plain and not work.lone:
            self.cost.learn(reply.batch_size, (reply.inference_ms + reply.batch_size * reply.postprocess_ms) / 1000)
        answer.set_result((reply, faces, known.welcome))

    def _on_failure(self, generation: str, failure: Failure) -> None:
        self.queue.granted(generation, failure.grant)
        work = self.queue.answered(generation, failure.id)
        if work is None:
            self.counts.late_answers += failure.kind != "cancelled"
        elif failure.kind == "expired":
            self.counts.expired += 1
            self._fail(failure.id, DeadlineExceeded("Server busy, the request's time was over; retry in 1 second"))
        else:
            self._acquit(work if failure.kind == "failed" else None)
            self.counts.failed += 1
            self.told("detection failed", {"kind": failure.kind, "why": failure.words})
            self._fail(failure.id, DetectionFailed("The detector failed on this picture"))

    def _acquit(self, work: Work | None) -> None:
        """A worker has run this picture and lives."""
        if work is not None and work.suspected:
            self.quarantine.acquit(work, self.clock())

    def _on_lost(self, generation: str, why: str) -> None:
        """A worker died or hangs: what it had in hand is tried elsewhere or given up."""
        lost = self.queue.leave(generation)
        self._worker_went()
        self.counts.workers_lost += 1
        self.counts.redispatched += len(lost.again)
        self.counts.poisoned += len(lost.poison)
        self.counts.given_up += len(lost.given_up)
        # First of all: should this process end too, the others know.
        self.quarantine.note([*lost.again, *lost.unasked], lost.poison, self.clock())
        for work in lost.poison:
            self._fail(work.id, _poison())
        for work in lost.given_up:
            self._fail(work.id, NoWorker("Every worker that took this request ended, retry in 1 second"))
        facts = {"worker": generation, "why": why, "again": len(lost.again), "poison": len(lost.poison)}
        self.told("worker lost", facts)
        self._pump()

    def _on_parted(self, generation: str) -> None:
        self._worker_went()
        self.queue.hand_back(generation)
        self._pump()

    def _worker_went(self) -> None:
        self._served_at = self._now()
        asyncio.get_running_loop().call_later(NO_WORKER_GRACE_S, self._give_up, self._served_at)

    def _give_up(self, served_at: float) -> None:
        """Nobody waits for its whole deadline when no worker has come since the last one went."""
        if self.workers or self._served_at != served_at:
            return
        self._served_at = float("-inf")  # from now on nobody is let in to wait, whatever the clock's steps
        for work_id in list(self._pending):
            self._withdraw(work_id)
            self._fail(work_id, NoWorker("No worker is serving, retry in 1 second"))

    def not_shared(self, why: str) -> None:
        self.told("quarantine not shared", {"why": why})

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _poison() -> PoisonPicture:
    return PoisonPicture("This picture ended two workers and is not tried again; please tell the operator")
