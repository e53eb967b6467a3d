"""Which faces the anchors are for, and all strides in a row; where anchors stand is `models/served/anchors.py`'s."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.served.anchors import STRIDES, anchor_centres, anchor_count

ANCHOR_SIZES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))  # pixels

Floats = NDArray[np.float32]


def counts(height: int, width: int) -> list[int]:
    """Anchors of each stride."""
    return [anchor_count((height, width), stride) for stride in STRIDES]


def all_centres(height: int, width: int) -> tuple[Floats, Floats]:
    """(anchors, 2) centres in pixels and (anchors,) strides, strides one after another."""
    parts = [anchor_centres((height, width), s) for s in STRIDES]
    steps = [np.full(len(p), s, np.float32) for p, s in zip(parts, STRIDES, strict=True)]
    return np.concatenate(parts), np.concatenate(steps)
