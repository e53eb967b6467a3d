"""The next batch starts while one runs: in the pipeline and in the serving loop, and never on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from models.served.anchors import Size
from shared.messages import Canary, CropHeader, Failure, Goodbye, Hello, Reply, Request, Started, Welcome
from shared.wire import encode, encode_request
from tests.stub_detector import POISON, StubDetector, fail_on_poison
from tests.unit.models.material import SIDE, prepared
from tests.unit.worker.test_pipeline import brightness_of, job
from tests.unit.worker.test_serve import INFO, A, B, ListedSockets
from tests.unit.worker_gpu.material import WIDE, on_host, pictures
from worker.credit import CreditLedger
from worker.detector import ImageBatch, OnnxDetector, OverlappingDetector
from worker.micro_batch import MicroBatcher
from worker.pipeline import Pipeline
from worker.scrfd import Heads
from worker.serve import Serving, WorkerSick

LIMIT = 0.9


class StubOverlapping(StubDetector):
    """A StubDetector that takes two batches, and writes down what starts and what is waited for, by brightness."""

    depth = 2

    def __init__(self, before: Callable[[ImageBatch], None] = lambda _: None) -> None:
        super().__init__(before)
        self.written: list[str] = []
        self._rooms: dict[int, list[ImageBatch]] = {}
        self._answers: dict[tuple[int, int], Heads | Exception] = {}

    def rooms(self, side: int, max_batch: int) -> list[ImageBatch]:
        made = [np.zeros((max_batch, side, side, 3), np.uint8) for _ in range(self.depth)]
        return self._rooms.setdefault(side, made)

    def submit(self, side: int, room: int, count: int, _part: Size | None = None) -> None:
        assert (side, room) not in self._answers, "a room takes one batch at a time"
        self.written.append(f"starts {self._rooms[side][room][:count].reshape(count, -1).max(axis=1).tolist()}")
        try:
            self._answers[side, room] = self.run(self._rooms[side][room][:count])
        except RuntimeError as error:
            self._answers[side, room] = error

    def collect(self, side: int, room: int, thresholds: Sequence[float]) -> list[tuple[Heads, int]]:
        answer = self._answers.pop((side, room))
        if isinstance(answer, Exception):
            raise answer
        shown = [round(float(score) * 255) for score in answer.scores[0][:, 0, 0]]
        self.written.append(f"waits for {shown}")
        return [(answer, row) for row in range(len(thresholds))]


# The pipeline


def test_two_batches_are_on_their_way_at_once_and_answered_apart() -> None:
    detector = StubOverlapping()
    pipeline = Pipeline(detector, 2, lambda _: None)
    first, second = pipeline.submit([job(1, 50), job(2, 60)]), pipeline.submit([job(3, 70)])
    assert [brightness_of(one) for one in pipeline.collect(first)] == [50, 60]
    third = pipeline.submit([job(4, 80)])
    assert [brightness_of(one) for one in pipeline.collect(second)] == [70]
    assert [brightness_of(one) for one in pipeline.collect(third)] == [80]
    assert detector.written == [
        "starts [50, 60]", "starts [70]", "waits for [50, 60]", "starts [80]", "waits for [70]", "waits for [80]",
    ]  # fmt: skip


def test_more_crops_of_a_side_than_there_are_rooms_wait_for_the_oldest() -> None:
    detector = StubOverlapping()
    found = Pipeline(detector, 1, lambda _: None).run([job(1, 50, (64, 64, 64, 32))])
    assert brightness_of(found[0]) == 50
    assert detector.written[:4] == ["starts [50]", "starts [50]", "waits for [50]", "starts [50]"]


def test_a_picture_that_fails_fails_alone_while_others_are_on_their_way() -> None:
    pipeline = Pipeline(StubOverlapping(fail_on_poison), 2, lambda _: None)
    first, second = pipeline.submit([job(1, 50), job(2, POISON)]), pipeline.submit([job(3, 70)])
    found = pipeline.collect(first)
    assert brightness_of(found[0]) == 50
    assert found[1].faces is None
    assert [brightness_of(one) for one in pipeline.collect(second)] == [70]


def test_health_is_asked_with_nothing_on_its_way_and_nothing_is_lost_by_it() -> None:
    pipeline = Pipeline(StubOverlapping(), 2, lambda _: None)
    submitted = pipeline.submit([job(1, 50)])
    assert pipeline.healthy()
    assert [brightness_of(one) for one in pipeline.collect(submitted)] == [50]


def test_the_gpus_path_finds_what_the_cpus_finds(tmp_path: Path) -> None:
    """The real detector with the CPU in the card's place, two sides, two batches on their way."""
    model = prepared(tmp_path)
    gpu, cpu = on_host(model, (WIDE, SIDE), 2), OnnxDetector(model.path, 1)
    assert isinstance(gpu, OverlappingDetector)
    assert not isinstance(cpu, OverlappingDetector)
    batches = []
    for number in range(4):
        wide, small = pictures(1, WIDE, seed=number)[0], pictures(1, SIDE, seed=10 + number)[0]
        headers = (CropHeader(WIDE, WIDE, WIDE, 1.0), CropHeader(SIDE, SIDE, SIDE, 0.25))
        confidence = 0.0 if number == 2 else LIMIT
        batches.append([(Request(number, 1000, confidence, 0.4, 0, WIDE, WIDE, headers), [wide, small])])
    ours, right = Pipeline(gpu, 2, print), Pipeline(cpu, 2, print)
    submitted = [ours.submit(batches[0]), ours.submit(batches[1])]
    found = [ours.collect(one)[0] for one in submitted]
    submitted = [ours.submit(batches[2]), ours.submit(batches[3])]
    found += [ours.collect(one)[0] for one in submitted]
    for one, batch in zip(found, batches, strict=True):
        expected = right.run(batch)[0]
        assert one.faces is not None
        assert expected.faces is not None
        assert len(one.faces) == len(expected.faces)
        np.testing.assert_allclose(one.faces.packed(), expected.faces.packed(), atol=1e-3)


# The serving loop


class Worker:
    """A serving loop over a detector that overlaps, with room for three batches of two."""

    def __init__(self, detector: StubDetector) -> None:
        self.sockets = ListedSockets()
        self.told: list[str] = []
        self.serving = Serving(
            sockets=self.sockets,
            pipeline=Pipeline(detector, 2, self.told.append),
            welcome=Welcome("g1", 0, 1, 6, 6, INFO, Canary(0.5, 0.4, [], 1.0, 0.1)),
            batcher=MicroBatcher(2, 0.0),
            ledger=CreditLedger(6),
            told=self.told.append,
            stopping=lambda: True,
        )

    def greet(self, gateway: bytes) -> None:
        self.sockets.arrive(gateway, encode(Hello(gateway.decode())))
        self.serving.turn(0)

    def ask(self, gateway: bytes, number: int, brightness: int, *, suspected: bool = False) -> None:
        header = (CropHeader(4, 4, 64, 1.0),)
        request = Request(number, 60_000, 0.01, 0.4, 0, 64, 64, header, 0, suspected)
        self.sockets.arrive(gateway, encode_request(request, [np.full((4, 4, 3), brightness, np.uint8)]))

    def answered(self, gateway: bytes) -> list[int]:
        return [reply.id for reply in self.sockets.sent_to(gateway, Reply)]


def test_under_load_the_next_batch_starts_before_the_first_is_waited_for() -> None:
    detector = StubOverlapping()
    worker = Worker(detector)
    worker.greet(A)
    for number in range(6):
        worker.ask(A, number, 50 + number)
    for _ in range(3):
        worker.serving.turn(0)
    assert detector.written == [
        "starts [50, 51]", "starts [52, 53]", "waits for [50, 51]", "starts [54, 55]",
        "waits for [52, 53]", "waits for [54, 55]",
    ]  # fmt: skip
    assert worker.answered(A) == [0, 1, 2, 3, 4, 5]
    assert worker.serving.running == []


def test_a_lone_request_is_answered_in_its_own_turn() -> None:
    worker = Worker(StubOverlapping())
    worker.greet(A)
    worker.ask(A, 1, 50)
    worker.serving.turn(0)
    assert worker.answered(A) == [1]


def test_on_a_cpu_each_batch_is_answered_before_the_next_starts() -> None:
    worker = Worker(StubDetector())
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number, 50 + number)
    worker.serving.turn(0)
    assert worker.answered(A) == [0, 1]


def test_a_suspect_runs_with_nothing_else_in_hand() -> None:
    detector = StubOverlapping()
    worker = Worker(detector)
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number, 50 + number)
    worker.serving.turn(0)
    worker.ask(A, 9, 99, suspected=True)
    worker.serving.turn(0)
    start = detector.written.index("starts [99]")
    assert "waits for [50, 51]" in detector.written[:start]
    assert detector.written[start + 1] == "waits for [99]"
    kinds = [type(message) for _, message, _ in worker.sockets.sent if isinstance(message, Started | Reply)]
    assert kinds.index(Started) == 2


@pytest.mark.parametrize("returns", [False, True])
def test_a_gateway_that_leaves_while_its_batch_runs_is_owed_nothing(returns: bool) -> None:
    worker = Worker(StubOverlapping())
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number, 50 + number)
    worker.serving.turn(0)
    assert worker.serving.running
    worker.sockets.arrive(A, encode(Hello("a") if returns else Goodbye()))
    for _ in range(2):
        worker.serving.turn(0)
    assert worker.answered(A) == []
    assert (A in worker.serving.ledger) is returns
    if returns:
        assert worker.serving.ledger.account(A).share == 6


def test_others_in_the_same_batch_are_answered_all_the_same() -> None:
    worker = Worker(StubOverlapping())
    worker.greet(A)
    worker.greet(B)
    worker.serving.ledger.account(A).credits = worker.serving.ledger.account(B).credits = 3
    for number in range(2):
        worker.ask(A, number, 50 + number)
        worker.ask(B, number, 70 + number)
    worker.serving.turn(0)
    worker.sockets.arrive(A, encode(Goodbye()))
    for _ in range(2):
        worker.serving.turn(0)
    assert worker.answered(B) == [0, 1]


def test_what_is_on_its_way_is_finished_before_the_worker_stops() -> None:
    worker = Worker(StubOverlapping())
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number, 50 + number)
    worker.serving.turn(0)
    worker.serving.run()
    assert worker.answered(A) == [0, 1, 2, 3]
    assert worker.serving.running == []


def test_a_device_that_is_lost_ends_the_worker_with_nothing_answered_wrongly() -> None:
    lost: list[bool] = []

    def fail_when_lost(_: ImageBatch) -> None:
        if lost:
            raise RuntimeError("cudaErrorDeviceUnavailable")

    worker = Worker(StubOverlapping(fail_when_lost))
    worker.greet(A)
    for number in range(4):
        worker.ask(A, number, 50 + number)
    lost.append(True)
    with pytest.raises(WorkerSick):
        for _ in range(3):
            worker.serving.turn(0)
    assert worker.answered(A) == []
    assert worker.sockets.sent_to(A, Failure) == []
