"""Dispatcher: requests in, faces out. The only place that joins the queue, the links and the futures.

What may be decided without a socket is decided in `work_queue.py`; this file does what was decided.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from gateway.work_queue import Work, WorkQueue
from gateway.worker_link import Context, WorkerLink
from shared.announcement import announced
from shared.errors import DeadlineExceeded, DetectionFailed, FaceApiError, NoWorker, PoisonPicture
from shared.faces import Faces
from shared.messages import (
    Cancel,
    Failure,
    Goodbye,
    Grant,
    Heartbeat,
    Hello,
    Offer,
    Recall,
    Release,
    Reply,
    Request,
    ToGateway,
    Welcome,
)
from shared.wire import encode, encode_request

#: How often new workers are looked for, and how often the known ones are asked for a sign of life.
SCAN_INTERVAL_S = 0.2
HEARTBEAT_INTERVAL_S = 0.5
#: A worker that gives no sign for the larger of this and so many of its own batch times hangs.
HANG_S_MIN = 3.0
HANG_BATCHES = 5
#: Without any worker for this long requests are refused at once instead of waiting for one.
NO_WORKER_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Detection:
    """Faces in pixels of the upright picture, with the milliseconds they took on the way."""

    faces: Faces
    queue_ms: float
    inference_ms: float
    postprocess_ms: float
    batch_size: int
    dispatch: str
    worker: Welcome


@dataclass(slots=True)
class Counts:
    """What happened in this process since it started; read by the metrics."""

    answered: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    redispatched: int = 0
    poisoned: int = 0
    late_answers: int = 0
    workers_lost: int = 0


@dataclass(slots=True)
class Known:
    """A worker behind a link. welcome is None until it has presented itself."""

    link: WorkerLink
    opened: float
    heard: float
    welcome: Welcome | None = None
    batch_s: float = 0.0


@dataclass(slots=True)
class Pending:
    """A request somebody awaits."""

    future: asyncio.Future[tuple[Reply, Faces, Welcome]]
    submitted: float
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Dispatcher:
    """Opened and closed by the lifespan; `detect` is all the routes use."""

    runtime_dir: Path
    name: str
    context: Context = field(default_factory=lambda: zmq.Context(1))
    queue: WorkQueue = field(default_factory=WorkQueue)
    counts: Counts = field(default_factory=Counts)
    known: dict[str, Known] = field(default_factory=dict)
    _pending: dict[int, Pending] = field(default_factory=dict)
    _next_id: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _served_at: float = 0.0
    _sequence: int = 0

    # Life

    def open(self) -> None:
        self._served_at = self._now()
        self._tasks = [asyncio.create_task(self._scan_for_ever()), asyncio.create_task(self._beat_for_ever())]

    async def aclose(self) -> None:
        """Says goodbye to the workers; whoever still waits is answered 503."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for work_id in list(self._pending):
            self._fail(work_id, NoWorker("The server is stopping, retry in 1 second"))
        for known in self.known.values():
            known.link.send(encode(Goodbye()))
        await asyncio.sleep(0)
        for known in list(self.known.values()):
            known.link.close()
        self.known.clear()
        self.context.term()

    @property
    def workers(self) -> list[Welcome]:
        """The workers that serve now."""
        return [known.welcome for known in self.known.values() if known.welcome is not None]

    @property
    def dynamic_size(self) -> bool:
        """Whether every worker takes crops of other sides than the main one."""
        return all(worker.model.dynamic_size for worker in self.workers)

    # Requests

    def next_id(self) -> int:
        """An id for a Work of this process."""
        self._next_id += 1
        return self._next_id

    async def detect(self, work: Work) -> Detection:
        """The faces of one request, from whichever worker.

        Raises DeadlineExceeded, NoWorker (503), PoisonPicture (422), DetectionFailed (500). A cancelled
        caller frees its place at once.
        """
        now = self._now()
        if not self.workers and now - self._served_at > NO_WORKER_GRACE_S:
            raise NoWorker("No worker is serving, retry in 1 second")
        loop = asyncio.get_running_loop()
        pending = Pending(loop.create_future(), now)
        pending.timer = loop.call_at(work.deadline.at, self._expire, work.id)
        self._pending[work.id] = pending
        self.queue.submit(work)
        self._pump()
        try:
            reply, faces, worker = await pending.future
        except asyncio.CancelledError:
            self.counts.cancelled += 1
            self._withdraw(work.id)
            raise
        finally:
            pending.timer.cancel()
            self._pending.pop(work.id, None)
        total_ms = (self._now() - now) * 1000
        queue_ms = max(0.0, total_ms - reply.inference_ms - reply.postprocess_ms)
        return Detection(
            faces, queue_ms, reply.inference_ms, reply.postprocess_ms, reply.batch_size, reply.dispatch, worker
        )

    def _expire(self, work_id: int) -> None:
        self.counts.expired += 1
        self._withdraw(work_id)
        self._fail(work_id, DeadlineExceeded("Server busy, the request's time was over; retry in 1 second"))

    def _withdraw(self, work_id: int) -> None:
        generation = self.queue.withdraw(work_id)
        if generation is not None and generation in self.known:
            self.known[generation].link.send(encode(Cancel(work_id)))

    def _fail(self, work_id: int, error: FaceApiError) -> None:
        pending = self._pending.get(work_id)
        if pending is not None and not pending.future.done():
            pending.future.set_exception(error)

    def _pump(self) -> None:
        """Sends what can be sent, and tells workers when work waits without credit."""
        for generation, work in self.queue.assign():
            self.known[generation].link.send(self._frames(work))
        for generation in self.queue.offers():
            self.known[generation].link.send(encode(Offer(self.queue.waiting)))

    def _frames(self, work: Work) -> list[object]:
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
        )
        return encode_request(request, work.crops)

    # Workers

    def _on_message(self, link: WorkerLink, message: ToGateway, faces: Faces | None) -> None:
        known = self.known.get(link.generation)
        if known is None:
            return
        known.heard = self._now()
        if isinstance(message, Reply):
            self._on_reply(known, message, faces)
        elif isinstance(message, Failure):
            self._on_failure(known, message)
        elif isinstance(message, Welcome):
            self._on_welcome(known, message)
        elif isinstance(message, Grant):
            self.queue.granted(link.generation, message.credits)
        elif isinstance(message, Recall):
            link.send(encode(Release(self.queue.recalled(link.generation, message.credits))))
        elif isinstance(message, Goodbye):
            self._drop(known)
            self.queue.hand_back(link.generation)
        self._pump()

    def _on_welcome(self, known: Known, welcome: Welcome) -> None:
        if known.welcome is None and welcome.generation == known.link.generation:
            known.welcome = welcome
            self.queue.join(welcome.generation, welcome.capacity)

    def _on_reply(self, known: Known, reply: Reply, faces: Faces | None) -> None:
        assert faces is not None
        known.batch_s = _learned(known.batch_s, (reply.inference_ms + reply.postprocess_ms) / 1000)
        self.queue.granted(known.link.generation, reply.grant)
        work = self.queue.answered(known.link.generation, reply.id)
        pending = self._pending.get(reply.id)
        if work is None or pending is None or pending.future.done() or reply.generation != known.link.generation:
            self.counts.late_answers += 1
            return
        self.counts.answered += 1
        assert known.welcome is not None
        pending.future.set_result((reply, faces, known.welcome))

    def _on_failure(self, known: Known, failure: Failure) -> None:
        self.queue.granted(known.link.generation, failure.grant)
        if self.queue.answered(known.link.generation, failure.id) is None:
            self.counts.late_answers += 1
        elif failure.kind == "expired":
            self.counts.expired += 1
            self._fail(failure.id, DeadlineExceeded("Server busy, the request's time was over; retry in 1 second"))
        else:
            self.counts.failed += 1
            self._fail(failure.id, DetectionFailed("The detector failed on this picture"))

    def _on_lost(self, link: WorkerLink, _why: str) -> None:
        known = self.known.get(link.generation)
        if known is None or known.link is not link:
            return
        self._drop(known)
        lost = self.queue.leave(link.generation)
        self.counts.workers_lost += 1
        self.counts.redispatched += len(lost.again)
        self.counts.poisoned += len(lost.poison)
        for work in lost.poison:
            self._fail(work.id, PoisonPicture("This picture ended two workers and is not tried again"))
        self._pump()

    def _drop(self, known: Known) -> None:
        known.link.close()
        self.known.pop(known.link.generation, None)

    async def _scan_for_ever(self) -> None:
        while True:
            self._scan()
            await asyncio.sleep(SCAN_INTERVAL_S)

    def _scan(self) -> None:
        now = self._now()
        if self.workers:
            self._served_at = now
        for generation, announcement in announced(self.runtime_dir).items():
            if generation not in self.known:
                link = WorkerLink(self.context, announcement, self._on_message, self._on_lost)
                self.known[generation] = Known(link, now, now)
                link.send(encode(Hello(self.name)))

    async def _beat_for_ever(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    def _beat(self) -> None:
        now = self._now()
        self._sequence += 1
        for known in list(self.known.values()):
            if now - known.heard > max(HANG_S_MIN, HANG_BATCHES * known.batch_s):
                known.link.close()
                self._on_lost(known.link, "it hangs")
            else:
                known.link.send(encode(Heartbeat(self._sequence)))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _learned(before: float, measured: float) -> float:
    """A running mean that forgets: a fifth of each new measurement."""
    return measured if before == 0 else before + 0.2 * (measured - before)
