"""Tiles: how a picture larger than the network's input is looked at in parts, at its own resolution. Pure.

A tile is a whole input. Neighbours overlap, so that a face that one cuts is whole in another, or large enough for the
look at the whole picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Of a tile's side: 128 of 640 pixels, so every face up to there is whole in some tile.
OVERLAP = 0.2
#: Tiles that show a picture less than this much larger than the whole look does find nothing new.
GAIN_MIN = 1.25
#: The picture is made so much smaller until few enough tiles cover it.
_SMALLER = 0.97


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of side×side over a picture that was scaled to rows×cols; a side shorter than a tile makes them shorter.

    scale: scaled pixels per picture pixel, at most 1. corners: (x, y) of each tile's top left, in scaled pixels.
    """

    side: int
    rows: int
    cols: int
    scale: float
    corners: tuple[tuple[int, int], ...]

    @property
    def tile_rows(self) -> int:
        return min(self.side, self.rows)

    @property
    def tile_cols(self) -> int:
        return min(self.side, self.cols)

    @staticmethod
    def of(width: int, height: int, side: int, most: int) -> Tiling | None:
        """At most `most` tiles, as close to the picture's own resolution as they allow; None where that is no gain."""
        scale = 1.0
        while _count(round(width * scale), side) * _count(round(height * scale), side) > max(1, most):
            scale *= _SMALLER
        if scale < GAIN_MIN * side / max(width, height):
            return None
        rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
        corners = tuple((x, y) for y in _starts(rows, side) for x in _starts(cols, side))
        return Tiling(side, rows, cols, scale, corners) if most and len(corners) > 1 else None

    def cut(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """(H, W, 3) or (H, W) uint8 → one array of tile_rows × tile_cols per corner, same order, C-contiguous."""
        if (self.rows, self.cols) != pixels.shape[:2]:
            pixels = np.asarray(cv2.resize(pixels, (self.cols, self.rows), interpolation=cv2.INTER_AREA), np.uint8)
        height, width = self.tile_rows, self.tile_cols
        return [np.ascontiguousarray(pixels[y : y + height, x : x + width]) for x, y in self.corners]


def tiles_of(width: int, height: int, side: int, most: int) -> int:
    """How many tiles a picture of this size is cut into."""
    tiling = Tiling.of(width, height, side, most) if most else None
    return len(tiling.corners) if tiling else 0


def _count(length: int, side: int) -> int:
    """How many overlapping tiles cover a length."""
    overlap = int(side * OVERLAP)
    return 1 if length <= side else math.ceil((length - overlap) / (side - overlap))


def _starts(length: int, side: int) -> list[int]:
    """Where they begin: the first at 0, the last at the end, the others evenly between."""
    count = _count(length, side)
    return [0] if count == 1 else [round(index * (length - side) / (count - 1)) for index in range(count)]
