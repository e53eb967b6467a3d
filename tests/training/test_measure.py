"""The measure of the model card, on hand-made boxes; needs no torch."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.judge.counting import Judged, figures
from models.training.judge.detect import OnnxDetector, decode, letterbox, suppress
from models.training.judge.measure import Verdict, judge, landmark_errors
from models.training.judge.sets import BARE, MASKED, UNKNOWN, boxes
from models.training.material.folder import Floats, Picture
from shared.faces import Faces

Box = tuple[float, float, float, float]

A: Box = (0, 0, 40, 40)
B: Box = (100, 100, 140, 140)
FAR: Box = (300, 300, 340, 340)
TINY: Box = (200, 200, 212, 212)


def verdict(found: list[Box], faces: list[Box], loose: list[Box] | None = None, scale: float = 1.0) -> Verdict:
    return judge(boxes(found), boxes(faces), boxes(loose or []), scale)


def judged(one: Verdict, covers: list[int] | None = None) -> Judged:
    return Judged(one, np.array(covers or [UNKNOWN] * len(one.found), np.int8), [])


def test_a_true_face_is_found_or_missed() -> None:
    one = verdict([A], [A, B])
    assert (one.found.tolist(), one.false.tolist()) == ([True, False], [False])


def test_an_overlap_below_the_limit_finds_nothing_and_alarms() -> None:
    aside: Box = (20, 0, 60, 40)  # IoU 1/3
    one = verdict([aside], [A])
    assert (one.found.tolist(), one.false.tolist()) == ([False], [True])


def test_a_loose_face_excuses_one_finding() -> None:
    twice: Box = (102, 102, 142, 142)
    assert verdict([A, B], [A], [B]).false.tolist() == [False, False]
    assert verdict([A, B, twice], [A], [B]).false.sum() == 1


def test_a_loose_box_on_a_face_that_was_found_excuses_no_second_finding() -> None:
    twice: Box = (8, 8, 48, 48)
    assert verdict([A, twice], [A], [twice]).false.tolist() == [False, True]


def test_a_loose_box_on_a_face_that_was_missed_excuses_a_finding_beside_it() -> None:
    aside: Box = (20, 0, 60, 40)
    assert verdict([aside], [A], [aside]).false.tolist() == [False]


def test_small_faces_are_told_apart_and_not_asked_for() -> None:
    one = figures([judged(verdict([A, TINY], [A, TINY]))])
    assert (one.faces, one.found, one.false) == (1, 1, 0)
    assert (one.by_size["10–16"].of, one.by_size["10–16"].value) == (1, 1.0)
    assert one.by_size["32–96"].value == 1.0
    assert figures([judged(verdict([], [A, B], scale=0.25))]).faces == 0


def test_faces_are_counted_by_whether_they_wear_a_mask() -> None:
    one = figures([judged(verdict([A], [A, B]), [MASKED, BARE])])
    assert (one.by_cover["masked"].value, one.by_cover["bare"].value) == (1.0, 0.0)
    assert figures([judged(verdict([A], [A]))]).by_cover == {}


def test_landmark_error_is_a_share_of_face_size() -> None:
    points = np.full((1, 5, 2), 20, np.float32)
    one = verdict([A], [A])
    assert landmark_errors(one, points + 4, points, boxes([A])) == [pytest.approx(np.hypot(4, 4) / 40)]


def test_figures_sum_over_photographs() -> None:
    one = figures([judged(verdict([A, FAR], [A, B])), judged(verdict([A], [A]))])
    assert one.recall.value == pytest.approx(2 / 3, abs=1e-4)
    assert one.precision.value == pytest.approx(2 / 3, abs=1e-4)
    assert (one.per_photograph.value, one.false) == (0.5, 1)


def test_an_interval_holds_the_figure_and_narrows_with_photographs() -> None:
    some = [judged(verdict([A], [A])), judged(verdict([], [A]))]
    few, many = figures(some * 5).recall, figures(some * 50).recall
    assert few.low is not None and few.high is not None and many.low is not None and many.high is not None
    assert few.low < many.low < 0.5 < many.high < few.high
    assert figures(some * 5).recall == few


def test_small_false_findings_count_in_the_precision_of_all_alone() -> None:
    one = figures([judged(verdict([A, TINY], [A]))])
    assert (one.precision.value, one.precision_large.value) == (0.5, 1.0)


def test_a_photograph_without_faces_has_no_recall_and_may_have_alarms() -> None:
    one = figures([judged(verdict([A, B], [])), judged(verdict([], []))])
    assert one.recall.value is None
    assert (one.false, one.per_photograph.value) == (2, 1.0)


def test_letterbox_follows_the_reference_rule() -> None:
    canvas = letterbox(np.full((512, 372, 3), 9, np.uint8))
    assert canvas.scale == 640 / 512
    shown = canvas.shown(640, 640)
    assert (shown[:, : int(640 / (512 / 372))] == 9).all() and (shown[:, 465:] == 0).all()


def test_nms_keeps_the_best_of_what_overlaps() -> None:
    some = boxes([A, (2, 2, 42, 42), B])
    assert suppress(some, np.array([0.6, 0.9, 0.7], np.float32)) == [1, 2]


def test_decoding_places_an_anchor_without_half_a_cell() -> None:
    heads = [np.zeros((n, c), np.float32) for c in (1, 4, 10) for n in (128, 32, 8)]
    heads[0][2 * (8 * 3 + 2) + 1] = 0.8  # stride 8, row 3, column 2, second anchor
    heads[3][:] = 1.0
    found, scores, points = decode(heads, (64, 64), 0.5)
    assert found.tolist() == [[8, 16, 24, 32]] and scores.tolist() == [pytest.approx(0.8)]
    assert (points == np.array([16, 24])).all()


class Looks(OnnxDetector):
    """Sees these faces whatever it is shown: boxes in its pixels, and scores."""

    def __init__(self, *faces: tuple[float, float, float, float, float]) -> None:
        self.faces, self.trimming, self.shown = np.float32(faces).reshape(-1, 5), None, list[tuple[int, ...]]()

    def heads(self, shown: Picture) -> list[Floats]:
        raise AssertionError

    def _found(self, shown: Picture, confidence: float) -> Faces:
        self.shown.append(shown.shape)
        faces = Faces(self.faces[:, :4], self.faces[:, 4], np.zeros((len(self.faces), 5, 2), np.float32))
        return faces.taken(np.flatnonzero(faces.scores >= confidence))


@pytest.mark.parametrize(("closer", "faces"), [(0.95, 2), (0.1, 0)])
def test_a_model_with_a_closer_network_is_judged_as_detect_serves_it(closer: float, faces: int) -> None:
    """It is asked about both finds, each 48 px large in a cell of 80, and both looks decide."""
    detector, canvas = Looks((10, 10, 50, 50, 0.75), (100, 100, 124, 124, 0.4)), letterbox(np.zeros((60, 80, 3), "u1"))
    once = detector.look(canvas, 0.5)
    assert (once.scores.tolist(), once.boxes[0].tolist()) == ([pytest.approx(0.75)], [1.25, 1.25, 6.25, 6.25])
    detector.closer = Looks(*((16 + x, 16, 64 + x, 64, closer) for x in (0, 80)))
    found = detector.look(canvas, 0.5)
    assert detector.closer.shown == [(96, 160, 3)]
    np.testing.assert_allclose(
        found.boxes, np.array([[10, 10, 50, 50], [100, 100, 124, 124]][:faces]).reshape(-1, 4) / 8
    )
