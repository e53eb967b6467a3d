"""Where anchors lie: alone knows strides, sizes and the order of the cells.

Row-major over cells, two anchors a cell side by side, centres at (x*stride,
y*stride) without +0.5, as in SCRFD's own runtime.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
ANCHOR_SIZES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))  # pixels
ANCHORS_PER_CELL = 2

Floats = NDArray[np.float32]


def centres(height: int, width: int, stride: int) -> Floats:
    """(anchors, 2) float32 x y in pixels for one stride of a height x width picture."""
    rows, columns = height // stride, width // stride
    y, x = np.mgrid[:rows, :columns]
    cells = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32) * stride
    return np.repeat(cells, ANCHORS_PER_CELL, axis=0)


def counts(height: int, width: int) -> list[int]:
    """Anchors of each stride."""
    return [(height // s) * (width // s) * ANCHORS_PER_CELL for s in STRIDES]


def all_centres(height: int, width: int) -> tuple[Floats, Floats]:
    """(anchors, 2) centres in pixels and (anchors,) strides, strides one after another."""
    parts = [centres(height, width, s) for s in STRIDES]
    steps = [np.full(len(p), s, np.float32) for p, s in zip(parts, STRIDES, strict=True)]
    return np.concatenate(parts), np.concatenate(steps)
