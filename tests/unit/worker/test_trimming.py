"""The black beside a picture: what of an input is run, when, and that faces stay where they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from models.catalogue.registry import OPEN_MODEL
from models.ensure import ensure
from models.preparing import trimmed as preparing
from models.preparing.trimmed import BOX_CHANGE_MAX_PX, SCORE_CHANGE_MAX, largest_change
from models.proving import reference
from models.served.anchors import STRIDES, Size, anchor_centres
from models.served.facts import TRIMMED_NAMES, ServingModel
from models.served.trim import INT8_TRIMMING, SIDE_MIN, STEP, Trimming, answered, part_of
from shared.canary import canary_picture
from shared.messages import CropHeader, Request
from shared.settings import Settings
from tests.networks import beacon_network
from tests.stub_detector import StubDetector
from tests.unit.models.material import settings_for
from tests.unit.worker.test_pipeline import brightness_of
from worker.detector import ImageBatch
from worker.opening import open_detector, trimming_of
from worker.pipeline import Pipeline
from worker.scrfd import Heads


class Watched(StubDetector):
    """Remembers the height and width of every run."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[Size] = []

    def run(self, images: ImageBatch) -> Heads:
        assert images.flags.c_contiguous
        self.sizes.append(images.shape[1:3])
        return super().run(images)


def job(number: int, rows: int, cols: int, side: int = 640) -> tuple[Request, list[np.ndarray]]:
    """A picture as bright as its number."""
    header = CropHeader(rows, cols, side, 1.0)
    request = Request(number, 1000, 0.001, 0.4, 0, cols, rows, (header,))
    return request, [np.full((rows, cols, 3), number, np.uint8)]


OWN = Trimming(margin=68, square=640, added=32, far=96)


@pytest.mark.parametrize(
    ("trimming", "rows", "cols", "part"),
    [
        (INT8_TRIMMING, 360, 640, (448, 640)),
        (INT8_TRIMMING, 640, 360, (640, 448)),
        (INT8_TRIMMING, 640, 640, (640, 640)),
        (INT8_TRIMMING, 600, 640, (640, 640)),
        (INT8_TRIMMING, 1, 640, (96, 640)),
        (OWN, 360, 640, (448, 640)),
        (OWN, 640, 360, (640, 448)),
        (OWN, 444, 640, (512, 640)),
        (None, 360, 640, (640, 640)),
    ],
)
def test_a_part_is_the_picture_with_its_margin_in_whole_steps(
    trimming: Trimming | None, rows: int, cols: int, part: Size
) -> None:
    assert part_of(rows, cols, 640, trimming) == part


def test_a_network_of_its_own_is_not_cut_near_the_squares_edge() -> None:
    assert part_of(445, 640, 640, OWN) == (640, 640)


def test_what_it_adds_is_answered_for_too() -> None:
    assert answered((448, 640), OWN) == (480, 640)
    assert answered((640, 448), OWN) == (640, 480)
    assert answered((640, 640), OWN) == (640, 640)
    assert answered((448, 640), INT8_TRIMMING) == answered((448, 640), None) == (448, 640)


def test_a_network_of_its_own_is_for_one_square_and_one_cut_edge() -> None:
    assert part_of(360, 800, 800, OWN) == (800, 800)
    assert part_of(360, 360, 640, OWN) == (640, 640)


def test_small_inputs_are_run_whole() -> None:
    assert part_of(90, 160, SIDE_MIN - STEP, INT8_TRIMMING) == (SIDE_MIN - STEP, SIDE_MIN - STEP)


def test_only_what_matters_is_run_and_every_picture_gets_its_own_answer() -> None:
    detector = Watched()
    batch = [job(50, 360, 640), job(60, 640, 360), job(70, 370, 640), job(80, 640, 640), job(90, 90, 160, 160)]
    found = Pipeline(detector, 8, lambda _: None, trimming=INT8_TRIMMING).run(batch)
    assert [brightness_of(one) for one in found] == [50, 60, 70, 80, 90]
    assert detector.sizes == [(448, 640), (640, 448), (640, 640), (160, 160)]
    assert detector.batches == [2, 1, 1, 1]


def test_without_trimming_everything_is_run() -> None:
    detector = Watched()
    Pipeline(detector, 8, lambda _: None).run([job(50, 360, 640), job(60, 640, 360)])
    assert detector.sizes == [(640, 640)]


def test_anchors_of_an_input_that_is_not_square_stand_where_the_references_do() -> None:
    for stride in STRIDES:
        np.testing.assert_array_equal(anchor_centres((96, 160), stride), reference.anchor_centres(96, 160, stride))


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "copy"))


@pytest.fixture(scope="module")
def open_model(with_open_model: Path) -> ServingModel:
    return ensure(settings_for(with_open_model, OPEN_MODEL, input_side=640, precision="fp32"), lambda _: None)


@pytest.mark.parametrize("cut", [np.s_[60:420, :], np.s_[:, 120:390]], ids=["wide", "tall"])
def test_in_fp32_faces_stay_where_they_are(open_model: ServingModel, cut: tuple[slice, slice]) -> None:
    trimming = open_model.info.trimming
    assert trimming is not None
    picture = np.ascontiguousarray(canary_picture()[cut])
    rows, cols = reference.fitted(picture, 640)
    assert part_of(rows, cols, 640, trimming) != (640, 640)
    crop = reference.letterbox(picture, 640)[0][:rows, :cols]
    detector, _ = open_detector("cpu", open_model, Settings(), 1, 1, lambda _: None)
    request = structs.replace(job(1, rows, cols)[0], confidence=0.3)
    whole, trimmed = (
        Pipeline(detector, 1, lambda _: None, trimming=how).run([(request, [crop])])[0].faces
        for how in (None, trimming)
    )
    assert whole is not None
    assert trimmed is not None
    assert len(whole) == len(trimmed) >= 3
    score, box_px = largest_change(whole.packed(), trimmed.packed())
    assert max(score, box_px) > 0, "the same network ran twice"
    assert score <= SCORE_CHANGE_MAX
    assert box_px <= BOX_CHANGE_MAX_PX


def test_a_trimmed_picture_is_answered_alike_beside_any_neighbour(open_model: ServingModel) -> None:
    detector, _ = open_detector("cpu", open_model, Settings(), 1, 3, lambda _: None)
    pipeline = Pipeline(detector, 3, lambda _: None, trimming=open_model.info.trimming)
    crop = np.ascontiguousarray(canary_picture()[60:420])
    noise = np.random.default_rng(2).integers(0, 256, crop.shape, dtype=np.uint8)
    jobs = [(structs.replace(job(number, 360, 640)[0], confidence=0.3), [pixels]) for number, pixels in
            enumerate((noise, crop, noise))]  # fmt: skip
    alone, together = pipeline.run(jobs[1:2])[0].faces, pipeline.run(jobs)[1].faces
    assert alone is not None
    assert together is not None
    np.testing.assert_allclose(together.packed(), alone.packed(), rtol=1e-5, atol=1e-3)


def test_the_setting_and_the_device_say_whether_anything_is_trimmed(open_model: ServingModel) -> None:
    assert trimming_of("cpu", Settings(), open_model) == open_model.info.trimming
    assert trimming_of("cpu", Settings(trim_padding=False), open_model) is None
    assert trimming_of("cuda:0", Settings(), open_model) is None


def test_in_int8_the_network_itself_sees_parts_of_any_square(with_open_model: Path, tmp_path: Path) -> None:
    settings = settings_for(copied(with_open_model, tmp_path), OPEN_MODEL, input_side=640, precision="int8")
    model = ensure(settings, lambda _: None)
    assert model.info.trimming == INT8_TRIMMING
    assert not any(model.path.with_name(name).exists() for name in TRIMMED_NAMES)


def test_a_network_that_cannot_be_trimmed_is_run_whole_and_says_why(tmp_path: Path) -> None:
    told: list[str] = []
    path = beacon_network(tmp_path / "beacon.onnx")
    model = ensure(settings_for(tmp_path, str(path), input_side=640, precision="fp32"), told.append)
    assert model.info.trimming is None
    assert any("black beside" in line for line in told)
    assert not any(model.path.with_name(name).exists() for name in TRIMMED_NAMES)


def test_a_changed_trimmed_network_is_made_again(
    with_open_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_enlarged", lambda: ())  # proven above; here it is made
    settings = settings_for(copied(with_open_model, tmp_path), OPEN_MODEL, input_side=640, precision="fp32")
    path = ensure(settings, lambda _: None).path.with_name(TRIMMED_NAMES[1])
    made = path.read_bytes()
    path.write_bytes(made[:-1] + b"?")
    ensure(settings, lambda _: None)
    assert path.read_bytes() == made
