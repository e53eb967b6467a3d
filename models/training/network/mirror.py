"""A second look in the mirror: alone knows how two views of one picture become one answer.

A network whose kernels are mirrored sees a picture as the network itself would see its mirror image. The mean of both
keeps what both see: what one of them takes for a face by chance the other seldom does.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.served.anchors import ANCHORS_PER_CELL
from models.training.landmarks import MIRRORED
from models.training.network.detector import Detector, Head, Levels

EDGES = (2, 1, 0, 3)  # left, top, right, bottom as the mirror shows them
BOXES = [4 * anchor + edge for anchor in range(ANCHORS_PER_CELL) for edge in EDGES]
POINTS = [10 * anchor + 2 * point + axis for anchor in range(ANCHORS_PER_CELL) for point in MIRRORED for axis in (0, 1)]
SIGNS = torch.tensor([-1.0, 1.0]).repeat(ANCHORS_PER_CELL * len(MIRRORED))
KINDS = ("score", "box", "points")  # the layers that end a head


@torch.no_grad()
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


@torch.no_grad()
def mean_end(one: nn.Conv2d, other: nn.Conv2d) -> nn.Conv2d:
    """The mean of two 1x1 convolutions, as one that reads the channels of both."""
    assert one.bias is not None and other.bias is not None
    both = nn.Conv2d(one.in_channels + other.in_channels, one.out_channels, 1).requires_grad_(False)
    assert both.bias is not None
    both.weight.copy_(torch.cat([one.weight, other.weight], dim=1) / 2)
    both.bias.copy_((one.bias + other.bias) / 2)
    return both


def one_view(ends: dict[str, Tensor]) -> dict[str, Tensor]:
    """The way back from `mean_end`, by name: what of a mean's weights and biases belongs to the view as it is.

    A bias comes back as the mean that both views have; of these the mean is the same.
    """
    return {
        name: 2 * value[:, : value.shape[1] // 2] if name.endswith("weight") else value for name, value in ends.items()
    }


class TwoViews(nn.Module):
    """A detector that answers with the mean of both views; twice the work, hardly more weights."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.plain, self.mirrored = detector, mirrored(detector)
        self.heads = nn.ModuleList()
        for own, other in zip(self.plain.heads, self.mirrored.heads, strict=True):
            head = copy.deepcopy(own)
            head.trunk = nn.Identity()
            for kind in KINDS:
                setattr(head, kind, mean_end(getattr(own, kind), getattr(other, kind)))
            self.heads.append(head)

    def forward(self, x: Tensor) -> tuple[Levels, Levels, Levels]:
        """(B, 3, H, W) float32, (bgr - 127.5) / 128 -> logits, boxes, points by stride."""
        views = [
            [head.trunk(level) for head, level in zip(view.heads, view.neck(view.backbone(x)), strict=True)]  # type: ignore[operator]
            for view in (self.plain, self.mirrored)
        ]
        parts = [head(torch.cat(both, dim=1)) for head, both in zip(self.heads, zip(*views, strict=True), strict=True)]
        return [p[0] for p in parts], [p[1] for p in parts], [p[2] for p in parts]
