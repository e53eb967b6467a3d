"""How the blocks of a JPEG lie, and how pixels become such blocks.

Masks become blocks many at a time, laid one under the other on sheets: whatever its size, a call of libjpeg costs what
a small face does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import upright
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.stored_frame import BACK, StoredFrame

#: Rows of pixels of a sheet, for the memory that it takes.
SHEET_ROWS = 512
#: How much wider than its narrowest strip a sheet may become: all of it is encoded.
_WIDER_MOST = 2
_SIDE = 8
#: What is to be shown in a region, (rows, columns, 3) uint8 BGR upright: such pixels are not all there at once.
Window = Callable[[], Pixels]


@dataclass(frozen=True, slots=True)
class Strip:
    """Pixels as stored, (rows, columns, 3) uint8 BGR, and where the first one lies in the file's picture."""

    left: int
    top: int
    pixels: Pixels


class Grid:
    """How the blocks of a file lie. factors: (across, down) of each component."""

    def __init__(self, header: Header, factors: Sequence[tuple[int, int]]) -> None:
        self.frame = StoredFrame(header.width, header.height, header.orientation)
        self._across, self._down = (_SIDE * max(each[axis] for each in factors) for axis in (0, 1))
        self._cell = (
            max(self._across // across for across, _down in factors),
            max(self._down // down for _across, down in factors),
        )

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """Regions of the upright picture, each as large as the blocks of all planes that it touches."""
        return [
            replace(self.frame.on_grid(region, *self._cell), whole=region.whole, tilt=region.tilt) for region in regions
        ]

    def show(self, masks: Iterable[tuple[Region, Window]], stored: StoredJpeg, above: int = 0) -> None:
        """Gives regions, whole blocks, the coefficients of what they show. Raises LibjpegError.

        stored: of the file, or of a part that has `above` rows of the picture above it.
        """
        for sheet in _sheets(self._strips(masks)):
            wide, at = max(strip.pixels.shape[1] for strip in sheet), 0
            filled = [_filled(strip.pixels, wide, self._cell[1]) for strip in sheet]
            fresh = stored.like(np.concatenate(filled))
            for strip, pixels in zip(sheet, filled, strict=True):
                self._put(fresh, at, stored, replace(strip, top=strip.top - above), len(pixels))
                at += len(pixels)

    def _strips(self, masks: Iterable[tuple[Region, Window]]) -> Iterator[Strip]:
        """The narrow ones first, since such go well on one sheet."""
        rows = SHEET_ROWS // self._cell[1] * self._cell[1]
        placed = [(self.frame.of(region), window) for region, window in masks]
        for place, window in sorted(placed, key=lambda mask: mask[0].width):
            pixels = upright(window(), BACK[self.frame.orientation])
            for top in range(0, place.height, rows):
                yield Strip(place.left, place.top + top, pixels[top : top + rows])

    def _put(self, sheet: StoredJpeg, at: int, stored: StoredJpeg, strip: Strip, height: int) -> None:
        """Copies a strip's blocks from row `at` of a sheet, where it is so many pixels high."""
        width = -(-strip.pixels.shape[1] // self._cell[0]) * self._cell[0]
        for index, component in enumerate(stored.components):
            left, right = (x * component.across // self._across for x in (strip.left, strip.left + width))
            top, bottom, begin = (y * component.down // self._down for y in (strip.top, strip.top + height, at))
            blocks = stored.plane(index)[top:bottom, left:right]  # no more than the picture has
            blocks[:] = sheet.plane(index)[begin:][: blocks.shape[0], : blocks.shape[1]]


def _sheets(strips: Iterable[Strip]) -> Iterator[list[Strip]]:
    """Those that are encoded together."""
    sheet: list[Strip] = []
    for strip in strips:
        rows = sum(len(each.pixels) for each in [*sheet, strip])
        if sheet and (rows > SHEET_ROWS or strip.pixels.shape[1] > _WIDER_MOST * sheet[0].pixels.shape[1]):
            yield sheet
            sheet = []
        sheet.append(strip)
    if sheet:
        yield sheet


def _filled(pixels: Pixels, wide: int, cell: int) -> Pixels:
    """As wide as that and as high as whole cells; the last pixels of rows and columns go on, as libjpeg lets them."""
    below, beside = -len(pixels) % cell, wide - pixels.shape[1]
    if not below and not beside:
        return pixels
    return cast("Pixels", cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_REPLICATE))
