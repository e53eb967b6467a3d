"""Sheets: how large a doubted find is shown in its cell, which part of the picture with it, and where. Pure.

Gateways paint them, workers make them ready, training learns from their cells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Input pixels of a find's longer side in its cell, of a cell's sides, and of the largest sheet's. Cells of 160 find as
#: many.
FACE, CELL, SHEET_SIDE = 48, 96, 384
#: Of one picture at most: they cost as much as the plain look at 640.
SHEETS = 3


#: Pixels, whole ones.
Places = NDArray[np.int_]


class Cut(NamedTuple):
    """rows, cols: what of the picture a cell shows. shrunk: the size (columns, rows) it is averaged to before, None
    where it is not. matrix: (2, 3) float64, as of OpenCV's warpAffine, from there to pixels of the cell.
    """

    rows: slice
    cols: slice
    shrunk: tuple[int, int] | None
    matrix: NDArray[np.float64]


class SheetLayout(NamedTuple):
    """Of a sheet, `rows` × `side` pixels. x: how far to the right of the first it lies. corners: (N, 2) x and y of the
    finds' cells in it; cuts: what these show. boxes: (N, 4) float32, where the finds lie in the row of sheets, each in
    the middle of its cell.
    """

    rows: int
    side: int
    x: int
    corners: NDArray[np.intp]
    cuts: list[Cut]
    boxes: NDArray[np.float32]


def most_in(side: int) -> int:
    """So many finds a sheet holds where the plain look has this side: 16 in 640."""
    return max(1, min(side, SHEET_SIDE) // CELL) ** 2


def most_of(side: int) -> int:
    """So many finds of a picture are looked at closer there: 48 in 640. Large crowds have more."""
    return SHEETS * most_in(side)


def sheet_side(finds: int) -> int:
    """Of the least square that holds so many, in pixels: a multiple of CELL, and so of the network's strides."""
    return (math.isqrt(finds - 1) + 1) * CELL


def sheet_rows(finds: int) -> int:
    """So many pixels of that square's rows show something."""
    return -(-finds * CELL // sheet_side(finds)) * CELL


def laid_out(boxes: NDArray[np.float32], size: tuple[int, int], room: int) -> list[SheetLayout]:
    """As few sheets as hold all finds (N, 4) of a picture of `size` (columns, rows), in their order, none without one.

    room: so many a sheet holds at most. Only the last may have fewer: it is as small as they let it be.
    """
    parts = [boxes[first : first + room] for first in range(0, len(boxes), room)]
    return [_sheet(part, size, place * SHEET_SIDE) for place, part in enumerate(parts)]


def _sheet(boxes: NDArray[np.float32], size: tuple[int, int], x: int) -> SheetLayout:
    shown, zooms = cuts(boxes, size, CELL)
    half = (boxes[:, 2:] - boxes[:, :2]) * zooms.astype(np.float32)[:, None] / 2
    rows, side = sheet_rows(len(boxes)), sheet_side(len(boxes))
    corners = CELL * np.stack(np.divmod(np.arange(len(boxes)), side // CELL)[::-1], axis=1)
    middles = corners + np.array([x, 0]) + CELL / 2
    places = np.hstack([middles - half, middles + half]).astype(np.float32)
    return SheetLayout(rows, side, x, corners, shown, places)


def cuts(boxes: NDArray[np.float32], size: tuple[int, int], side: int) -> tuple[list[Cut], NDArray[np.float64]]:
    """What cells of `side` show of a picture of `size` (columns, rows): each a box (N, 4) in its middle, FACE large.

    And by how much each zooms in, (N,).
    """
    middles = np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float64)
    zooms = FACE / np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1).astype(np.float64), 1.0)[:, None]
    firsts, lengths = _spans(middles, side / zooms, np.array(size))
    nearer = zooms >= 1
    shrunk = np.where(nearer, lengths, np.maximum(1, np.rint(lengths * zooms))).astype(int)
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, (0, 1), (0, 1)] = zooms * lengths / shrunk
    # OpenCV counts from the middle of the first pixel.
    matrices[:, :, 2] = side / 2 + (firsts - middles) * zooms + (zooms * lengths / shrunk - 1) / 2
    shown = [
        Cut(slice(y, y + high), slice(x, x + wide), None if whole else (columns, rows), matrix)
        for (x, y), (wide, high), (whole,), (columns, rows), matrix in zip(
            firsts.tolist(), lengths.tolist(), nearer.tolist(), shrunk.tolist(), matrices, strict=True
        )
    ]
    return shown, zooms[:, 0]


def _spans(centres: NDArray[np.float64], lengths: NDArray[np.float64], limits: Places) -> tuple[Places, Places]:
    """Where stretches begin, and how much of each lies within 0..limit, at least 1; a pixel more each way to blend."""
    firsts = np.minimum(np.maximum(0, np.floor(centres - lengths / 2) - 1), limits - 1).astype(int)
    lasts = np.minimum(limits, np.ceil(centres + lengths / 2) + 1).astype(int)
    return firsts, np.maximum(1, lasts - firsts)
