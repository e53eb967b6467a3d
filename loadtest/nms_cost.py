"""`python -m loadtest.nms_cost`: from how many boxes on the way of the pairs beats the plain loop (`shared/nms.py`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from shared import nms
from shared.faces import FloatArray

COUNTS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)
#: The reference's default.
LIMIT = np.float32(0.4)


def crowd(count: int, per_face: int) -> FloatArray:
    """(count, 4) float32 boxes as a detector finds them: `per_face` jittered ones on each face, best first."""
    chance = np.random.default_rng(count)
    faces = -(-count // per_face)
    corners = np.repeat(chance.uniform(0, 1800, (faces, 2)), per_face, axis=0)[:count]
    sizes = np.repeat(chance.uniform(15, 60, (faces, 1)), per_face, axis=0)[:count]
    jitter = chance.normal(0, 0.05, (count, 4)) * sizes
    boxes = np.hstack([corners, corners + sizes]) + jitter
    return chance.permutation(boxes).astype(np.float32)


def quickest_us(act: Callable[[], object]) -> float:
    """Microseconds of the quickest of many calls: what is left when nothing disturbs."""
    best = float("inf")
    for _ in range(200):
        begin = perf_counter()
        act()
        best = min(best, perf_counter() - begin)
    return best * 1e6


def by_pairs(boxes: FloatArray) -> object:
    """The whole second way, with its check that it may be taken."""
    assert bool(np.all(boxes[:, 2:] >= boxes[:, :2]))
    pairs = nms._touching_pairs(boxes)  # noqa: SLF001 — compares the two ways themselves
    assert pairs is not None
    return nms._keep_by_pairs(boxes, nms._areas(boxes), LIMIT, *pairs)  # noqa: SLF001


def main() -> int:
    """A table on standard output."""
    print(f"CROWD_MIN is {nms.CROWD_MIN}\n| boxes | per face | loop µs | pairs µs |\n| --- | --- | --- | --- |")
    for per_face in (1, 3):
        for count in COUNTS:
            boxes = crowd(count, per_face)
            loop = quickest_us(lambda boxes=boxes: nms._keep_by_loop(boxes, nms._areas(boxes), LIMIT))  # type: ignore[misc]  # noqa: SLF001
            pairs = quickest_us(lambda boxes=boxes: by_pairs(boxes))  # type: ignore[misc]
            print(f"| {count} | {per_face} | {loop:.0f} | {pairs:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
