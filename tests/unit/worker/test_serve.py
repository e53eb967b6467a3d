"""The serving loop over sockets that are lists: what comes in, what goes out, and what never does."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.faces import Faces
from shared.messages import (
    Canary,
    Cancel,
    CropHeader,
    CropMemoryAddress,
    Failure,
    Goodbye,
    Grant,
    Heartbeat,
    Hello,
    ModelInfo,
    Offer,
    Recall,
    Release,
    Reply,
    Request,
    Started,
    ToGateway,
    Welcome,
)
from shared.wire import decode_to_gateway, encode, encode_request
from tests.stub_detector import StubDetector
from worker.clock import Clock
from worker.credit import CreditLedger
from worker.links import GATEWAY_SILENCE_S_MAX
from worker.micro_batch import MicroBatcher
from worker.outbox import HELD_S_MAX, Outbox
from worker.pipeline import Pipeline
from worker.router import Delivery
from worker.serve import InHand, Serving

INFO = ModelInfo("stub", "fp32", "StubExecutionProvider", 64, True, 2, True, "MIT", "0" * 64)
A, B = b"gateway a", b"gateway b"
#: A gateway's crop memory: a dark crop and a bright one.
AT = CropMemoryAddress(7, 3, 96, b"m" * 16)
CROPS = np.repeat(np.array([100, 200], np.uint8), 48)


class ListedSockets:
    """Frames to receive, frames sent; one in `gone` cannot be reached any more, one in `full` does not read."""

    def __init__(self) -> None:
        self.arriving: deque[tuple[bytes, list[memoryview]]] = deque()
        self.sent: list[tuple[bytes, ToGateway, Faces | None]] = []
        self.gone: set[bytes] = set()
        self.full: set[bytes] = set()

    def arrive(self, gateway: bytes, frames: list[Any]) -> None:
        self.arriving.append((gateway, [memoryview(bytes(frame)) for frame in frames]))

    def receive(self, timeout_s: float | None) -> tuple[bytes, list[memoryview]] | None:
        return self.arriving.popleft() if self.arriving else None

    def send(self, gateway: bytes, frames: Any) -> Delivery:
        if gateway in self.gone or gateway in self.full:
            return Delivery.GONE if gateway in self.gone else Delivery.FULL
        self.sent.append((gateway, *decode_to_gateway([bytes(frame) for frame in frames])))
        return Delivery.SENT

    def sent_to(self, gateway: bytes, kind: type) -> list[Any]:
        return [message for to, message, _ in self.sent if to == gateway and isinstance(message, kind)]


class OwnClock(Clock):
    """Moves a little with every look at it, and when it is moved."""

    at = 100.0

    def now(self) -> float:
        self.at += 0.0001
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


class Worker:
    """A serving loop with room for two batches of two, and its sockets."""

    def __init__(self) -> None:
        self.sockets = ListedSockets()
        self.detector = StubDetector()
        self.told: list[str] = []
        self.asked_to_stop = False
        self.clock = OwnClock()
        self.serving = Serving(
            sockets=self.sockets,
            pipeline=Pipeline(self.detector, 2, self.told.append),
            welcome=Welcome("g1", 0, 1, 4, 2, INFO, Canary(0.5, 0.4, [], 1.0, 0.1)),
            batcher=MicroBatcher(2, 0.0),
            ledger=CreditLedger(4),
            told=self.told.append,
            stopping=lambda: self.asked_to_stop,
            view=self.view,
            clock=self.clock,
            outbox=Outbox(together=4),
        )

    def view(self, address: CropMemoryAddress) -> NDArray[np.uint8]:
        if address != AT:
            raise OSError("No such memory")
        return CROPS

    def greet(self, *gateways: bytes) -> None:
        """Gateways join one by one and answer recalls, as real ones do."""
        for gateway in gateways:
            self.sockets.arrive(gateway, encode(Hello(gateway.decode())))
            self.serving.turn(0)
            for to, message, _ in list(self.sockets.sent):
                if isinstance(message, Recall):
                    self.sockets.arrive(to, encode(Release(message.credits)))
            self.sockets.sent = [sent for sent in self.sockets.sent if not isinstance(sent[1], Recall)]
            self.serving.turn(0)

    def ask(
        self, gateway: bytes, number: int, brightness: int = 100, *, left_ms: int = 60_000, waiting: int = 0
    ) -> None:
        request = Request(number, left_ms, 0.01, 0.4, 0, 64, 64, (CropHeader(4, 4, 64, 1.0),), waiting)
        self.sockets.arrive(gateway, encode_request(request, [np.full((4, 4, 3), brightness, np.uint8)]))


def request_at(offset: int, number: int = 1) -> list[Any]:
    """For a crop that lies in the gateway's memory."""
    header = CropHeader(4, 4, 64, 1.0)
    return encode(Request(number, 60_000, 0.01, 0.4, 0, 64, 64, (header,), offsets=(offset,)))


def suspect(number: int) -> InHand:
    request = Request(number, 60_000, 0.01, 0.4, 0, 64, 64, (CropHeader(4, 4, 64, 1.0),), suspected=True)
    return InHand(A, request, [np.full((4, 4, 3), 100, np.uint8)])


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_a_gateway_that_says_hello_is_welcomed_and_granted_credit(worker: Worker) -> None:
    worker.greet(A)
    assert worker.sockets.sent_to(A, Welcome)[0].generation == "g1"
    assert sum(grant.credits for grant in worker.sockets.sent_to(A, Grant)) == 4


def test_each_request_is_answered_with_its_own_faces_and_new_credit(worker: Worker) -> None:
    worker.greet(A, B)
    worker.ask(A, 1, 100)
    worker.ask(B, 1, 200)
    worker.serving.turn(0)
    answers = {to: (message, faces) for to, message, faces in worker.sockets.sent if isinstance(message, Reply)}
    for gateway, brightness in ((A, 100), (B, 200)):
        reply, faces = answers[gateway]
        assert (reply.id, reply.generation, reply.batch_size, reply.dispatch) == (1, "g1", 2, "full")
        assert round(float(faces.scores[0]) * 255) == brightness


def test_what_is_cancelled_in_time_is_never_inferred(worker: Worker) -> None:
    worker.greet(A)
    worker.ask(A, 1)
    worker.sockets.arrive(A, encode(Cancel(1)))
    worker.serving.turn(0)
    assert worker.detector.batches == []
    assert [failure.kind for failure in worker.sockets.sent_to(A, Failure)] == ["cancelled"]
    assert worker.serving.ledger.account(A).credits == 4


def test_what_expired_is_never_inferred(worker: Worker) -> None:
    worker.greet(A)
    worker.ask(A, 1, left_ms=0)
    worker.ask(A, 2)
    worker.serving.turn(0)
    assert worker.detector.batches == [1]
    assert [(failure.id, failure.kind) for failure in worker.sockets.sent_to(A, Failure)] == [(1, "expired")]


def test_a_request_without_credit_is_refused_and_not_inferred(worker: Worker) -> None:
    worker.greet(A, B)
    for number in range(4):
        worker.ask(A, number)
    worker.serving.turn(0)
    assert [(failure.id, failure.kind) for failure in worker.sockets.sent_to(A, Failure)] == [(3, "invalid")]
    worker.serving.turn(0)
    assert sum(worker.detector.batches) == 3


def test_a_starving_gateway_gets_what_idle_ones_give_back(worker: Worker) -> None:
    worker.greet(*[b"idle %d" % number for number in range(4)], B)
    worker.sockets.arrive(B, encode(Offer(3)))
    worker.serving.turn(0)
    assert len([message for _, message, _ in worker.sockets.sent if isinstance(message, Recall)]) == 3


def test_heartbeats_are_answered_with_their_own_number_even_to_strangers(worker: Worker) -> None:
    worker.sockets.arrive(b"the pool", encode(Heartbeat(41)))
    worker.serving.turn(0)
    assert [message.sequence for message in worker.sockets.sent_to(b"the pool", Heartbeat)] == [41]


def test_a_request_of_a_stranger_is_answered_goodbye(worker: Worker) -> None:
    worker.ask(b"stranger", 1)
    worker.serving.turn(0)
    assert worker.detector.batches == []
    assert worker.sockets.sent_to(b"stranger", Goodbye)


@pytest.mark.parametrize("junk", [[b""], [b"\x80\x04pickle."], [b"\x01\xc1"], [b"\x01" * 70_000], [b"\x02\x90"]])
def test_junk_is_dropped_and_told_and_the_loop_goes_on(worker: Worker, junk: list[bytes]) -> None:
    worker.greet(A)
    worker.sockets.arrive(A, junk)
    worker.ask(A, 1)
    worker.serving.turn(0)
    assert [line.startswith("dropped what gateway a said: ") for line in worker.told] == [True]
    assert len(worker.sockets.sent_to(A, Reply)) == 1


def test_answers_wait_for_one_another_while_more_is_waiting(worker: Worker) -> None:
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number)
    worker.serving.turn(0)
    assert worker.detector.batches == [2] and not worker.sockets.sent_to(A, Reply)
    assert worker.serving.ledger.account(A).in_hand == 4
    worker.serving.turn(0)
    assert [reply.id for reply in worker.sockets.sent_to(A, Reply)] == [0, 1, 2, 3]
    assert worker.serving.ledger.account(A).credits == 4


def test_a_slow_network_lets_no_answer_wait(worker: Worker) -> None:
    worker.greet(A)
    worker.serving.batch_s = 1.0
    for number in range(4):
        worker.ask(A, number)
    worker.serving.turn(0)
    assert [reply.id for reply in worker.sockets.sent_to(A, Reply)] == [0, 1]


def test_a_suspect_runs_when_every_finished_answer_has_left(worker: Worker) -> None:
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number)
    worker.serving.turn(0)
    worker.serving.suspects.add((A, 9), suspect(9), 0.0, float("inf"))
    worker.serving.ledger.account(A).in_hand += 1
    worker.serving.turn(0)
    kinds = [
        (type(message), message.id) for _, message, _ in worker.sockets.sent if isinstance(message, Reply | Started)
    ]
    assert kinds[:3] == [(Reply, 0), (Reply, 1), (Started, 9)]


def test_the_finished_answers_of_a_gateway_that_left_are_forgotten(worker: Worker) -> None:
    worker.greet(A, B)
    for gateway, number in ((A, 1), (B, 1), (A, 2), (A, 3)):
        worker.ask(gateway, number)
    worker.serving.turn(0)
    assert worker.detector.batches == [2]
    worker.sockets.arrive(A, encode(Goodbye()))
    worker.serving.turn(0)
    assert not worker.sockets.sent_to(A, Reply)
    assert [reply.id for reply in worker.sockets.sent_to(B, Reply)] == [1]


def test_a_gateway_that_is_gone_leaves_its_places_to_the_others(worker: Worker) -> None:
    worker.greet(A, B)
    worker.sockets.gone.add(A)
    worker.ask(A, 1)
    worker.serving.turn(0)
    assert worker.serving.ledger.gateways == [B]
    worker.ask(B, 7)
    worker.serving.turn(0)
    assert len(worker.sockets.sent_to(B, Reply)) == 1
    assert worker.serving.ledger.account(B).share == 4


def test_the_idle_credit_of_a_killed_gateway_goes_to_who_misses_it_at_once(worker: Worker) -> None:
    """It is found to be gone only when its credit is called back; nothing else may be needed to deal it out again."""
    worker.greet(A)
    worker.sockets.gone.add(A)
    worker.sockets.arrive(B, encode(Hello("b")))
    worker.sockets.arrive(B, encode(Offer(1)))
    worker.serving.turn(0)
    assert worker.serving.ledger.gateways == [B]
    assert sum(grant.credits for grant in worker.sockets.sent_to(B, Grant)) == 4


def test_a_gateway_that_does_not_read_is_told_that_it_was_forgotten_once_it_does(worker: Worker) -> None:
    worker.greet(A, B)
    worker.ask(A, 1)
    worker.sockets.full.add(A)
    worker.serving.turn(0)
    assert worker.serving.ledger.gateways == [B], "its places go to who reads"
    worker.sockets.full.clear()
    worker.serving.turn(0)
    assert worker.sockets.sent_to(A, Goodbye) == [Goodbye(again=True)]
    worker.serving.turn(0)
    assert len(worker.sockets.sent_to(A, Goodbye)) == 1


def test_a_gateway_s_crops_are_read_where_they_lie(worker: Worker) -> None:
    worker.sockets.arrive(A, encode(Hello("a", AT)))
    worker.serving.turn(0)
    assert [welcome.reads_crops for welcome in worker.sockets.sent_to(A, Welcome)] == [True]
    worker.sockets.arrive(A, request_at(48))
    worker.serving.turn(0)
    faces = [faces for to, message, faces in worker.sockets.sent if isinstance(message, Reply)]
    assert [round(float(found.scores[0]) * 255) for found in faces if found is not None] == [200]


@pytest.mark.parametrize("address", [None, CropMemoryAddress(7, 4, 96, b"m" * 16)])
def test_who_cannot_have_them_says_so_and_is_sent_frames(worker: Worker, address: CropMemoryAddress | None) -> None:
    worker.sockets.arrive(A, encode(Hello("a", address)))
    worker.serving.turn(0)
    assert [welcome.reads_crops for welcome in worker.sockets.sent_to(A, Welcome)] == [False]
    assert len(worker.told) == (address is not None)
    worker.ask(A, 1)
    worker.serving.turn(0)
    assert len(worker.sockets.sent_to(A, Reply)) == 1


def test_a_forgotten_gateway_s_memory_goes_and_it_is_told_to_say_hello_again(worker: Worker) -> None:
    worker.sockets.arrive(A, encode(Hello("a", AT)))
    worker.serving.turn(0)
    worker.serving.links.heard[A] -= GATEWAY_SILENCE_S_MAX + 1
    worker.serving.turn(0)
    assert worker.serving.links.crops == {}
    worker.sockets.sent.clear()
    worker.sockets.arrive(A, request_at(0))
    worker.serving.turn(0)
    assert worker.sockets.sent_to(A, Goodbye) == [Goodbye(again=True)]


def test_a_gateway_whose_welcome_did_not_fit_is_welcomed_later(worker: Worker) -> None:
    worker.sockets.full.add(A)
    worker.greet(A)
    assert worker.serving.ledger.gateways == []
    worker.sockets.full.clear()
    worker.serving.turn(0)
    assert [type(message) for _, message, _ in worker.sockets.sent] == [Welcome, Grant]


def test_answers_that_wait_for_others_leave_in_time_however_long_a_batch_waits_for_company(worker: Worker) -> None:
    worker.serving.batcher = MicroBatcher(2, 10.0)
    worker.serving.batch_s = 0.001
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number)
    worker.serving.batcher._delay_s = 0.0
    worker.serving.turn(0)
    worker.serving.batcher._delay_s, worker.serving.batcher._max_batch = 10.0, 3
    assert len(worker.serving.outbox) == 2
    wait_s = worker.serving.wait_s(5.0)
    assert 0 < wait_s < HELD_S_MAX
    worker.clock.at += wait_s
    worker.serving.turn(0)
    assert [reply.id for reply in worker.sockets.sent_to(A, Reply)] == [0, 1]


def test_work_that_a_request_leaves_waiting_calls_idle_credit_back_at_once(worker: Worker) -> None:
    worker.greet(A, B)
    worker.serving.batcher._delay_s = 10.0
    worker.ask(A, 1, waiting=3)
    worker.serving.turn(0)
    assert [recall.credits for recall in worker.sockets.sent_to(B, Recall)] == [1]


def test_a_silent_gateway_is_forgotten(worker: Worker) -> None:
    worker.greet(A, B)
    worker.serving.links.heard[A] -= GATEWAY_SILENCE_S_MAX + 1
    worker.serving.turn(0)
    assert worker.serving.ledger.gateways == [B]
    assert worker.sockets.sent_to(A, Goodbye)


def test_a_stopping_worker_finishes_what_it_has_and_says_goodbye(worker: Worker) -> None:
    worker.greet(A)
    worker.serving.batcher._max_batch = 2
    worker.ask(A, 1)
    worker.ask(A, 2)
    worker.ask(A, 3)
    worker.asked_to_stop = True
    worker.serving.run()
    assert sorted(reply.id for reply in worker.sockets.sent_to(A, Reply)) == [1, 2, 3]
    assert isinstance(worker.sockets.sent[-1][1], Goodbye)
