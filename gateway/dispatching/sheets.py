"""Doubted finds side by side, painted for a closer look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.picture_facts import Crop
from shared.cells import CELL, Cut, SheetLayout, laid_out, most_in
from shared.faces import Faces, FloatArray
from shared.wire import CropArray

#: Black memory for a crop of this shape.
Blank = Callable[[tuple[int, int, int]], CropArray]


@dataclass(frozen=True, slots=True)
class Sheets:
    """A row of sheets. boxes: (N, 4) float32, where the finds lie in that row, in its pixels and their order."""

    crops: list[Crop]
    boxes: FloatArray


def sheets_of(doubted: Faces, whole: Crop, blank: Blank) -> Sheets:
    """What is shown of one or more. whole: the picture as the first look saw it; what lies beyond it stays black."""
    rows, cols = whole.pixels.shape[:2]
    boxes = np.asarray(doubted.boxes * np.float32(whole.scale), np.float32)
    layouts = laid_out(boxes, (cols, rows), most_in(whole.side))
    crops = [
        Crop(_sheet(layout, whole.pixels, blank), layout.side, 1.0, x=float(layout.x), tile=True, sheet=True)
        for layout in layouts
    ]
    return Sheets(crops, np.concatenate([layout.boxes for layout in layouts]))


def _sheet(layout: SheetLayout, whole: NDArray[np.uint8], blank: Blank) -> NDArray[np.uint8]:
    pixels = blank((layout.rows, layout.side, 3))
    for (x, y), cut in zip(layout.corners.tolist(), layout.cuts, strict=True):
        _paint(pixels[y : y + CELL, x : x + CELL], cut, whole)
    return pixels


def _paint(cell: NDArray[np.uint8], cut: Cut, whole: NDArray[np.uint8]) -> None:
    part = whole[cut.rows, cut.cols]
    if cut.shrunk:
        part = np.asarray(cv2.resize(part, cut.shrunk, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.warpAffine(part, cut.matrix, (CELL, CELL), dst=cell)
