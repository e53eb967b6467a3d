"""The black beside a picture: what of an input is run, when, and that faces stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from models import reference
from models.gate import BOX_DRIFT_PX_MAX, SCORE_DRIFT_MAX, Tally, add_picture
from models.registry import OPEN_FOLDER
from models.serving import ModelFacts, ServingModel, ensure
from models.trim import MARGIN, SIDE_MIN, STEP, part_of
from shared.canary import canary_picture
from shared.messages import CropHeader, Request
from shared.settings import Settings
from tests.stub_detector import StubDetector
from tests.unit.models.material import settings_for
from worker.anchors import STRIDES, Size, anchor_centres
from worker.detector import ImageBatch
from worker.opening import open_detector, trims_padding, with_note
from worker.pipeline import Found, Pipeline
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


@pytest.mark.parametrize(
    ("rows", "cols", "part"),
    [
        (360, 640, (448, 640)),
        (640, 360, (640, 448)),
        (640, 640, (640, 640)),
        (600, 640, (640, 640)),
        (1, 640, (96, 640)),
    ],
)
def test_a_part_is_the_picture_with_its_margin_in_whole_steps(rows: int, cols: int, part: Size) -> None:
    assert part_of(rows, cols, 640) == part
    assert all(length % STEP == 0 for length in part)
    assert all(length >= min(640, covered + MARGIN) for length, covered in zip(part, (rows, cols), strict=True))


def test_small_inputs_are_run_whole() -> None:
    assert part_of(90, 160, SIDE_MIN - STEP) == (SIDE_MIN - STEP, SIDE_MIN - STEP)


def test_only_what_matters_is_run_and_every_picture_gets_its_own_answer() -> None:
    detector = Watched()
    batch = [job(50, 360, 640), job(60, 640, 360), job(70, 370, 640), job(80, 640, 640), job(90, 90, 160, 160)]
    found = Pipeline(detector, 8, lambda _: None, trims=True).run(batch)
    assert [score_of(one) for one in found] == [50, 60, 70, 80, 90]
    assert detector.sizes == [(448, 640), (640, 448), (640, 640), (160, 160)]
    assert detector.batches == [2, 1, 1, 1]


def test_without_trimming_everything_is_run() -> None:
    detector = Watched()
    Pipeline(detector, 8, lambda _: None).run([job(50, 360, 640), job(60, 640, 360)])
    assert detector.sizes == [(640, 640)]


def score_of(found: Found) -> int:
    assert found.faces is not None
    return round(float(found.faces.scores[0]) * 255)


def test_anchors_of_an_input_that_is_not_square_stand_where_the_references_do() -> None:
    for stride in STRIDES:
        np.testing.assert_array_equal(anchor_centres((96, 160), stride), reference.anchor_centres(96, 160, stride))


@pytest.fixture(scope="module")
def open_model(tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    path = next(OPEN_FOLDER.glob("*.onnx"))
    folder = tmp_path_factory.mktemp("trimming")
    return ensure(settings_for(folder, str(path), input_side=640, precision="fp32"), lambda _: None)


@pytest.mark.parametrize("cut", [np.s_[60:420, :], np.s_[:, 120:390]], ids=["wide", "tall"])
def test_faces_stay_within_what_the_gate_allows(open_model: ServingModel, cut: tuple[slice, slice]) -> None:
    picture = np.ascontiguousarray(canary_picture()[cut])
    rows, cols = reference.fitted(picture, 640)
    crop = reference.letterbox(picture, 640)[0][:rows, :cols]
    detector, _ = open_detector("cpu", open_model, Settings(), 1, 1, lambda _: None)
    request = structs.replace(job(1, rows, cols)[0], confidence=0.5)
    whole, trimmed = (
        Pipeline(detector, 1, lambda _: None, trims=trims).run([(request, [crop])])[0].faces for trims in (False, True)
    )
    assert whole is not None
    assert trimmed is not None
    tally = Tally()
    add_picture(tally, whole.packed(), trimmed.packed())
    found = tally.accuracy()
    assert (found.lost, found.gained) == (0, 0)
    assert found.faces >= 3
    assert found.score_drift <= SCORE_DRIFT_MAX
    assert found.box_drift_px <= BOX_DRIFT_PX_MAX


def facts(model: ServingModel, **changes: object) -> ServingModel:
    return ServingModel(model.path, structs.replace(model.info, **changes), model.canary)


@pytest.mark.parametrize(
    ("setting", "precision", "device", "dynamic", "trims"),
    [
        ("auto", "int8", "cpu", True, True),
        ("auto", "fp32", "cpu", True, False),
        ("true", "fp32", "cpu", True, True),
        ("false", "int8", "cpu", True, False),
        ("true", "fp16", "cuda:0", True, False),
        ("true", "int8", "cpu", False, False),
    ],
)
def test_who_trims(
    open_model: ServingModel, setting: str, precision: str, device: str, dynamic: bool, trims: bool
) -> None:
    settings = structs.replace(Settings(), trim_padding=setting)
    model = facts(open_model, precision=precision, dynamic_size=dynamic)
    assert trims_padding(device, settings, model) is trims


def test_in_fp32_health_says_that_scores_move(open_model: ServingModel) -> None:
    def note(model: ServingModel, *, trims: bool) -> str:
        told: ModelFacts = with_note(model, trims=trims)
        return told.note

    assert "FACE_API_TRIM_PADDING" in note(open_model, trims=True)
    assert "FACE_API_TRIM_PADDING" not in note(open_model, trims=False)
    assert "FACE_API_TRIM_PADDING" not in note(facts(open_model, precision="int8"), trims=True)
