"""A batch through the network: each its own answer, and one bad picture never fails its neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from models.ensure import ensure
from shared.messages import CropHeader, Request
from tests.networks import Form, bake_side, random_network
from tests.stub_detector import POISON, StubDetector, fail_on_poison
from tests.unit.models.material import SIDE, settings_for
from worker.detector import ImageBatch
from worker.opening import only_sides, open_detector
from worker.pipeline import Found, Pipeline


def job(number: int, brightness: int, sides: tuple[int, ...] = (64,)) -> tuple[Request, list[np.ndarray]]:
    headers = tuple(CropHeader(8, 8, side, 1.0) for side in sides)
    crops = [np.full((8, 8, 3), brightness, np.uint8) for _ in sides]
    return Request(number, 1000, 0.01, 0.4, 0, 64, 64, headers), crops


def brightness_of(found: Found) -> int:
    assert found.faces is not None
    return round(float(found.faces.scores[0]) * 255)


def test_each_request_gets_its_own_picture_back() -> None:
    pipeline = Pipeline(StubDetector(), 4, lambda _: None)
    for batch in ((50, 100, 150), (200, 10), (255,)):
        found = pipeline.run([job(number, brightness) for number, brightness in enumerate(batch)])
        assert [brightness_of(one) for one in found] == list(batch)


def test_requests_with_a_second_look_and_without_share_a_batch() -> None:
    detector = StubDetector()
    found = Pipeline(detector, 4, lambda _: None).run([job(1, 50), job(2, 100, (64, 32)), job(3, 150, (64, 32))])
    assert [brightness_of(one) for one in found] == [50, 100, 150]
    assert detector.batches == [3, 2]


def test_more_crops_of_one_side_than_a_batch_holds_run_one_batch_after_the_other() -> None:
    detector = StubDetector()
    found = Pipeline(detector, 2, lambda _: None).run([job(1, 50, (64, 64)), job(2, 100, (64, 64, 32))])
    assert [brightness_of(one) for one in found] == [50, 100]
    assert detector.batches == [2, 2, 1]


def test_a_crop_is_looked_at_once_for_every_turn_and_each_turn_shows_it_turned() -> None:
    seen: list[np.ndarray] = []
    pipeline = Pipeline(StubDetector(lambda images: seen.extend(images.copy())), 4, lambda _: None)
    crop = np.zeros((8, 6, 3), np.uint8)
    crop[0, 5] = 200  # the top right corner
    header = CropHeader(8, 6, 64, 1.0, turns=(0, 1, 2, 3))
    (found,) = pipeline.run([(Request(1, 1000, 0.01, 0.4, 0, 6, 8, (header,)), [crop])])
    assert brightness_of(found) == 200
    assert [np.argwhere(image[..., 0] == 200)[0].tolist() for image in seen] == [[0, 5], [0, 0], [7, 0], [5, 7]]


def test_a_crop_for_a_side_the_network_does_not_take_is_looked_at_in_the_next_larger_one() -> None:
    detector = StubDetector()
    pipeline = Pipeline(detector, 4, lambda _: None, sides=(64, 96))
    found = pipeline.run([job(1, 50, (96, 32)), job(2, 100, (96, 64))])
    assert [brightness_of(one) for one in found] == [50, 100]
    assert detector.sides == [96, 64]


def test_a_network_of_one_size_looks_a_second_time_too(tmp_path: Path) -> None:
    """The crop for a smaller input is answered as the same pixels in the top left of the full one."""
    bake_side(random_network(tmp_path / "export.onnx", Form(side=SIDE, reshape="baked"), resize="baked"), SIDE)
    settings = settings_for(tmp_path, str(tmp_path / "export.onnx"), precision="fp32", mask_second_side=32)
    model = ensure(settings, lambda _: None)
    assert not model.info.dynamic_size
    detector, _ = open_detector("cpu", model, settings, 1, 2, lambda _: None)
    pipeline = Pipeline(detector, 2, lambda _: None, only_sides("cpu", settings, model))
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    canvas[:32, :24] = np.random.default_rng(5).integers(0, 256, (32, 24, 3), np.uint8)
    small = Request(1, 1000, 0.3, 0.4, 0, 24, 32, (CropHeader(32, 24, 32, 1.0),))
    full = Request(2, 1000, 0.3, 0.4, 0, 24, 32, (CropHeader(SIDE, SIDE, SIDE, 1.0),))
    one, other = pipeline.run([(small, [canvas[:32, :24]]), (full, [canvas])])
    assert one.faces is not None
    assert other.faces is not None
    assert len(one.faces) > 0
    np.testing.assert_array_equal(one.faces.packed(), other.faces.packed())


def test_a_picture_the_network_fails_on_fails_alone() -> None:
    told: list[str] = []
    found = Pipeline(StubDetector(fail_on_poison), 4, told.append).run([job(1, 50), job(2, POISON), job(3, 150)])
    assert [one.faces is None for one in found] == [False, True, False]
    assert [brightness_of(found[0]), brightness_of(found[2])] == [50, 150]
    assert "RuntimeError" in found[1].error
    assert "cudaErrorIllegalAddress" in told[0]


def test_numbers_that_are_not_finite_are_an_error_never_an_answer() -> None:
    class BrokenDetector(StubDetector):
        def run(self, images: ImageBatch):
            heads = super().run(images)
            heads.distances[0][0, 0, 2] = np.nan
            return heads

    found = Pipeline(BrokenDetector(), 2, lambda _: None).run([job(1, 50), job(2, 100)])
    assert "not finite" in found[0].error
    assert brightness_of(found[1]) == 100


def test_a_failed_run_is_told_with_the_traces_of_its_requests() -> None:
    def fail(_: ImageBatch) -> None:
        raise RuntimeError("out of luck")

    told: list[str] = []
    request, crops = job(1, 50)
    pipeline = Pipeline(StubDetector(fail), 4, told.append)
    pipeline.run([(structs.replace(request, trace="00-a-b-01"), crops)])
    assert told == ["a run of 1 failed: out of luck (traceparent 00-a-b-01)"]


def sheet(number: int, brightness: int, side: int = 64) -> tuple[Request, list[np.ndarray]]:
    request, crops = job(number, brightness, (side,))
    return structs.replace(request, crops=tuple(structs.replace(one, sheet=True) for one in request.crops)), crops


def test_sheets_are_seen_by_the_closer_network_and_everything_else_by_the_network_itself() -> None:
    network, closer = StubDetector(), StubDetector()
    pipeline = Pipeline(network, 4, lambda _: None, closer=closer)
    found = pipeline.run([job(1, 50), sheet(2, 100), job(3, 150, (64, 32)), sheet(4, 200)])
    assert [brightness_of(one) for one in found] == [50, 100, 150, 200]
    assert (network.batches, network.sides) == ([2, 1], [64, 32])
    assert closer.batches == [2]


@pytest.mark.parametrize(("rows", "cols", "shown"), [(32, 64, (32, 64)), (64, 64, (64, 64))])
def test_the_closer_network_is_shown_no_more_than_a_sheet_s_cells(rows: int, cols: int, shown: tuple[int, int]) -> None:
    seen: list[tuple[int, ...]] = []
    closer = StubDetector(lambda images: seen.append(images.shape[1:3]))
    request, _ = sheet(1, 0)
    crop = np.full((rows, cols, 3), 100, np.uint8)
    headers = tuple(structs.replace(one, rows=rows, cols=cols) for one in request.crops)
    (found,) = Pipeline(StubDetector(), 4, lambda _: None, closer=closer).run(
        [(structs.replace(request, crops=headers), [crop])]
    )
    assert seen == [shown]
    assert brightness_of(found) == 100


def test_without_a_closer_network_sheets_share_a_run_with_other_crops_of_their_side() -> None:
    network = StubDetector()
    found = Pipeline(network, 4, lambda _: None).run([job(1, 50), sheet(2, 100)])
    assert [brightness_of(one) for one in found] == [50, 100]
    assert network.batches == [2]


def test_a_sheet_that_the_closer_network_fails_on_fails_alone() -> None:
    pipeline = Pipeline(StubDetector(), 4, lambda _: None, closer=StubDetector(fail_on_poison))
    found = pipeline.run([job(1, POISON), sheet(2, POISON), sheet(3, 150)])
    assert [one.faces is None for one in found] == [False, True, False]
    assert [brightness_of(found[0]), brightness_of(found[2])] == [POISON, 150]


def test_a_worker_is_sick_when_either_of_its_networks_is() -> None:
    def fail_on_black(images: ImageBatch) -> None:
        if not images.any():
            raise RuntimeError("out of luck")

    told: list[str] = []
    for network, closer, well in ((None, None, True), (fail_on_black, None, False), (None, fail_on_black, False)):
        one, other = (StubDetector(before) if before else StubDetector() for before in (network, closer))
        pipeline = Pipeline(one, 2, told.append, closer=other)
        pipeline.run([job(1, 50), sheet(2, 100)])
        assert pipeline.healthy() is well
    assert told == ["the network fails on a black picture: out of luck"] * 2
