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
from gateway.pictures.libjpeg import Component, StoredJpeg
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.stored_frame import BACK, StoredFrame

#: A sheet has no more pixels than so many rows of the picture, for the memory that it takes.
SHEET_ROWS = 512
#: Pixels of a sheet that show nothing, beside narrow strips: to encode so many takes as long as another call.
_SPARE_MOST = 1 << 16
#: Rows of a sheet at most; a JPEG has no more than 65,535.
_HIGHEST = 1 << 15
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
        for sheet in _sheets(self._strips(masks), self.frame.width * SHEET_ROWS):
            wide, at = max(strip.pixels.shape[1] for strip in sheet), 0
            filled = [_filled(strip.pixels, wide, self._cell[1]) for strip in sheet]
            fresh = stored.like(np.concatenate(filled))
            planes = [(each, fresh.plane(index), stored.plane(index)) for index, each in enumerate(stored.components)]
            for strip, pixels in zip(sheet, filled, strict=True):
                for component, begun, plane in planes:
                    blocks = plane[self._blocks(component, strip, above, len(pixels))]  # no more than the picture has
                    begin = at * component.down // self._down
                    blocks[:] = begun[begin : begin + blocks.shape[0], : blocks.shape[1]]
                at += len(pixels)

    def _strips(self, masks: Iterable[tuple[Region, Window]]) -> Iterator[Strip]:
        """The narrow ones first, since such go well on one sheet."""
        rows = SHEET_ROWS // self._cell[1] * self._cell[1]
        placed = [(self.frame.of(region), window) for region, window in masks]
        for place, window in sorted(placed, key=lambda mask: mask[0].width):
            pixels = upright(window(), BACK[self.frame.orientation])
            for top in range(0, place.height, rows):
                yield Strip(place.left, place.top + top, pixels[top : top + rows])

    def _blocks(self, component: Component, strip: Strip, above: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of a strip's blocks below `above` rows of pixels, as high as it was filled up to."""
        top, width = strip.top - above, -(-strip.pixels.shape[1] // self._cell[0]) * self._cell[0]
        rows = (y * component.down // self._down for y in (top, top + height))
        columns = (x * component.across // self._across for x in (strip.left, strip.left + width))
        return slice(*rows), slice(*columns)


def _sheets(strips: Iterable[Strip], most: int) -> Iterator[list[Strip]]:
    """Those that are encoded together, the narrow ones before the wide; at most so many pixels, or one strip."""
    sheet: list[Strip] = []
    rows = shown = 0
    for strip in strips:
        height, width = strip.pixels.shape[:2]
        rows, shown = rows + height, shown + height * width
        if sheet and (rows * width > min(most, shown + _SPARE_MOST) or rows > _HIGHEST):
            yield sheet
            sheet, rows, shown = [], height, height * width
        sheet.append(strip)
    if sheet:
        yield sheet


def _filled(pixels: Pixels, wide: int, cell: int) -> Pixels:
    """As wide as that and as high as whole cells; the last pixels of rows and columns go on, as libjpeg lets them."""
    below, beside = -len(pixels) % cell, wide - pixels.shape[1]
    if not below and not beside:
        return pixels
    return cast("Pixels", cv2.copyMakeBorder(pixels, 0, below, 0, beside, cv2.BORDER_REPLICATE))
