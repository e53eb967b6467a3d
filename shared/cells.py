"""The cells of sheets: how large a find is shown in a closer look, and which part of its picture with it.

Gateways paint them, workers make their sheets ready, training learns from them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Input pixels of a find's longer side in its cell, of a cell's sides, and of the largest sheet's. Cells of 160 find as
#: many.
FACE, CELL, SHEET_SIDE = 48, 96, 384


class Cut(NamedTuple):
    """rows, cols: what of the picture a cell shows. shrunk: the size (columns, rows) it is averaged to before, None
    where it is not. matrix: (2, 3) float64, as of OpenCV's warpAffine, from there to pixels of the cell.
    """

    rows: slice
    cols: slice
    shrunk: tuple[int, int] | None
    matrix: NDArray[np.float64]


def cut(box: NDArray[np.float32], size: tuple[int, int], side: int) -> tuple[Cut, float]:
    """What a cell of `side` shows of a picture of `size` (columns, rows) with the box (4,) in its middle, FACE large.

    And by how much it zooms in.
    """
    middle, zoom = (box[:2] + box[2:]) / 2, FACE / max(1.0, float((box[2:] - box[:2]).max()))
    x, wide = _span(float(middle[0]), side / zoom, size[0])
    y, high = _span(float(middle[1]), side / zoom, size[1])
    shrunk = (max(1, round(wide * zoom)), max(1, round(high * zoom))) if zoom < 1 else None
    scale = zoom * np.array([wide, high]) / (shrunk or (wide, high))
    # OpenCV counts from the middle of the first pixel.
    corner = side / 2 + (np.array([x, y]) - middle) * zoom + (scale - 1) / 2
    return Cut(slice(y, y + high), slice(x, x + wide), shrunk, np.column_stack([np.diag(scale), corner])), zoom


def _span(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Where a stretch begins, and how much of it lies within 0..limit, at least 1; a pixel more each way to blend."""
    first = min(max(0, math.floor(centre - length / 2) - 1), limit - 1)
    return first, max(1, min(limit, math.ceil(centre + length / 2) + 1) - first)
