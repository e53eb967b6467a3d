"""The worker's one loop: receive, batch, drop the expired and the cancelled, detect, answer.

Owns all control flow of a worker; everything it calls either only decides or only does. Heartbeats are
answered from here and nowhere else, so a worker that answers them can also serve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces
from shared.messages import Cancel, Failure, Heartbeat, Hello, Reply, Request, Started, ToWorker, Welcome
from shared.seldom import Seldom
from shared.wire import OtherVersion, WireError, decode_to_worker, encode, encode_reply
from worker.clock import Clock
from worker.credit import CreditLedger
from worker.links import LOOK_INTERVAL_S, Links, OpenView, Sockets
from worker.micro_batch import MicroBatch, MicroBatcher
from worker.outbox import Outbox
from worker.pipeline import Found, Pipeline, Submitted

#: Time for the socket's own thread to send Started before a picture that may end this process is run.
STARTED_FLUSH_S = 0.05
#: When stopping: how long something may still be on its way, and for how long at most.
LAST_PATIENCE_S, LAST_TURNS_S_MAX = 0.02, 2.0


class WorkerSick(Exception):
    """Not the picture's doing: the network cannot run any more. This process must end and be replaced."""


@dataclass(frozen=True, slots=True)
class InHand:
    """One request in hand. pixels: a view per crop into the message it came in."""

    gateway: bytes
    request: Request
    crops: list[NDArray[np.uint8]]


@dataclass(slots=True)
class Running:
    """A batch that was submitted. left: gateways that were forgotten since; nothing is owed to them any more."""

    batch: MicroBatch[InHand]
    submitted: Submitted
    since: float
    left: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that was run: what was found, and in which batch of how many."""

    job: InHand
    found: Found
    wait_ms: float
    batch_size: int
    dispatch: str


@dataclass(slots=True)
class Serving:
    """The state of one worker between two turns of its loop.

    suspects: requests that were in the hand of a worker that ended; each runs alone. batch_s: what a run
    takes here, learned; at first what warming up took. view: opens the crop memory of gateways of this host.
    """

    sockets: Sockets
    pipeline: Pipeline
    welcome: Welcome
    batcher: MicroBatcher[InHand]
    ledger: CreditLedger
    told: Callable[[str], None]
    stopping: Callable[[], bool]
    view: OpenView | None = None
    clock: Clock = field(default_factory=Clock)
    links: Links = field(init=False)
    suspects: MicroBatcher[InHand] = field(default_factory=lambda: MicroBatcher(1, 0.0))
    batch_s: float = 0.0
    running: list[Running] = field(default_factory=list)
    outbox: Outbox[Finished] = field(default_factory=Outbox)
    seldom: Seldom = field(default_factory=Seldom)
    finished_at: float = 0.0
    closed_at: float = 0.0

    def __post_init__(self) -> None:
        self.links = Links(self.sockets, self.ledger, self.welcome, self.told, self._drop, self.clock, self.view)

    def run(self) -> None:
        """Serves until `stopping()`; then finishes what is in hand or on its way, and says Goodbye."""
        while not self.stopping():
            self.turn(LOOK_INTERVAL_S)
        self.close()
        while self.unfinished(any_arrived=self.turn(LAST_PATIENCE_S)):
            pass
        self.links.part()

    def close(self) -> None:
        """From now on nobody is given credit."""
        self.ledger.capacity = 0
        self.closed_at = self.clock.now()

    def unfinished(self, *, any_arrived: bool) -> bool:
        """Whether a closed worker has more to do. any_arrived: in its last turn."""
        return (any_arrived and self.clock.now() < self.closed_at + LAST_TURNS_S_MAX) or self._in_hand()

    def wait_s(self, patience_s: float) -> float:
        """How long to wait for a message, at most `patience_s`, before something else is due."""
        if len(self.suspects) or self.running:
            return 0.0
        now = self.clock.now()
        dues = (patience_s, self.batcher.due_in(now), self.outbox.due_in(now, len(self.batcher), self.batch_s))
        return min(due for due in dues if due is not None)

    def turn(self, patience_s: float) -> bool:
        """Takes in everything that has arrived, waiting for the first at most `patience_s`, then runs what is due.

        Whether anything arrived.
        """
        wait, any_arrived = self.wait_s(patience_s), False
        while (arrived := self.sockets.receive(wait)) is not None:
            self._take_in(*arrived, self.clock.now())
            wait, any_arrived = 0.0, True
        now = self.clock.now()
        self.links.look(now)
        self._run_due_batch(now)
        if self.outbox.due(self.clock.now(), len(self.batcher), self.batch_s):
            self._answer()
        return any_arrived

    def _in_hand(self) -> bool:
        return bool(len(self.batcher) or len(self.suspects) or self.running or len(self.outbox))

    # What arrives

    def _take_in(self, gateway: bytes, frames: list[memoryview], now: float) -> None:
        try:
            message, crops = decode_to_worker(frames, self.links.crops.get(gateway))
        except WireError as error:
            who = _name_of(gateway)
            if self.seldom.may(f"{who}: {error}", now):
                self.told(f"dropped what {who} said: {error}")
            # From the answer one of another version sees how this side speaks; one that is forgotten, that it is.
            if isinstance(error, OtherVersion) or gateway not in self.ledger:
                self.links.turn_away(gateway)
            return
        if isinstance(message, Hello):
            self.links.greet(gateway, message.crops, now)
        elif isinstance(message, Heartbeat):
            self.links.sign(gateway, message.sequence, self.batch_s, now)
        elif gateway not in self.ledger:
            self.links.turn_away(gateway)
        else:
            self.links.heard[gateway] = now
            self._obey(gateway, message, crops, now)

    def _obey(self, gateway: bytes, message: ToWorker, crops: list[NDArray[np.uint8]], now: float) -> None:
        if isinstance(message, Request):
            self._accept(InHand(gateway, message, crops), now)
            return
        if isinstance(message, Cancel):
            self._cancel(gateway, message.id)
        self.links.obey(gateway, message)

    def _accept(self, job: InHand, now: float) -> None:
        if not self.ledger.received(job.gateway, job.request.waiting):
            self._fail(job, "invalid", "sent without credit")
            return
        queue = self.suspects if job.request.suspected else self.batcher
        queue.add((job.gateway, job.request.id), job, now, now + job.request.left_ms / 1000)
        if job.request.waiting:
            self.links.settle()

    def _cancel(self, gateway: bytes, request_id: int) -> None:
        key = (gateway, request_id)
        job = self.batcher.remove(key) or self.suspects.remove(key)
        if job is not None:
            self._close(job, "cancelled", "the client left")

    # What goes out

    def _run_due_batch(self, now: float) -> None:
        for job in [*self.batcher.drop_expired(now), *self.suspects.drop_expired(now)]:
            self._close(job, "expired", "the request's time was over before its turn")
        suspect = self.suspects.take(now)
        if suspect is not None:
            self._finish_running(0)  # nothing else may be in this process's hand when it ends
            self._answer()
            self._announce(suspect.items[0].item)
        batch = suspect or self.batcher.take(now)
        if batch is not None:
            self._start(batch, now)
        # What runs is waited for once nothing can be started beside it; on a CPU that is at once.
        more = batch is not None and suspect is None and self.batcher.due_in(now) == 0
        self._finish_running(self.pipeline.depth - 1 if more else 0)

    def _announce(self, job: InHand) -> None:
        self.links.send(job.gateway, encode(Started(job.request.id, self.welcome.generation)))
        self.clock.pause(STARTED_FLUSH_S)

    def _start(self, batch: MicroBatch[InHand], now: float) -> None:
        submitted = self.pipeline.submit([(waiting.item.request, waiting.item.crops) for waiting in batch.items])
        self.running.append(Running(batch, submitted, now))

    def _finish_running(self, keep: int) -> None:
        """Waits for what runs, oldest first, until `keep` batches are left."""
        while len(self.running) > keep:
            self._finish(self.running.pop(0))

    def _finish(self, running: Running) -> None:
        batch, now = running.batch, running.since
        found = self.pipeline.collect(running.submitted)
        assert len(found) == len(batch.items)
        if any(one.faces is None for one in found) and not self.pipeline.healthy():
            self._answer()
            # Unanswered on purpose: the gateways hear of this process's end and ask another worker.
            raise WorkerSick("the network fails on a plain black picture too")
        ended = self.clock.now()
        self.batch_s = _learned(self.batch_s, ended - max(now, self.finished_at))
        self.finished_at = ended
        for waiting, one in zip(batch.items, found, strict=True):
            if waiting.item.gateway not in running.left:
                wait_ms = (now - waiting.since) * 1000
                self.outbox.add(Finished(waiting.item, one, wait_ms, len(batch.items), batch.reason), ended)

    def _answer(self) -> None:
        """Sends every finished answer; until then its request counts as in hand."""
        for finished in self.outbox.take():
            self.ledger.finished(finished.job.gateway)
            if finished.found.faces is None:
                self._fail(finished.job, "failed", finished.found.error)
            else:
                self._reply(finished, finished.found.faces)

    def _reply(self, finished: Finished, faces: Faces) -> None:
        job = finished.job
        reply = Reply(
            id=job.request.id,
            generation=self.welcome.generation,
            faces=len(faces),
            columns=faces.packed().shape[1],
            wait_ms=finished.wait_ms,
            inference_ms=finished.found.inference_ms,
            postprocess_ms=finished.found.postprocess_ms,
            batch_size=finished.batch_size,
            dispatch=finished.dispatch,
            grant=self.links.settle_for(job.gateway),
            sure=finished.found.sure,
        )
        self.links.send(job.gateway, encode_reply(reply, faces))

    def _close(self, job: InHand, kind: str, words: str) -> None:
        """Answers a job that will not run and frees its place."""
        self.ledger.finished(job.gateway)
        self._fail(job, kind, words)

    def _fail(self, job: InHand, kind: str, words: str) -> None:
        grant = self.links.settle_for(job.gateway)
        self.links.send(job.gateway, encode(Failure(job.request.id, self.welcome.generation, kind, words, grant)))

    def _drop(self, gateway: bytes) -> None:
        """A gateway left: drops everything of it that has not run yet."""
        for running in self.running:
            running.left.add(gateway)
        self.outbox.drop(lambda finished: finished.job.gateway == gateway)
        for queue in (self.batcher, self.suspects):
            for key in queue.waiting_keys():
                if isinstance(key, tuple) and key[0] == gateway:
                    queue.remove(key)


def _name_of(gateway: bytes) -> str:
    """As it stands in the log: on one host gateways have no names but bytes that ØMQ gave them."""
    return gateway.decode() if gateway.isascii() and gateway.decode().isprintable() else "a gateway"


def _learned(before: float, measured: float) -> float:
    """A running mean that forgets: a fifth of each new measurement."""
    return measured if before == 0 else before + 0.2 * (measured - before)
