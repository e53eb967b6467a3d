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
    limit = np.float32(threshold)
    areas = _areas(boxes)
    upright = bool(np.all(boxes[:, 2:] >= boxes[:, :2])) if len(boxes) >= CROWD_MIN else False
    if upright:
        pairs = _touching_pairs(boxes)
        if pairs is not None:
            return _keep_by_pairs(boxes, areas, limit, *pairs)
    return _keep_by_loop(boxes, areas, limit)


def _areas(boxes: FloatArray) -> FloatArray:
    one = np.float32(1)
    areas: FloatArray = (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)
    return areas


def _overlap(a: FloatArray, b: FloatArray, area_a: FloatArray, area_b: FloatArray) -> FloatArray:
    """IoU of boxes row by row; every operation in float32 and in the reference's order."""
    zero, one = np.float32(0), np.float32(1)
    width = np.maximum(zero, np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0]) + one)
    height = np.maximum(zero, np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1]) + one)
    shared = width * height
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap: FloatArray = shared / (area_a + area_b - shared)
    return overlap


def _keep_by_loop(boxes: FloatArray, areas: FloatArray, limit: np.float32) -> IndexArray:
    """The reference's own loop: take the best, drop what overlaps it too much, repeat."""
    keep: list[int] = []
    left = np.arange(len(boxes))
    while left.size:
        best, rest = left[0], left[1:]
        keep.append(int(best))
        left = rest[_overlap(boxes[best], boxes[rest], areas[best], areas[rest]) <= limit]
    return np.array(keep, dtype=np.intp)


def _touching_pairs(boxes: FloatArray) -> tuple[IndexArray, IndexArray] | None:
    """Pairs (better, worse) of boxes whose x ranges come within a pixel; None when there are too many.

    Only upright boxes: then a pair that does not touch has overlap 0 and never suppresses.
    """
    by_left = np.argsort(boxes[:, 0], kind="stable")
    left = boxes[by_left, 0]
    end = np.searchsorted(left, boxes[by_left, 2] + np.float32(1), side="right")
    start = np.arange(1, len(boxes) + 1)
    counts = np.maximum(end - start, 0)
    total = int(counts.sum())
    if total > PAIRS_MAX:
        return None
    first = np.repeat(np.arange(len(boxes)), counts)
    second = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + first + 1
    a, b = by_left[first], by_left[second]
    near = (boxes[a, 1] <= boxes[b, 3] + np.float32(1)) & (boxes[b, 1] <= boxes[a, 3] + np.float32(1))
    a, b = a[near], b[near]
    return np.minimum(a, b), np.maximum(a, b)


def _keep_by_pairs(
    boxes: FloatArray, areas: FloatArray, limit: np.float32, better: IndexArray, worse: IndexArray
) -> IndexArray:
    """Greedy choice over the suppressing pairs only, best box first."""
    suppresses = ~(_overlap(boxes[better], boxes[worse], areas[better], areas[worse]) <= limit)
    better, worse = better[suppresses], worse[suppresses]
    by_better = np.argsort(better, kind="stable")
    worse = worse[by_better]
    bounds = np.searchsorted(better[by_better], np.arange(len(boxes) + 1)).tolist()
    alive = np.ones(len(boxes), dtype=bool)
    for index in range(len(boxes)):
        start, end = bounds[index], bounds[index + 1]
        if start != end and alive[index]:
            alive[worse[start:end]] = False
    return np.flatnonzero(alive)
