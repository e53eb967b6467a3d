"""Which of many candidates are the answer: suppression, doubles of several looks, and the choice where max_faces cuts.

Both sides choose: a worker among the candidates of one request, the gateway among the faces of several.
Source of the plain way: insightface model_zoo/scrfd.py `detect`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces, FloatArray
from shared.nms import non_maximum_suppression

#: A box that lies so much inside a better one is the same face, seen in part: at a tile's edge, or turned.
CONTAINED = 0.7


def suppressed(candidates: Faces, nms_threshold: float) -> Faces:
    """Best first, without those that overlap a better one by an IoU over `nms_threshold`."""
    if not len(candidates):
        return candidates
    best_first = candidates.taken(np.argsort(-candidates.scores, kind="stable"))
    return best_first.taken(non_maximum_suppression(best_first.boxes, nms_threshold))


def without_contained(best_first: Faces) -> Faces:
    """Without boxes of which more than CONTAINED lies inside a better one that stays."""
    if len(best_first) < 2:
        return best_first
    boxes, keep = best_first.boxes, np.ones(len(best_first), dtype=bool)
    for index in range(1, len(best_first)):
        keep[index] = not (shares_inside(boxes[index], boxes[:index][keep[:index]]) > CONTAINED).any()
    return best_first.taken(np.flatnonzero(keep))


def limited(best_first: Faces, max_faces: int, width: int, height: int) -> Faces:
    """All, or `max_faces` of them by the reference's value; 0 is all. width, height: of the upright picture."""
    if not 0 < max_faces < len(best_first):
        return best_first
    return best_first.taken(most_central(best_first.boxes, width, height)[:max_faces])


def most_central(boxes: FloatArray, width: int, height: int) -> NDArray[np.intp]:
    """Order of boxes by area − 2·(distance to the centre)², largest first: the reference's choice for max_faces.

    The centre is the integer one (side // 2) and areas are without +1, as there.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    off_x = (boxes[:, 0] + boxes[:, 2]) / np.float32(2) - np.float32(width // 2)
    off_y = (boxes[:, 1] + boxes[:, 3]) / np.float32(2) - np.float32(height // 2)
    values = areas - (off_x**2 + off_y**2) * np.float32(2)
    return np.argsort(-values, kind="stable")


def shares_inside(box: FloatArray, others: FloatArray) -> FloatArray:
    """(…, N): which share of a box (…, 4) lies inside each of the others (N, 4)."""
    low = np.maximum(box[..., None, :2], others[:, :2])
    high = np.minimum(box[..., None, 2:], others[:, 2:])
    area = area_of(np.clip(box[..., 2:] - box[..., :2], 1e-6, None))
    shares: FloatArray = area_of(np.clip(high - low, 0, None)) / area[..., None]
    return shares


def area_of(sides: FloatArray) -> FloatArray:
    """(…): the product of both sides (…, 2); numpy's own, over so short an axis, takes several times as long."""
    area: FloatArray = sides[..., 0] * sides[..., 1]
    return area
