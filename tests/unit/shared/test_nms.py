"""Non-maximum suppression: the reference's arithmetic, and two ways to one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.proving.reference import kept
from shared import nms
from shared.nms import non_maximum_suppression


def boxes_of(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_the_inclusive_pixel_decides_for_small_boxes() -> None:
    # 3×3 and 3×3 pixels counted inclusively, 3×2 in common: 6 / 12 = 0.5. Without + 1 it would be 2 / 6.
    boxes = boxes_of((0, 0, 2, 2), (0, 1, 2, 3))
    assert non_maximum_suppression(boxes, 0.4).tolist() == [0]
    assert non_maximum_suppression(boxes, 0.6).tolist() == [0, 1]


def test_an_overlap_equal_to_the_threshold_is_kept() -> None:
    assert non_maximum_suppression(boxes_of((0, 0, 2, 2), (0, 1, 2, 3)), 0.5).tolist() == [0, 1]


def test_the_threshold_is_compared_in_float32() -> None:
    # 2 of 5 pixels: 0.4 in float32 is not over 0.4 in float32, but it is over 0.4 in float64.
    boxes = boxes_of((0, 0, 0, 4), (0, 0, 0, 1))
    assert float(np.float32(0.4)) > 0.4
    assert non_maximum_suppression(boxes, 0.4).tolist() == [0, 1]


def test_no_box_gives_no_index() -> None:
    assert non_maximum_suppression(np.empty((0, 4), np.float32), 0.4).tolist() == []


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.4, 0.9])
def test_a_crowd_gives_the_references_choice(threshold: float) -> None:
    random = np.random.default_rng(3)
    corners = random.uniform(0, 600, (1500, 2))
    sizes = random.uniform(1, 80, (1500, 2))
    boxes = np.hstack([corners, corners + sizes]).astype(np.float32)
    assert non_maximum_suppression(boxes, threshold).tolist() == reference_choice(boxes, threshold)


@given(arrays(np.float32, st.tuples(st.integers(nms.CROWD_MIN, 90), st.just(4)), elements=st.integers(-20, 60)))
def test_any_boxes_upside_down_ones_too_give_the_references_choice(boxes: np.ndarray) -> None:
    assert non_maximum_suppression(boxes, 0.4).tolist() == reference_choice(boxes, 0.4)


def test_too_many_touching_pairs_fall_back_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "PAIRS_MAX", 10)
    boxes = np.tile(boxes_of((0, 0, 50, 50)), (200, 1)) + np.arange(200, dtype=np.float32)[:, None]
    assert nms._touching_pairs(boxes.T) is None
    assert non_maximum_suppression(boxes, 0.4).tolist() == reference_choice(boxes, 0.4)


def reference_choice(boxes: np.ndarray, threshold: float) -> list[int]:
    rows = np.hstack([boxes, np.zeros((len(boxes), 1), np.float32)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return list(kept(rows, threshold))
