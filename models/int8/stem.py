"""The first convolution on bytes as they lie in the picture, two results at a time, with nothing moved before it.

Three bytes per pixel are the worst case of byte kernels (2.7 ms at 640×640, of 19 for all of 2.5G). Four pixels
side by side are twelve bytes: read so, a 3×3 convolution of stride 2 is one of 3 rows × 2 blocks that gives the
two results of each block next to each other. 0.6 ms, although half of its weights are zeros.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import AttributeProto, NodeProto, helper

from models.rewriting.cheaper import attributes_of
from shared.faces import FloatArray

#: Pixels read as one block, and results that fall into it at stride 2.
PIXELS, RESULTS = 4, 2


def fits(conv: NodeProto, weights: Mapping[str, FloatArray]) -> bool:
    """Whether a convolution is 3×3, stride 2, padded by one, over three planes."""
    found = attributes_of(conv)
    return bool(
        weights[conv.input[1]].shape[1:] == (3, 3, 3)
        and found.get("strides") == [2, 2]
        and found.get("pads") == [1, 1, 1, 1]
        and found.get("group", 1) == 1
        and found.get("dilations", [1, 1]) == [1, 1]
    )


def paired_filters(filters: FloatArray) -> FloatArray:
    """(P, 3, 3, 3) over the planes of single pixels → (2·P, 12, 3, 2) over blocks of four pixels.

    Result r of block b stands at pixel 4·b + 2·r and reads the pixels −1, 0, 1 from there: the last of the block
    before, or this block's own.
    """
    count, planes = filters.shape[:2]
    wide = np.zeros((RESULTS, count, PIXELS, planes, 3, 2), np.float32)
    for result in range(RESULTS):
        for column in range(3):
            pixel = 2 * result + column - 1
            block, inside = (1, pixel) if pixel >= 0 else (0, pixel + PIXELS)
            wide[result, :, inside, :, :, block] = filters[:, :, :, column]
    return wide.reshape(RESULTS * count, PIXELS * planes, 3, 2)


def paired_attributes() -> list[AttributeProto]:
    """Of the convolution over blocks. Even sides need no padding below and to the right."""
    return list(helper.make_node("Conv", [], [], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 1, 0, 0]).attribute)
