"""Which of the faces found are the answer, for detect and mask alike, so that both mean the same by an index. Pure."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.boxes import Box, Boxes
from gateway.params import Order
from shared.choice import limited
from shared.faces import Faces, FloatArray

#: A box that is drawn around a face as detect answers it holds that face: answers are rounded to tenths of a pixel.
_ROUNDED = 0.5


class FaceChoice(msgspec.Struct, frozen=True):
    """max_faces: 0 is all. min_size: pixels of the longer side. ignore: boxes whose faces are left out."""

    max_faces: int = 0
    order: Order = "central"
    min_size: int = 0
    ignore: Boxes = ()

    @property
    def plain(self) -> bool:
        """Whether this is the reference's choice, which is made where the faces are found."""
        return self.order == "central" and not (self.min_size or self.ignore)


def chosen(faces: Faces, choice: FaceChoice, width: int, height: int) -> Faces:
    """Of faces best first those that are wanted, in the order that is wanted. width, height: of the upright picture."""
    wanted = faces.taken(np.flatnonzero(_sides(faces.boxes) >= choice.min_size))
    for box in choice.ignore:
        wanted = wanted.taken(np.flatnonzero(~_inside(wanted.boxes, box)))
    if choice.order == "central":
        return limited(wanted, choice.max_faces, width, height)
    if choice.order == "size":
        wanted = wanted.taken(np.argsort(-_areas(wanted.boxes), kind="stable"))
    return wanted.taken(np.arange(len(wanted))[: choice.max_faces or None])


def _sides(boxes: FloatArray) -> FloatArray:
    """(N,): the longer side of each, so that a face is left out only when both are short."""
    sides: FloatArray = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return sides


def _areas(boxes: FloatArray) -> FloatArray:
    areas: FloatArray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _inside(boxes: FloatArray, box: Box) -> NDArray[np.bool_]:
    """(N,): which of them lie in the box wholly."""
    low, high = np.array(box[:2]) - _ROUNDED, np.array(box[2:]) + _ROUNDED
    return np.logical_and((boxes[:, :2] >= low).all(axis=1), (boxes[:, 2:] <= high).all(axis=1))
