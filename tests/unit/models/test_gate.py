"""The gate of int8: what is counted, and each limit from both sides."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from models.proving.gate import (
    FACES_MIN,
    SPEED_RATIO_MIN,
    Accuracy,
    Tally,
    add_picture,
    overlap,
    shortcomings,
    too_slow,
)

GOOD = Accuracy(pictures=10, faces=200, lost=2, gained=2, score_drift=0.08, box_drift_px=2.0, box_drift_share=0.5)


def problems(**changes):
    return shortcomings(structs.replace(GOOD, **changes))


def test_at_its_limits_it_passes():
    assert problems() == []
    assert problems(box_drift_px=9.0, box_drift_share=0.03) == []
    assert problems(faces=FACES_MIN, lost=1, gained=1) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gained": 3}, "2 lost and 3 gained of 200"),
        ({"lost": 3}, "3 lost and 2 gained of 200"),
        ({"score_drift": 0.081}, "score drift"),
        ({"score_drift": float("nan")}, "score drift"),
        ({"box_drift_px": 2.01}, "box drift"),
        ({"faces": FACES_MIN - 1, "lost": 0, "gained": 0}, "are needed"),
    ],
)
def test_past_any_limit_it_does_not(changes, words):
    assert words in "; ".join(problems(**changes))


def test_speed_has_a_limit_too():
    assert too_slow(SPEED_RATIO_MIN) == ""
    assert "as fast as fp32" in too_slow(SPEED_RATIO_MIN - 0.01)


def faces(*rows):
    return np.array(rows, np.float32).reshape(-1, 5)


ONE, OTHER = (0, 0, 20, 20, 0.9), (100, 100, 140, 140, 0.6)


def tally(exact, rounded):
    counted = Tally()
    add_picture(counted, exact, rounded)
    return counted


def test_the_same_faces_are_neither_lost_nor_gained():
    counted = tally(faces(ONE, OTHER), faces(ONE, OTHER))
    assert (counted.faces, counted.lost, counted.gained) == (2, 0, 0)
    assert max(counted.scores + counted.pixels) == 0


def test_a_face_that_falls_under_the_confidence_is_lost_and_its_drift_still_counts():
    counted = tally(faces(OTHER), faces((*OTHER[:4], 0.45)))
    assert (counted.lost, counted.gained) == (1, 0)
    assert counted.scores == pytest.approx([0.15])


def test_a_face_of_int8_alone_is_gained_and_one_elsewhere_is_both():
    assert (tally(faces(), faces(ONE)).gained, tally(faces(ONE), faces()).lost) == (1, 1)
    moved = tally(faces(ONE), faces(OTHER))
    assert (moved.lost, moved.gained) == (1, 1)


def test_box_drift_is_that_of_the_farthest_side_in_pixels_and_as_a_share():
    counted = tally(faces(ONE), faces((0, -2, 21, 20, 0.9)))
    assert counted.pixels == pytest.approx([2.0])
    assert counted.shares == pytest.approx([0.1])


def test_overlap_is_intersection_over_union():
    found = overlap(faces((0, 0, 10, 10, 1)), faces((5, 0, 15, 10, 1), (20, 20, 30, 30, 1)))
    assert found.tolist() == [pytest.approx([1 / 3, 0.0])]
