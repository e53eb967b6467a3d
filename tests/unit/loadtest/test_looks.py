"""How looks are judged: what counts as found, visible and false."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from loadtest.looks_judge import Seen, Tally, as_boxes, covered, matched, turned
from loadtest.looks_pictures import Photograph, cut_out, decoded, turned_file

FACE = [100.0, 100.0, 200.0, 200.0]


def seen(*boxes: list[float], side: int = 640) -> Seen:
    return Seen(as_boxes(boxes), np.ones(len(boxes)), side, side, 2, False, 1.0)


def test_a_face_is_covered_by_all_its_boxes_together_and_by_their_padding() -> None:
    left, right = [100.0, 100.0, 150.0, 200.0], [150.0, 100.0, 200.0, 200.0]
    assert covered(np.array(FACE), as_boxes([left, right])) == 1
    assert covered(np.array(FACE), as_boxes([left])) == pytest.approx(0.575, abs=0.05)
    assert covered(np.array(FACE), as_boxes([])) == 0


def test_a_box_on_a_loose_face_is_neither_found_nor_false() -> None:
    tally = Tally()
    tally.add(
        seen([300.0, 300.0, 400.0, 400.0], [500.0, 500.0, 600.0, 600.0]),
        as_boxes([FACE]),
        as_boxes([[300.0, 300.0, 390.0, 400.0]]),
    )
    row = tally.row()
    assert (row.recall, row.visible, row.false_boxes) == (0, 1, 100)


def test_a_face_that_is_small_in_the_frame_is_not_asked_for_and_may_be_found() -> None:
    tally = Tally()
    tally.add(seen(FACE, side=6400), as_boxes([FACE]), as_boxes([]))
    assert (tally.faces, tally.false_boxes) == (0, 0)


@pytest.mark.parametrize("turn", range(4))
def test_boxes_turn_with_their_picture(turn: int) -> None:
    pixels = np.zeros((60, 100, 3), np.uint8)
    pixels[10:30, 50:60] = 255
    box = turned(as_boxes([[50, 10, 60, 30]]), 100, 60, 90 * turn)[0].astype(int)
    around = np.rot90(pixels, turn)
    assert around[box[1] : box[3], box[0] : box[2]].min() == 255
    assert around.sum() == pixels.sum()


@pytest.mark.parametrize("degrees", [30.0, 45.0, 135.0, 250.0])
def test_a_face_lies_where_its_box_says_at_any_angle(degrees: float) -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    cv2.ellipse(pixels, (250, 120), (30, 50), 0, 0, 360, (255, 255, 255), -1)
    file = cv2.imencode(".png", pixels)[1].tobytes()
    around, faces, _ = turned_file(Photograph("a.png", file, as_boxes([[220, 70, 280, 170]]), as_boxes([])), degrees)
    rows, columns = np.nonzero((decoded(around) > 200).all(axis=2))
    assert faces[0] == pytest.approx([columns.min(), rows.min(), columns.max(), rows.max()], abs=3)


def test_a_face_that_is_cut_out_stays_where_it_is_in_the_picture() -> None:
    pixels = np.zeros((600, 800, 3), np.uint8)
    pixels[300:400, 500:600] = 255
    file = cv2.imencode(".png", pixels)[1].tobytes()
    cut = cut_out(Photograph("a.png", file, as_boxes([[500, 300, 600, 400]]), as_boxes([])))
    assert cut is not None
    for degrees in (0, 90, 180, 270):
        turned_, faces, _ = turned_file(cut, degrees)
        x1, y1, x2, y2 = faces[0].astype(int)
        assert decoded(turned_)[y1:y2, x1:x2].mean() > 250
    assert matched(faces[0], faces)
    assert cut_out(Photograph("a.png", file, as_boxes([[0, 0, 20, 20]]), as_boxes([]))) is None
