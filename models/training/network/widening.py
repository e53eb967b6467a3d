"""A wider network that begins from what a narrower one learned: alone knows how.

Channels are copied, and who reads one reads shares of its copies that sum up to what it read before, so that the wider
network answers alike (Net2WiderNet, arXiv 1511.05641). Every reader has shares of its own: copies that are read alike
would learn alike, and AdamW, which heeds no gradient's size, would keep them the same for ever.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from models.training.network.detector import Backbone, Detector, Head, Neck, Point, Separable, Shape

Copies: TypeAlias = Tensor  # (channels,) int64: which channel of the narrow network each channel of the wide one copies


def copies(narrow: int, wide: int, generator: torch.Generator) -> Copies:
    """(wide,) every channel, then some of them once more."""
    return torch.cat([torch.arange(narrow), torch.randperm(narrow, generator=generator)[: wide - narrow]])


@torch.no_grad()
def widened(narrow: Detector, shape: Shape, generator: torch.Generator) -> Detector:
    """A detector of that shape, at most twice as wide, that answers as `narrow` does."""
    wide = Detector(shape)
    widening = Widening(generator)
    levels = widening.backbone(narrow.backbone, wide.backbone, shape.widths)
    neck = widening.neck(narrow.neck, wide.neck, levels)
    for old, new in zip(narrow.heads, wide.heads, strict=True):
        assert isinstance(old, Head) and isinstance(new, Head)
        widening.head(old, new, neck)
    wide.score_scale.copy_(narrow.score_scale)
    wide.score_shift.copy_(narrow.score_shift)
    return wide


class Widening:
    """Fills a wide network's layers from a narrow one's. inside, outside: the copies that a layer reads and gives."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def backbone(self, old: Backbone, new: Backbone, widths: tuple[int, ...]) -> list[Copies]:
        """The copies that the maps at strides 8, 16 and 32 consist of."""
        inside = torch.arange(new.stem.out_channels)
        new.stem.weight.copy_(old.stem.weight)
        _norm(old.stem_norm, new.stem_norm, inside)
        levels = []
        for narrow, wide, width in zip(old.stages, new.stages, widths, strict=True):
            assert isinstance(narrow, nn.Sequential) and isinstance(wide, nn.Sequential)
            outside = copies(_width(narrow), width, self.generator)
            self._blocks(narrow, wide, inside, outside)
            levels.append(inside := outside)
        return levels[1:]

    def neck(self, old: Neck, new: Neck, levels: list[Copies]) -> Copies:
        """The copies that all three of its maps consist of."""
        given = copies(len(old.lateral[0].point.weight), len(new.lateral[0].point.weight), self.generator)
        for narrow, wide, level in zip(old.lateral, new.lateral, levels, strict=True):
            assert isinstance(narrow, Point) and isinstance(wide, Point)
            self._point(narrow.point, wide.point, level, given)
            _norm(narrow.norm, wide.norm, given)
        for kind in ("smooth", "reduce", "blend"):
            self._blocks(getattr(old, kind), getattr(new, kind), given, given)
        return given

    def head(self, old: Head, new: Head, neck: Copies) -> None:
        """Its ends give what they gave: nothing of them is copied."""
        trunk = copies(_width(old.trunk), _width(new.trunk), self.generator)
        self._blocks(old.trunk, new.trunk, neck, trunk)
        for kind in ("score", "box", "points"):
            narrow, wide = getattr(old, kind), getattr(new, kind)
            self._point(narrow, wide, trunk, torch.arange(narrow.out_channels))
            wide.bias.copy_(narrow.bias)

    def _blocks(self, old: nn.Module, new: nn.Module, inside: Copies, outside: Copies) -> None:
        for narrow, wide in zip(old.children(), new.children(), strict=True):
            assert isinstance(narrow, Separable) and isinstance(wide, Separable)
            if narrow.residual != wide.residual:
                raise ValueError(
                    "one of the shapes has a neck as wide as its heads, which then add what they are given"
                )
            wide.depth.weight.copy_(narrow.depth.weight[inside])
            _norm(narrow.depth_norm, wide.depth_norm, inside)
            self._point(narrow.point, wide.point, inside, outside)
            _norm(narrow.point_norm, wide.point_norm, outside)
            inside = outside

    def _point(self, old: nn.Conv2d, new: nn.Conv2d, inside: Copies, outside: Copies) -> None:
        drawn = torch.rand(len(outside), len(inside), generator=self.generator)
        sums = torch.zeros(len(outside), old.in_channels).index_add_(1, inside, drawn)
        shares = drawn / sums[:, inside]
        new.weight.copy_(old.weight[outside][:, inside] * shares[..., None, None])


def _width(blocks: nn.Module) -> int:
    """Channels that a row of blocks gives."""
    *_, last = blocks.children()
    assert isinstance(last, Separable)
    return last.point.out_channels


def _norm(old: nn.BatchNorm2d, new: nn.BatchNorm2d, channels: Copies) -> None:
    new.load_state_dict({name: value[channels] if value.ndim else value for name, value in old.state_dict().items()})
