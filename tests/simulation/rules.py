"""The promises, kept watch over from outside: what went over the wire and how each request ended, never what the code
under test believes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.dispatching.dispatch import NO_WORKER_GRACE_S
from gateway.dispatching.work_queue import MOVES_MAX
from shared.errors import DeadlineExceeded, DetectionFailed, NoWorker, PoisonPicture
from shared.messages import Failure, Heartbeat, Reply, Request, Started, Welcome
from shared.wire import CropArray
from tests.simulation.plan import PATIENT_S, Ask, Kind, picture_of
from worker.outbox import HELD_S_MAX

#: Timers and clocks are compared to within this (seconds); deadlines cross the wire in whole milliseconds.
NEAR_S = 0.0021
#: A worker that is well is found, greeted and welcomed within this.
REACHED_S = 2.0
#: So many workers a picture may end before it is refused everywhere.
KILLINGS_MAX = 2


@dataclass(slots=True)
class Hand:
    """What a gateway sent to a worker and has no answer to, by request id: picture, and whether it was Started."""

    pictures: dict[int, int] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    sent_at: float = 0.0


@dataclass(slots=True)
class Rules:
    """endings: how many requests ended how. violations: broken promises, in words. trace: every message, if wanted.

    could_serve: whether some worker has been well and free since a moment. lives: whether a worker does that only its pool may
    say has died. killings: how many workers each picture ended.
    """

    loop: asyncio.AbstractEventLoop
    endings: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    hands: dict[tuple[str, str], Hand] = field(default_factory=dict)
    poison: dict[int, float] = field(default_factory=dict)
    moves: Counter[tuple[str, int]] = field(default_factory=Counter)
    serving_until: dict[str, float] = field(default_factory=dict)
    welcomed: dict[str, set[str]] = field(default_factory=dict)
    letters: int = 0
    could_serve: Callable[[float], bool] = lambda _since: False
    lives: Callable[[str], bool] = lambda _worker: False
    killings: Counter[int] = field(default_factory=Counter)
    trace: list[str] | None = None

    def _note(self, gateway: str, arrow: str, worker: str, what: Any) -> None:
        if self.trace is not None and not isinstance(what, Heartbeat):
            self.trace.append(f"{self.loop.time():8.4f}  {gateway} {arrow} {worker}  {what}"[:160])

    def broken(self, words: str) -> None:
        self.violations.append(f"at {self.loop.time():.3f}: {words}")

    # What goes over the wire

    def hand(self, gateway: str, worker: str) -> Hand:
        return self.hands.setdefault((gateway, worker), Hand())

    def asked(self, gateway: str, worker: str, message: Any, crops: list[CropArray]) -> None:
        self.letters += 1
        self._note(gateway, "→", worker, message)
        if isinstance(message, Request):
            hand, picture = self.hand(gateway, worker), picture_of(crops[0])
            if message.id in hand.pictures:
                self.broken(f"{gateway} sent request {message.id} twice to {worker}")
            hand.pictures[message.id], hand.sent_at = picture, self.loop.time()

    def told(self, gateway: str, worker: str, message: Any) -> None:
        self.letters += 1
        self._note(gateway, "←", worker, message)
        hand = self.hand(gateway, worker)
        if isinstance(message, Reply | Failure):
            hand.pictures.pop(message.id, None)
            hand.started.discard(message.id)
        elif isinstance(message, Started):
            hand.started.add(message.id)
        elif isinstance(message, Welcome) and message.generation == worker:
            self.hands[gateway, worker] = Hand()
            self.welcomed.setdefault(gateway, set()).add(worker)

    def lost(self, gateway: str, worker: str) -> None:
        """The gateway holds that the worker ended or hangs: what it ran alone is poison, by the rule."""
        self._note(gateway, "lost", worker, "")
        if self.lives(worker):
            self.broken(f"{gateway} mourns {worker}, which lives on a host of its own")
        hand = self.hands.pop((gateway, worker), Hand())
        for request, picture in hand.pictures.items():
            self.moves[gateway, request] += 1
            if request in hand.started:
                self.poison.setdefault(picture, self.loop.time())
        self._went(gateway, worker)

    def doubted(self, gateway: str, worker: str) -> None:
        """The link is gone and nobody knows more: the gateway is served by it no longer."""
        self._note(gateway, "doubts", worker, "")
        self._went(gateway, worker)

    def killed(self, pictures: Iterable[int]) -> None:
        """A worker ended by these."""
        self.killings.update(pictures)

    def toured(self, picture: int) -> None:
        """One that kills was shown to one gateway after the other, and nothing else befell the house."""
        if self.killings[picture] > KILLINGS_MAX:
            self.broken(f"picture {picture} ended {self.killings[picture]} workers on its tour")

    def parted(self, gateway: str, worker: str) -> None:
        self._note(gateway, "parted from", worker, "")
        self.hands.pop((gateway, worker), None)
        self._went(gateway, worker)

    def _went(self, gateway: str, worker: str) -> None:
        self.welcomed.setdefault(gateway, set()).discard(worker)
        self.serving_until[gateway] = self.loop.time()

    # How requests end

    def ended(self, ask: Ask, request: int, gateway: Any, began: float, result: Any) -> None:
        """result: a Detection, or what was raised."""
        now = self.loop.time()
        name = self._judge(ask, request, gateway, now, now - began, result)
        self.endings[name] += 1

    def _judge(self, ask: Ask, request: int, gateway: Any, now: float, took_s: float, result: Any) -> str:
        what = f"request {request} of {gateway.name} for {ask.picture}"
        if took_s > ask.patience_s + NEAR_S:
            self.broken(f"{what} ended {took_s - ask.patience_s:.3f} s after its deadline")
        if isinstance(result, asyncio.CancelledError):
            return "left" if gateway.alive else "gone with its gateway"
        if isinstance(result, PoisonPicture):
            if ask.picture not in self.poison:
                self.broken(f"{what} was told poison: no worker ended while it ran this picture alone")
            return "poison"
        if isinstance(result, DeadlineExceeded):
            if took_s < ask.patience_s - NEAR_S:
                self.broken(f"{what} expired {ask.patience_s - took_s:.3f} s early")
            if ask.patience_s >= PATIENT_S:
                self.broken(f"{what} was lost: nobody answered it in {took_s:.0f} s")
            return "expired"
        if isinstance(result, NoWorker):
            return self._judge_no_worker(what, request, gateway, now)
        if isinstance(result, DetectionFailed):
            if Kind.of(ask.picture) is not Kind.BAD:
                self.broken(f"{what} failed although nothing is wrong with it")
            return "failed"
        if isinstance(result, BaseException):
            self.broken(f"{what} ended with {type(result).__name__}: {result}")
            return "raised"
        if int(result.faces.boxes[0, 0]) != ask.picture or len(result.faces) != 1:
            self.broken(f"{what} was answered with the faces of {int(result.faces.boxes[0, 0])}")
        return "answered"

    def _judge_no_worker(self, what: str, request: int, gateway: Any, now: float) -> str:
        if gateway.leaving:
            return "stopping"
        if self.moves[gateway.name, request] > MOVES_MAX:
            return "given up"
        served = self.welcomed.get(gateway.name) or now - self.serving_until.get(gateway.name, gateway.began) < (
            NO_WORKER_GRACE_S - NEAR_S
        )
        reachable = self.could_serve(now - NO_WORKER_GRACE_S - REACHED_S)
        stood_still = now - max(gateway.frozen_until, gateway.blind_until) < NO_WORKER_GRACE_S + REACHED_S
        if served or (reachable and not stood_still):
            self.broken(f"{what} was told that no worker serves")
        return "no worker"

    # Promises about workers

    def look(self, workers: Iterable[Any], gateways: list[Any]) -> None:
        """Places and credits, of every worker that lives and every link whose two ends agree that it is open."""
        for worker in workers:
            ledger = worker.serving.ledger
            if ledger.capacity and ledger.free < 0:
                self.broken(f"{worker.generation} gave out {-ledger.free} places more than it has")
            for gateway in gateways:
                self._look_at(worker, gateway)

    def _look_at(self, worker: Any, gateway: Any) -> None:
        known = gateway.dispatcher.roster.known.get(worker.generation)
        state = gateway.dispatcher.queue.workers.get(worker.generation)
        if known is None or known.link.closed or known.link.back.ended is not None or state is None:
            return
        if gateway.identity not in worker.serving.ledger:
            return
        link = known.link
        there = [letter.message for letter in link.there.on_way]
        there += [letter.message for name, _, letter in worker.inbox if name == gateway.identity]
        back = [letter.message for letter in (*link.back.on_way, *link.held)]
        if {type(message).__name__ for message in (*there, *back)} & {"Hello", "Welcome", "Goodbye"}:
            return  # one end starts anew
        account = worker.serving.ledger.account(gateway.identity)
        sent = sum(isinstance(message, Request) for message in there)
        coming = sum(message.credits for message in back if type(message).__name__ == "Grant")
        coming += sum(message.grant for message in back if isinstance(message, Reply | Failure))
        given_back = sum(message.credits for message in there if type(message).__name__ == "Release")
        where = f"between {gateway.name} and {worker.generation}"
        if min(state.credits, account.credits, account.in_hand) < 0:
            self.broken(f"negative credits {where}")
        if account.credits != state.credits + coming + sent + given_back:
            self.broken(
                f"{where} {account.credits} credits are out, but {state.credits} held, {coming} coming, "
                f"{sent} used, {given_back} given back"
            )
        answers = sum(isinstance(message, Reply | Failure) for message in back)
        held = len(state.in_hand) + len(state.unasked)
        if held != sent + account.in_hand + answers:
            self.broken(
                f"{where} {held} requests are awaited, {sent} sent, {account.in_hand} in hand, {answers} answers"
            )

    def answered_late(self, worker: Any, held_s: float) -> None:
        if held_s > HELD_S_MAX + worker.numbers.longest_s + NEAR_S and not worker.ever_frozen:
            self.broken(f"{worker.generation} held a finished answer {held_s * 1000:.0f} ms")
