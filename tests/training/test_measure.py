"""The measure of the model card, on hand-made boxes; needs no torch."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.judge.detect import Found, decode, letterbox, suppress
from models.training.judge.measure import Tally, judge

Box = tuple[float, float, float, float]


def faces(*boxes: Box, scale: float = 1.0, shift: float = 0.0) -> Found:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    middle = (array[:, :2] + array[:, 2:]) / 2 + shift
    points = np.repeat(middle[:, None], 5, axis=1).astype(np.float32)
    return Found(array, np.linspace(0.9, 0.6, len(array)).astype(np.float32), points, scale)


A: Box = (0, 0, 40, 40)
B: Box = (100, 100, 140, 140)
FAR: Box = (300, 300, 340, 340)
TINY: Box = (200, 200, 212, 212)


def test_a_true_face_is_found_or_missed() -> None:
    verdict = judge(faces(A), faces(A, B), faces(A, B))
    assert (verdict.found, verdict.missed, verdict.false) == ([0], [1], [])


def test_an_overlap_below_the_limit_finds_nothing_and_alarms() -> None:
    aside: Box = (20, 0, 60, 40)  # IoU 1/3
    verdict = judge(faces(aside), faces(A), faces(A))
    assert (verdict.found, verdict.missed, verdict.false) == ([], [0], [0])


def test_a_looser_true_face_excuses_a_finding_once() -> None:
    twice: Box = (2, 2, 42, 42)
    assert judge(faces(B), faces(A), faces(A, B)).false == []
    assert judge(faces(A, twice), faces(A), faces(A, B)).false == [1]


def test_faces_below_16_px_of_the_canvas_are_not_asked_for_but_are_no_alarm() -> None:
    verdict = judge(faces(A, TINY), faces(A, TINY), faces(A, TINY))
    assert (verdict.found, verdict.missed, verdict.false) == ([0], [], [])
    halved = judge(faces(scale=0.25), faces(A, scale=0.25), faces(A, scale=0.25))
    assert halved.missed == []


def test_landmark_error_is_a_share_of_face_size() -> None:
    verdict = judge(faces(A, shift=4.0), faces(A), faces(A))
    assert verdict.errors == [pytest.approx(np.hypot(4, 4) / 40)]


def test_figures_sum_over_photographs() -> None:
    tally = Tally()
    tally.add(judge(faces(A, FAR), faces(A, B), faces(A, B)))
    tally.add(judge(faces(A), faces(A), faces(A)))
    figures = tally.figures()
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["precision"] == pytest.approx(2 / 3)


def test_small_false_alarms_count_in_the_strict_precision_alone() -> None:
    tally = Tally()
    tally.add(judge(faces(A, TINY), faces(A), faces(A)))
    assert tally.figures()["precision"] == 0.5 and tally.figures()["precision_16px"] == 1.0


def test_no_faces_at_all_is_a_perfect_score() -> None:
    tally = Tally()
    tally.add(judge(faces(), faces(), faces()))
    assert tally.figures()["recall"] == tally.figures()["precision"] == 1.0


def test_letterbox_follows_the_reference_rule() -> None:
    canvas, scale = letterbox(np.full((512, 372, 3), 9, np.uint8))
    assert canvas.shape == (640, 640, 3) and scale == 640 / 512
    assert (canvas[:, : int(640 / (512 / 372))] == 9).all() and (canvas[:, 465:] == 0).all()


def test_nms_keeps_the_best_of_what_overlaps() -> None:
    boxes = np.array([A, (2, 2, 42, 42), B], np.float32)
    assert suppress(boxes, np.array([0.6, 0.9, 0.7], np.float32)) == [1, 2]


def test_decoding_places_an_anchor_without_half_a_cell() -> None:
    heads = [np.zeros((n, c), np.float32) for c in (1, 4, 10) for n in (128, 32, 8)]
    heads[0][2 * (8 * 3 + 2) + 1] = 0.8  # stride 8, row 3, column 2, second anchor
    heads[3][:] = 1.0
    boxes, scores, points = decode(heads, 64, 0.5)
    assert boxes.tolist() == [[8, 16, 24, 32]] and scores.tolist() == [pytest.approx(0.8)]
    assert (points == np.array([16, 24])).all()
