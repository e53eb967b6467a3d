"""A second look in the mirror: alone knows how two views of one picture become one answer.

A network whose kernels are mirrored sees a picture as the network itself would see its mirror image. The mean of both
keeps what both see: what one of them takes for a face by chance the other seldom does.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.training.anchors import ANCHORS_PER_CELL
from models.training.network import Detector, Head, Rows, rows
from models.training.scenes import MIRRORED

EDGES = (2, 1, 0, 3)  # left, top, right, bottom as the mirror shows them
BOXES = [4 * anchor + edge for anchor in range(ANCHORS_PER_CELL) for edge in EDGES]
POINTS = [10 * anchor + 2 * point + axis for anchor in range(ANCHORS_PER_CELL) for point in MIRRORED for axis in (0, 1)]
SIGNS = torch.tensor([-1.0, 1.0]).repeat(ANCHORS_PER_CELL * len(MIRRORED))


def mirrored(detector: Detector) -> Detector:
    """A copy that answers for a picture as `detector` does for its mirror image, told in the picture's own places.

    But for the doubling of coarse maps, which leans to one side and stays as it is.
    """
    twin = copy.deepcopy(detector).requires_grad_(False)
    for layer in twin.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.copy_(layer.weight.flip(-1))
    for head in twin.heads:
        assert isinstance(head, Head) and head.box.bias is not None and head.points.bias is not None
        head.box.weight.copy_(head.box.weight[BOXES])
        head.box.bias.copy_(head.box.bias[BOXES])
        head.points.weight.copy_(head.points.weight[POINTS] * SIGNS[:, None, None, None])
        head.points.bias.copy_(head.points.bias[POINTS] * SIGNS)
    return twin


class TwoViews(nn.Module):
    """A detector that answers with the mean of both views; twice the work, hardly more weights."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.plain, self.mirrored = detector, mirrored(detector)

    def forward(self, x: Tensor) -> Rows:
        """(B, 3, H, W) float32, (bgr - 127.5) / 128 -> logits, boxes, points by stride."""
        views = zip(self.plain.maps(x), self.mirrored.maps(x), strict=True)
        return rows([((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2) for a, b in views])
