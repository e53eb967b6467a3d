"""Doubted finds side by side, painted for a closer look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.picture_facts import Crop
from shared.cells import Cut, SheetForm, SheetLayout
from shared.faces import Faces, FloatArray
from shared.wire import CropArray

#: Black memory for a crop of this shape.
Blank = Callable[[tuple[int, int, int]], CropArray]


@dataclass(frozen=True, slots=True)
class Sheets:
    """A row of sheets. boxes: (N, 4) float32, where the finds lie in that row, in its pixels and their order."""

    crops: list[Crop]
    boxes: FloatArray


def sheets_of(doubted: Faces, whole: Crop, form: SheetForm, blank: Blank) -> Sheets:
    """What is shown of one or more. whole: the picture as the first look saw it; what lies beyond it stays black."""
    rows, cols = whole.pixels.shape[:2]
    boxes = np.asarray(doubted.boxes * np.float32(whole.scale), np.float32)
    layouts = form.laid_out(boxes, (cols, rows), whole.side)
    crops = [
        Crop(_sheet(layout, whole.pixels, form.cell, blank), layout.side, 1.0, x=float(layout.x), tile=True, sheet=True)
        for layout in layouts
    ]
    return Sheets(crops, np.concatenate([layout.boxes for layout in layouts]))


def _sheet(layout: SheetLayout, whole: NDArray[np.uint8], side: int, blank: Blank) -> NDArray[np.uint8]:
    pixels = blank((layout.rows, layout.side, 3))
    for (x, y), cut in zip(layout.corners.tolist(), layout.cuts, strict=True):
        _paint(pixels[y : y + side, x : x + side], cut, whole)
    return pixels


def _paint(cell: NDArray[np.uint8], cut: Cut, whole: NDArray[np.uint8]) -> None:
    part, place = whole[cut.rows, cut.cols], cell[cut.down, cut.across]
    blended = cv2.INTER_LINEAR if cut.nearer else cv2.INTER_AREA
    cv2.resize(part, place.shape[1::-1], dst=place, interpolation=blended)
