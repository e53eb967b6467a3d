"""From heads to faces, index first: the same faces as the reference's plain way, anchor by anchor."""

from __future__ import annotations

import numpy as np
import pytest

from models.proving import reference
from models.served.anchors import STRIDES, anchor_centres
from shared.faces import Faces
from tests.stub_detector import empty_heads
from worker.scrfd import Heads, Question, View, detect, in_picture

ASK = Question(confidence=0.5, nms_threshold=0.4, max_faces=0, width=640, height=480)


def whole(scale: float) -> View:
    """The plain look at a whole picture."""
    return View(640, 640, scale)


def random_heads(seed: int, side: int = 320, *, share: float = 0.02) -> Heads:
    """Heads of one picture with that share of anchors over 0.5, faces of all sizes."""
    random = np.random.default_rng(seed)
    heads = empty_heads(1, (side, side))
    assert heads.offsets is not None
    for level in range(3):
        count = heads.scores[level].shape[1]
        heads.scores[level][0, :, 0] = np.where(random.random(count) < share, random.random(count), 0.001)
        heads.distances[level][0] = random.uniform(0, 6, (count, 4))
        heads.offsets[level][0] = random.uniform(-3, 3, (count, 10))
    return heads


def reference_answer(heads: Heads, question: Question, scale: float) -> Faces:
    assert heads.offsets is not None
    plain = reference.Heads(
        *(tuple(level[0] for level in kind) for kind in (heads.scores, heads.distances, heads.offsets))
    )
    rows = reference.candidates(plain, *heads.size, question.confidence, scale)
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    rows = rows[list(reference.kept(rows, question.nms_threshold))]
    return Faces.unpacked(reference.most_central(rows, question.max_faces, question.width, question.height))


@pytest.mark.parametrize("confidence", [0.01, 0.3, 0.5])
@pytest.mark.parametrize("max_faces", [0, 1, 7])
@pytest.mark.parametrize("scale", [1.0, 0.3337, 2.5])
def test_faces_equal_the_references_to_the_bit(confidence: float, max_faces: int, scale: float) -> None:
    heads = random_heads(1)
    question = Question(confidence, 0.4, max_faces, 640, 480)
    found, expected = detect([(heads, 0, whole(scale))], question), reference_answer(heads, question, scale)
    np.testing.assert_array_equal(found.packed(), expected.packed())


def test_a_crowd_of_thousands_at_the_lowest_threshold_loses_nobody() -> None:
    heads = random_heads(2, 640, share=0.4)
    question = Question(0.01, 1.0, 0, 640, 640)
    found = detect([(heads, 0, whole(1.0))], question)
    assert len(found) > 5000
    np.testing.assert_array_equal(found.packed(), reference_answer(heads, question, 1.0).packed())


def test_a_score_equal_to_the_threshold_counts() -> None:
    heads = empty_heads(1, (64, 64))
    heads.scores[0][0, 3, 0] = 0.5
    assert len(detect([(heads, 0, whole(1.0))], ASK)) == 1
    heads.scores[0][0, 3, 0] = np.nextafter(np.float32(0.5), np.float32(0))
    assert len(detect([(heads, 0, whole(1.0))], ASK)) == 0


def test_equal_scores_come_in_anchor_order() -> None:
    heads = empty_heads(1, (320, 320))
    for anchor in (900, 10, 400):
        heads.scores[0][0, anchor, 0] = 0.75
    found = detect([(heads, 0, whole(1.0))], ASK)
    centres = anchor_centres((320, 320), 8)[[10, 400, 900]]
    np.testing.assert_array_equal(found.boxes[:, :2], centres)


def test_suppression_happens_in_picture_pixels_not_in_input_pixels() -> None:
    # Boxes a pixel apart: inclusive pixels weigh more the smaller the boxes are, so the scale decides.
    heads = empty_heads(1, (64, 64))
    for anchor, score in ((0, 0.9), (2, 0.8)):
        heads.scores[0][0, anchor, 0] = score
    heads.distances[0][0, :] = [0, 0, 1.5, 1.5]
    in_input_pixels, enlarged = (len(detect([(heads, 0, whole(scale))], ASK)) for scale in (8.0, 0.01))
    assert (in_input_pixels, enlarged) == (1, 2)


def test_max_faces_prefers_the_large_and_central_and_orders_by_that() -> None:
    heads = empty_heads(1, (640, 640))
    small_sure, large_central, large_aside = 100, 2 * (40 * 80 + 40), 2 * (40 * 80 + 5)
    for anchor, score, reach in ((small_sure, 0.99, 1), (large_central, 0.6, 9), (large_aside, 0.8, 9)):
        heads.scores[0][0, anchor, 0] = score
        heads.distances[0][0, anchor] = reach
    found = detect([(heads, 0, whole(1.0))], Question(0.5, 0.4, 2, 640, 640))
    np.testing.assert_allclose(found.scores, [0.6, 0.8])
    everybody = detect([(heads, 0, whole(1.0))], Question(0.5, 0.4, 3, 640, 640))
    np.testing.assert_allclose(everybody.scores, [0.99, 0.8, 0.6])


def test_the_centre_for_max_faces_is_the_integer_one() -> None:
    faces_by_width = []
    for width in (640, 641):
        heads = empty_heads(1, (640, 640))
        for cell, score in ((39, 0.6), (41, 0.7)):
            anchor = 2 * (40 * 80 + cell)
            heads.scores[0][0, anchor, 0] = score
            heads.distances[0][0, anchor] = 1
        faces_by_width.append(detect([(heads, 0, whole(1.0))], Question(0.5, 0.4, 1, width, 640)).scores[0])
    assert faces_by_width[0] == faces_by_width[1]


def test_two_looks_at_one_picture_meet_in_one_suppression() -> None:
    wide, small = empty_heads(1, (640, 640)), empty_heads(1, (256, 256))
    wide.scores[2][0, 2 * (10 * 20 + 10), 0], small.scores[2][0, 2 * (4 * 8 + 4), 0] = 0.6, 0.9
    wide.distances[2][:], small.distances[2][:] = 7.5, 3.0
    found = detect([(wide, 0, whole(1.0)), (small, 0, whole(0.4))], ASK)
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.boxes[0], [80, 80, 560, 560], atol=1e-3)


def test_a_network_without_landmarks_gives_faces_without_landmarks() -> None:
    heads = empty_heads(1, (64, 64), landmarks=False)
    assert detect([(heads, 0, whole(1.0))], ASK).landmarks is None
    heads.scores[0][0, 0, 0] = 0.9
    assert detect([(heads, 0, whole(1.0))], ASK).landmarks is None


def test_anchor_centres_have_no_half_cell_offset_and_come_in_pairs() -> None:
    for stride in STRIDES:
        centres = anchor_centres((64, 64), stride)
        np.testing.assert_array_equal(centres[:4], [[0, 0], [0, 0], [stride, 0], [stride, 0]])
        assert centres.shape == (2 * (64 // stride) ** 2, 2)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_what_a_turned_tile_shows_is_found_where_the_upright_picture_has_it(turn: int, scale: float) -> None:
    """A marked rectangle of a picture is read off the turned crop, pixel by pixel, and mapped back."""
    left, top, right, bottom = 30, 20, 50, 80
    picture = np.zeros((100, 120), np.uint8)
    picture[top:bottom, left:right] = 1
    x, y = 10, 4
    crop = picture[y:, x:][:: round(1 / scale), :: round(1 / scale)]
    rows, cols = np.nonzero(np.rot90(crop, turn))
    seen = np.array([[cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]], np.float32) / np.float32(scale)
    corner = np.repeat(seen[:, None, :2], 5, axis=1)
    view = View(*crop.shape, scale, x, y, turn)
    found = in_picture(Faces(seen, np.ones(1, np.float32), corner), view)
    np.testing.assert_array_equal(found.boxes, [[left, top, right, bottom]])
    assert found.landmarks is not None
    assert found.landmarks[0, 0].tolist() in [[left, top], [left, bottom], [right, bottom], [right, top]]
    assert found.landmarks[0, 0].tolist() == [[left, top], [right, top], [right, bottom], [left, bottom]][turn]


def test_a_plain_look_is_the_reference_s_to_the_bit_beside_turned_ones() -> None:
    heads, nothing = random_heads(3), empty_heads(1, (320, 320))
    alone = detect([(heads, 0, whole(0.7))], ASK)
    beside = detect([(heads, 0, whole(0.7)), (nothing, 0, View(320, 320, 0.5, turn=1))], ASK)
    np.testing.assert_array_equal(beside.packed(), alone.packed())
