"""The detector's layers: alone knows the architecture of the open networks.

A depthwise-separable backbone, a PAFPN neck and batch-norm heads at strides
8, 16 and 32, shaped like SCRFD-500M (arXiv 2105.04714); one view (mirror.py)
is no dearer than it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.served.anchors import ANCHORS_PER_CELL, STRIDES

STEM = 16
DEPTHS = (1, 4, 5, 2)  # blocks after each reduction
SCORE_PRIOR = 0.01  # focal loss starts from "nearly everything is background"

Levels = list[Tensor]


@dataclass(frozen=True)
class Shape:
    """Channels of a detector: at strides 4, 8, 16, 32, of its neck, and within a head."""

    widths: tuple[int, int, int, int]
    neck: int
    head: int


NARROW = Shape((32, 64, 128, 256), 56, 64)
# Wider where cells are few: at 640x640 one view of it takes about as long as two of the narrow one.
WIDE = Shape((32, 96, 256, 512), 80, 96)


class Separable(nn.Module):
    """Depthwise then pointwise convolution, batch norm and ReLU after both."""

    def __init__(self, inside: int, outside: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.depth = nn.Conv2d(inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False)
        self.depth_norm = nn.BatchNorm2d(inside)
        self.point = nn.Conv2d(inside, outside, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outside)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) float32 -> (B, outside, H/stride, W/stride)."""
        y = functional.relu(self.depth_norm(self.depth(x)), inplace=True)
        y = self.point_norm(self.point(y))
        return functional.relu(y + x if self.residual else y, inplace=True)


class Point(nn.Module):
    """1x1 convolution, batch norm, ReLU: brings a level to another width."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(inside, outside, 1, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) -> (B, outside, H, W)."""
        return functional.relu(self.norm(self.point(x)), inplace=True)


class Backbone(nn.Module):
    """A BGR picture to feature maps at strides 8, 16 and 32."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(STEM)
        inside = STEM
        self.stages = nn.ModuleList()
        for place, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True)):
            # The widest view is bought where cells are few: 5x5 at stride 32.
            kernel = 5 if place == 3 else 3
            blocks = [Separable(inside, width, 2)]
            blocks += [Separable(width, width, 1, kernel) for _ in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            inside = width

    def forward(self, x: Tensor) -> Levels:
        """(B, 3, H, W) normalised BGR -> maps at strides 8, 16, 32."""
        x = functional.relu(self.stem_norm(self.stem(x)), inplace=True)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels[1:]


class Neck(nn.Module):
    """PAFPN: coarse meaning flows down, then fine places flow back up."""

    def __init__(self, widths: tuple[int, ...], neck: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(Point(width, neck) for width in widths[1:])
        self.smooth = nn.ModuleList(Separable(neck, neck) for _ in range(2))
        self.reduce = nn.ModuleList(Separable(neck, neck, 2) for _ in range(2))
        self.blend = nn.ModuleList(Separable(neck, neck) for _ in range(2))

    def forward(self, levels: Levels) -> Levels:
        """Three maps of the backbone -> three maps of the neck's channels."""
        fine, middle, coarse = (lat(x) for lat, x in zip(self.lateral, levels, strict=True))
        middle = self.smooth[1](middle + functional.interpolate(coarse, scale_factor=2.0))
        fine = self.smooth[0](fine + functional.interpolate(middle, scale_factor=2.0))
        middle = self.blend[0](middle + self.reduce[0](fine))
        coarse = self.blend[1](coarse + self.reduce[1](middle))
        return [fine, middle, coarse]


class Head(nn.Module):
    """Scores, edge distances and landmark offsets of one stride."""

    def __init__(self, neck: int, width: int, kernel: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(Separable(neck, width, 1, kernel), Separable(width, width, 1, kernel))
        self.score = nn.Conv2d(width, ANCHORS_PER_CELL, 1)
        self.box = nn.Conv2d(width, ANCHORS_PER_CELL * 4, 1)
        self.points = nn.Conv2d(width, ANCHORS_PER_CELL * 10, 1)
        nn.init.constant_(self.score.bias, -math.log(1 / SCORE_PRIOR - 1))  # type: ignore[arg-type]
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.box.weight, std=0.01)
        nn.init.normal_(self.points.weight, std=0.01)
        sizes = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0])  # half an anchor, in strides
        with torch.no_grad():
            self.box.bias.copy_(sizes)  # type: ignore[union-attr]
            self.points.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, neck, h, w) -> (B, h*w*2, 1) logits, (.., 4) and (.., 10) in strides."""
        x = self.trunk(x)
        return tuple(
            part.permute(0, 2, 3, 1).reshape(part.shape[0], -1, width)
            for part, width in ((self.score(x), 1), (self.box(x), 4), (self.points(x), 10))
        )


class Detector(nn.Module):
    """The whole network, from a normalised BGR picture to raw heads."""

    score_scale: Tensor
    score_shift: Tensor

    def __init__(self, shape: Shape = NARROW) -> None:
        super().__init__()
        self.backbone = Backbone(shape.widths)
        self.neck = Neck(shape.widths, shape.neck)
        self.heads = nn.ModuleList(Head(shape.neck, shape.head, kernel) for kernel in (3, 3, 5))
        # Calibration of the score, one pair a stride; fitted after training.
        self.register_buffer("score_scale", torch.ones(len(STRIDES)))
        self.register_buffer("score_shift", torch.zeros(len(STRIDES)))

    def forward(self, x: Tensor) -> tuple[Levels, Levels, Levels]:
        """(B, 3, H, W) float32, (bgr - 127.5) / 128 -> logits, boxes, points by stride."""
        levels = self.neck(self.backbone(x))
        parts = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        return [p[0] for p in parts], [p[1] for p in parts], [p[2] for p in parts]


def shape_of(weights: dict[str, Tensor]) -> Shape:
    """The shape of the detector whose weights these are."""
    first, second, third, fourth = (len(weights[f"backbone.stages.{place}.0.point.weight"]) for place in range(4))
    neck, head = (len(weights[f"{name}.point.weight"]) for name in ("neck.lateral.0", "heads.0.trunk.0"))
    return Shape((first, second, third, fourth), neck, head)


def detector_of(weights: dict[str, Tensor]) -> Detector:
    """The detector whose weights these are, in evaluation mode, not to be trained."""
    model = Detector(shape_of(weights)).eval().requires_grad_(False)
    model.load_state_dict(weights)
    return model


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in model.parameters())


def count_macs(model: nn.Module, side: int = 640) -> int:
    """Multiply-adds of the convolutions for one picture of side x side."""
    total = 0

    def note(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        kernel = layer.kernel_size[0] * layer.kernel_size[1]
        total += out[0].numel() * kernel * layer.in_channels // layer.groups

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Conv2d)]
    was_training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, side, side))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
