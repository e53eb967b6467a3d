"""Sheets: how large a doubted find is shown in its cell, which part of the picture with it, and where. Pure.

Gateways paint them, workers make them ready, training learns from their cells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Input pixels of a find's longer side in its cell. Cells of 160 with finds as large find as many as those of 96.
FACE = 48
#: Of one picture at most: a closer network sees three quarters of the pixels of a plain look at 640, others as many.
SHEETS = 3
#: Sheets are multiples of the networks' largest stride.
_STRIDE = 32


class Cut(NamedTuple):
    """rows, cols: pixels of the picture that a cell shows; down, across: pixels of the cell that show them. nearer:
    whether these are more.
    """

    rows: slice
    cols: slice
    down: slice
    across: slice
    nearer: bool


class Cuts(NamedTuple):
    """shown: what each cell shows. firsts: (N, 2) x and y of the picture at a cell's corner, whole pixels, beyond the
    picture's edge as well. zooms: (N, 1) pixels of the cell for one of the picture.
    """

    shown: list[Cut]
    firsts: NDArray[np.float64]
    zooms: NDArray[np.float64]


class SheetLayout(NamedTuple):
    """Of a sheet, `rows` × `side` pixels. x: how far to the right of the first it lies. corners: (N, 2) x and y of the
    finds' cells in it; cuts: what these show. boxes: (N, 4) float32, where the finds lie in the row of sheets.
    """

    rows: int
    side: int
    x: int
    corners: NDArray[np.intp]
    cuts: list[Cut]
    boxes: NDArray[np.float32]


class SheetForm(NamedTuple):
    """cell: pixels of a cell's sides. side_max: of the largest sheet's."""

    cell: int
    side_max: int

    def most_in(self, side: int) -> int:
        """So many finds a sheet holds where the plain look has this side: 16 in 640."""
        return max(1, min(side, self.side_max) // self.cell) ** 2

    def most_of(self, side: int) -> int:
        """So many finds of a picture are looked at closer there: 48 in 640. Large crowds have more."""
        return SHEETS * self.most_in(side)

    def side_of(self, finds: int) -> int:
        """Pixels of the least square that holds so many."""
        return _whole_strides((math.isqrt(finds - 1) + 1) * self.cell)

    def rows_of(self, finds: int) -> int:
        """Pixels of that square's rows that hold them."""
        return _whole_strides(-(-finds // (self.side_of(finds) // self.cell)) * self.cell)

    def laid_out(self, boxes: NDArray[np.float32], size: tuple[int, int], side: int) -> list[SheetLayout]:
        """As few sheets as hold all finds (N, 4) of a picture of `size` (columns, rows), in their order, none without
        one. Only the last may have fewer than fit: it is as small as they let it be. side: of the plain look.
        """
        room = self.most_in(side)
        parts = [boxes[first : first + room] for first in range(0, len(boxes), room)]
        return [self._sheet(part, size, place * self.side_max) for place, part in enumerate(parts)]

    def _sheet(self, boxes: NDArray[np.float32], size: tuple[int, int], x: int) -> SheetLayout:
        shown, firsts, zooms = cuts(boxes, size, self.cell)
        rows, side = self.rows_of(len(boxes)), self.side_of(len(boxes))
        corners = self.cell * np.stack(np.divmod(np.arange(len(boxes)), side // self.cell)[::-1], axis=1)
        places = (boxes - np.tile(firsts, 2)) * zooms + np.tile(corners + np.array([x, 0]), 2)
        return SheetLayout(rows, side, x, corners, shown, places.astype(np.float32))


#: What a closer network sees and is taught by, and what a network sees that looks closer at its own doubts.
CLOSER_SHEETS, OWN_SHEETS = SheetForm(80, 320), SheetForm(96, 384)


def _whole_strides(pixels: int) -> int:
    return -(-pixels // _STRIDE) * _STRIDE


def cuts(boxes: NDArray[np.float32], size: tuple[int, int], side: int) -> Cuts:
    """Of a picture of `size` (columns, rows) for cells of `side`: each box (N, 4) in the middle, FACE large.

    Both to a pixel of the picture, of which only whole ones are shown.
    """
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float64)
    longer = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True).astype(np.float64), 1.0)
    lengths = np.rint(longer * side / FACE)
    firsts, zooms, limits = np.rint(middles - lengths / 2), side / lengths, np.array(size)
    begin = np.clip(firsts, 0, limits - 1)
    end = np.clip(firsts + lengths, begin + 1, limits)
    painted = np.clip(np.rint((begin - firsts) * zooms), 0, side - 1)
    until = np.clip(np.rint((end - firsts) * zooms), painted + 1, side)
    shown = [
        Cut(slice(top, bottom), slice(left, right), slice(above, below), slice(before, after), zoom >= 1)
        for left, top, right, bottom, before, above, after, below, zoom in zip(
            *np.hstack([begin, end, painted, until]).astype(int).T.tolist(), zooms[:, 0].tolist(), strict=True
        )
    ]
    return Cuts(shown, firsts, zooms)
