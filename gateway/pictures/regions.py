"""Which pixels are hidden: the rectangles that the boxes of faces become."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Region:
    """Whole pixels to hide: rows top..bottom-1, columns left..right-1, inside the picture, never empty.

    whole: every one of them, whatever shape the method has. tilt: of the face, degrees clockwise.
    """

    left: int
    top: int
    right: int
    bottom: int
    whole: bool = False
    tilt: float = 0.0

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return self.width * self.height

    def shrunk(self, by: int) -> Region:
        """What it touches in a picture that is so many times smaller."""
        if by == 1:
            return self
        right, bottom = -(-self.right // by), -(-self.bottom // by)
        return Region(self.left // by, self.top // by, right, bottom, self.whole, self.tilt)

    def of(self, pixels: Pixels) -> Pixels:
        """A view of these pixels."""
        return pixels[self.top : self.bottom, self.left : self.right]


def within(box: tuple[float, float, float, float], width: int, height: int) -> Region | None:
    """A box x1 y1 x2 y2 that somebody drew: every pixel it touches, clipped; None where that is none."""
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    right, bottom = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    return Region(left, top, right, bottom, whole=True) if left < right and top < bottom else None


def regions(
    boxes: NDArray[np.float32], padding: float, width: int, height: int, tilts: NDArray[np.float64] | None = None
) -> list[Region]:
    """The boxes (N, 4) x1 y1 x2 y2 grown by `padding` of their size on each side, to whole pixels, clipped.

    Every pixel a grown box touches belongs to it. Boxes without a pixel in the picture give no region. tilts: (N,)
    degrees.
    """
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    across, down = (x2 - x1) * padding, (y2 - y1) * padding
    left, top = np.clip(np.floor(x1 - across), 0, width), np.clip(np.floor(y1 - down), 0, height)
    right, bottom = np.clip(np.ceil(x2 + across), 0, width), np.clip(np.ceil(y2 + down), 0, height)
    corners = np.stack([left, top, right, bottom], axis=1).astype(int).tolist()
    turned = [0.0] * len(corners) if tilts is None else tilts.tolist()
    each = zip(corners, turned, strict=True)
    return [Region(a, b, c, d, tilt=tilt) for (a, b, c, d), tilt in each if a < c and b < d]
