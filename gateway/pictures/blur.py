"""What a Gaussian blur of a whole picture shows in some regions of it. Alone knows how that is made cheap.

A large kernel works on a copy in which a cell stands for many pixels. Regions whose surroundings together are more
than the part of the picture they lie in share one copy of that part, so a crowd costs no more than its picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from gateway.pictures.masking import SIGMA_PER_KERNEL, Pixels, Region

#: A cell is as large as it may be for the kernel to still reach this many cells to each side.
_REACH_IN_CELLS = 12


@dataclass(frozen=True, slots=True)
class Blurred:
    """A part of the blurred picture. cells: (rows, columns, 3) uint8, `side`² pixels each; place: theirs, in cells."""

    cells: Pixels
    place: Region
    side: int

    def of(self, region: Region) -> Pixels:
        """(region height, region width, 3): the region, in pixels, enlarged from its cells and their neighbours."""
        near = _cells_around(region, 1, self.side, self.place)
        rows = slice(near.top - self.place.top, near.bottom - self.place.top)
        columns = slice(near.left - self.place.left, near.right - self.place.left)
        size = (near.width * self.side, near.height * self.side)
        large = cast("Pixels", cv2.resize(self.cells[rows, columns], size, interpolation=cv2.INTER_LINEAR))
        down, along = region.top - near.top * self.side, region.left - near.left * self.side
        return large[down : down + region.height, along : along + region.width]


def blurred(pixels: Pixels, hidden: list[Region], kernel: int) -> list[Blurred]:
    """For each region the part of the blur that holds it; the picture (H, W, 3) uint8 stays as it is.

    kernel: odd, in pixels. Truncated at the kernel's edge, mirrored at the picture's.
    """
    if not hidden:
        return []
    side = _cell_side(kernel)
    whole = Region(0, 0, -(-pixels.shape[1] // side), -(-pixels.shape[0] // side))
    around = [_cells_around(region, _reach(kernel, side) + 1, side, whole) for region in hidden]
    together = Region(
        min(one.left for one in around), min(one.top for one in around),
        max(one.right for one in around), max(one.bottom for one in around),
    )  # fmt: skip
    if together.area <= sum(one.area for one in around):
        return [_part(pixels, together, side, kernel)] * len(hidden)
    return [_part(pixels, one, side, kernel) for one in around]


def _cell_side(kernel: int) -> int:
    """A power of two: halving again and again is a third of the work of shrinking at once."""
    return 1 << max(0, (kernel // 2 // _REACH_IN_CELLS).bit_length() - 1)


def _reach(kernel: int, side: int) -> int:
    """To how many cells on each side the kernel reaches."""
    return round(kernel // 2 / side)


def _cells_around(region: Region, more: int, side: int, within: Region) -> Region:
    """The cells that a region, in pixels, touches and `more` of them on each side."""
    return Region(
        max(within.left, region.left // side - more), max(within.top, region.top // side - more),
        min(within.right, -(-region.right // side) + more), min(within.bottom, -(-region.bottom // side) + more),
    )  # fmt: skip


def _part(pixels: Pixels, place: Region, side: int, kernel: int) -> Blurred:
    """Right but for as many cells as the kernel reaches from each edge that is not the picture's."""
    window = pixels[place.top * side : place.bottom * side, place.left * side : place.right * side]
    size, sigma = (2 * _reach(kernel, side) + 1,) * 2, kernel * SIGMA_PER_KERNEL / side
    if side == 1:
        cells = cv2.GaussianBlur(window, size, sigma, borderType=cv2.BORDER_REFLECT_101)
    else:  # float: faster when small
        few = _in_cells(window, side).astype(np.float32)
        cells = np.rint(cv2.GaussianBlur(few, size, sigma, borderType=cv2.BORDER_REFLECT)).astype(np.uint8)
    return Blurred(cast("Pixels", cells), place, side)


def _in_cells(window: Pixels, side: int) -> Pixels:
    """The means of whole cells; the last ones are filled up with the mirror image."""
    height, width = window.shape[:2]
    below, beside = -height % side, -width % side
    if below or beside:
        window = cast("Pixels", cv2.copyMakeBorder(window, 0, below, 0, beside, cv2.BORDER_REFLECT))
    while side > 1:
        half = (window.shape[1] // 2, window.shape[0] // 2)
        window, side = cast("Pixels", cv2.resize(window, half, interpolation=cv2.INTER_AREA)), side // 2
    return window
