"""Greedy non-maximum suppression after the reference: pixels counted inclusively (+1), kept when IoU ≤ threshold.

Two ways to one answer, bit for bit: the plain loop, and for crowds one pass over the pairs that can touch.
Source: insightface model_zoo/scrfd.py `nms`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.faces import FloatArray

IndexArray = NDArray[np.intp]

#: Below this many boxes the plain loop is quicker than setting up the pairs (measured).
CROWD_MIN = 12
#: Above this many touching pairs (4 bytes × about a dozen arrays each) the plain loop needs less memory.
PAIRS_MAX = 2_000_000


def non_maximum_suppression(boxes: FloatArray, threshold: float) -> IndexArray:
    """Indices of the boxes to keep, ascending.

    boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the upright picture, best score first.
    threshold: IoU above which the lower box goes; compared in float32.
    """
    assert boxes.ndim == 2
    assert boxes.shape[1] == 4
    limit, corners = np.float32(threshold), np.ascontiguousarray(boxes.T)
    areas = _areas(corners)
    upright = bool(np.all(boxes[:, 2:] >= boxes[:, :2])) if len(boxes) >= CROWD_MIN else False
    if upright:
        pairs = _touching_pairs(corners)
        if pairs is not None:
            return _keep_by_pairs(corners, areas, limit, *pairs)
    return _keep_by_loop(corners, areas, limit)


def _areas(corners: FloatArray) -> FloatArray:
    """(N,) of boxes whose corners lie in four rows (4, N), as everywhere below."""
    one = np.float32(1)
    areas: FloatArray = (corners[2] - corners[0] + one) * (corners[3] - corners[1] + one)
    return areas


def _overlap(a: FloatArray, b: FloatArray, area_a: FloatArray, area_b: FloatArray) -> FloatArray:
    """IoU of boxes column by column; every operation in float32 and in the reference's order."""
    zero, one = np.float32(0), np.float32(1)
    width = np.maximum(zero, np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + one)
    height = np.maximum(zero, np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + one)
    shared = width * height
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap: FloatArray = shared / (area_a + area_b - shared)
    return overlap


def _keep_by_loop(corners: FloatArray, areas: FloatArray, limit: np.float32) -> IndexArray:
    """The reference's own loop: take the best, drop what overlaps it too much, repeat."""
    keep: list[int] = []
    left = np.arange(len(areas))
    while left.size:
        best, rest = left[0], left[1:]
        keep.append(int(best))
        left = rest[_overlap(corners[:, best], corners[:, rest], areas[best], areas[rest]) <= limit]
    return np.array(keep, dtype=np.intp)


def _touching_pairs(corners: FloatArray) -> tuple[IndexArray, IndexArray] | None:
    """Pairs (better, worse) of boxes that come within a pixel; None when too many do from left to right.

    Only upright boxes: then a pair that does not touch has overlap 0 and never suppresses.
    """
    by_left = np.argsort(corners[0], kind="stable")
    left, top, right, bottom = corners[:, by_left]
    right, bottom = right + np.float32(1), bottom + np.float32(1)
    numbers = np.arange(len(by_left))
    counts = np.maximum(np.searchsorted(left, right, side="right") - numbers - 1, 0)
    total = int(counts.sum())
    if total > PAIRS_MAX:
        return None
    second = np.arange(1, total + 1) + np.repeat(numbers - (np.cumsum(counts) - counts), counts)
    near = (np.repeat(top, counts) <= bottom[second]) & (top[second] <= np.repeat(bottom, counts))
    a, b = np.repeat(by_left, counts)[near], by_left[second[near]]
    return np.minimum(a, b), np.maximum(a, b)


def _keep_by_pairs(
    corners: FloatArray, areas: FloatArray, limit: np.float32, better: IndexArray, worse: IndexArray
) -> IndexArray:
    """Greedy choice over the suppressing pairs only, best box first."""
    suppresses = ~(_overlap(corners[:, better], corners[:, worse], areas[better], areas[worse]) <= limit)
    better, worse = better[suppresses], worse[suppresses]
    # Small numbers are sorted by their digits, in linear time.
    by_better = np.argsort(better.astype(np.uint16) if len(areas) <= 1 << 16 else better, kind="stable")
    worse = worse[by_better]
    bounds = np.searchsorted(better[by_better], np.arange(len(areas) + 1)).tolist()
    alive = np.ones(len(areas), dtype=bool)
    for index in range(len(areas)):
        start, end = bounds[index], bounds[index + 1]
        if start != end and alive[index]:
            alive[worse[start:end]] = False
    return np.flatnonzero(alive)
