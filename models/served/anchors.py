"""Where SCRFD's anchors stand and what its outputs are called: the only place, for training as for serving."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from shared.faces import FloatArray

#: Three levels in this order; per cell ratio 1 at two scales. SCRFD, arXiv 2105.04714, section 3;
#: insightface model_zoo/scrfd.py `_feat_stride_fpn`, `_num_anchors`.
STRIDES = (8, 16, 32)
ANCHORS_PER_CELL = 2
#: Values per anchor: score, distances to the four sides, five landmarks x y.
SCORE_COLUMNS, BOX_COLUMNS, LANDMARK_COLUMNS = 1, 4, 10

#: Height and width of an input in pixels, multiples of the largest stride.
Size = tuple[int, int]


def output_names(*, landmarks: bool) -> tuple[str, ...]:
    """What a network in serving form calls its outputs, in order."""
    kinds = ("score", "bbox", "kps") if landmarks else ("score", "bbox")
    return tuple(f"{kind}_{stride}" for kind in kinds for stride in STRIDES)


def anchor_count(size: Size, stride: int) -> int:
    """How many anchors an input has at this stride."""
    return (size[0] // stride) * (size[1] // stride) * ANCHORS_PER_CELL


@lru_cache(maxsize=256)
def anchor_centres(size: Size, stride: int) -> FloatArray:
    """(anchors, 2) float32, x y in input pixels: cell corner times stride, no half-cell offset.

    Row-major over cells, each repeated for its two anchors. Read-only; one array per (size, stride).
    Source: insightface model_zoo/scrfd.py `forward` (np.mgrid[:h, :w][::-1] * stride).
    """
    assert size[0] % stride == size[1] % stride == 0, size
    x, y = np.meshgrid(np.arange(size[1] // stride), np.arange(size[0] // stride), indexing="xy")
    corners = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32) * np.float32(stride)
    centres = np.repeat(corners, ANCHORS_PER_CELL, axis=0)
    centres.flags.writeable = False
    return centres
