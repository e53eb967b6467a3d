"""Finds that the first look is not sure of: which they are, what is shown of them closer, and when both looks agree.

A face that scores less than was asked for is often a real one: small, in a mask, in the dark. Shown again at the size
that networks know best, faces score higher and what is none does not. All of a picture's are shown in one sheet. All
figures below are development figures: they were chosen on half of the everyday photographs, with the open model and
the official 500M.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.picture_facts import Crop
from shared.cells import CELL, SHEET_SIDE, Cut, cut
from shared.choice import CONTAINED, shares_inside
from shared.faces import Faces, FloatArray

#: In log odds, how far below the confidence asked for a find is doubted and not ignored: at 0.5 from 0.2 on.
DOUBTED = 1.39
#: The least that a worker is ever asked for: below it half the picture is a find.
LEAST = 0.01
#: In log odds, how far below it the mean of both looks may lie: at 0.5 it is 0.30, for two looks know more than one.
AGREED = 0.85
#: Overlap (IoU) from which on a find of the closer look is the doubted one.
SAME = 0.4


@dataclass(frozen=True, slots=True)
class Sheet:
    """Doubted finds side by side, each in the middle of a cell of its own. boxes: (N, 4) float32, where they lie in it,
    in its pixels, in the order of the finds.
    """

    crop: Crop
    boxes: FloatArray


def most_in(side: int) -> int:
    """So many are looked at closer where the plain look has this side, the likeliest: 16 in 640. Crowds have more."""
    return max(1, min(side, SHEET_SIDE) // CELL) ** 2


def sheet_side(finds: int) -> int:
    """Of the least sheet, in pixels: a multiple of CELL, and so of the network's strides."""
    return (math.isqrt(finds - 1) + 1) * CELL


def doubted_from(confidence: float) -> float:
    """The least score of a doubted find."""
    return max(LEAST, _likelihood(_log_odds(confidence) - DOUBTED))


def convincing_from(confidence: float) -> float:
    """The least score with which a closer look may convince of a find that scored just too little."""
    return max(LEAST, _likelihood(_log_odds(confidence) - 2 * AGREED))


def parted(faces: Faces, confidence: float, most: int) -> tuple[Faces, Faces]:
    """Those of at least the confidence, and of the others those to look at closer, at most so many. Best first."""
    sure = faces.scores >= np.float32(confidence)
    certain, rest = faces.taken(np.flatnonzero(sure)), np.flatnonzero(~sure)
    apart = (place for place in rest if not _lies_in(faces.boxes[place], certain.boxes))
    return certain, faces.taken(np.fromiter(islice(apart, most), np.intp))


def _lies_in(box: FloatArray, others: FloatArray) -> bool:
    """Whether it is hidden with another, which it shows a part of."""
    return bool((shares_inside(box, others) > CONTAINED).any())


def sheet_of(doubted: Faces, whole: Crop) -> Sheet:
    """What is shown of one or more. whole: the picture as the first look saw it; what lies beyond it stays black."""
    boxes = doubted.boxes * np.float32(whole.scale)
    cuts, zooms = zip(*(cut(box, whole.pixels.shape[1::-1], CELL) for box in boxes), strict=True)
    sizes = (boxes[:, 2:] - boxes[:, :2]) * np.float32(zooms)[:, None]
    side = sheet_side(len(boxes))
    corners = CELL * np.stack(np.divmod(np.arange(len(boxes)), side // CELL)[::-1], axis=1)
    pixels = np.zeros((side, side, 3), np.uint8)
    for (x, y), one in zip(corners, cuts, strict=True):
        pixels[y : y + CELL, x : x + CELL] = _painted(one, whole.pixels)
    shown = np.hstack([corners + (CELL - sizes) / 2, corners + (CELL + sizes) / 2])
    return Sheet(Crop(pixels, side, 1.0, tile=True, sheet=True), shown.astype(np.float32))


def agreed(doubted: Faces, places: FloatArray, closer: Faces, confidence: float) -> Faces:
    """Those that both looks together are sure enough of; their score says it of both.

    places: (N, 4) where the doubted lie in their sheet. closer: what was seen there, in any order.
    """
    scores = np.array(
        [
            _together(float(score), _best_of_the_same(box, closer))
            for box, score in zip(places, doubted.scores, strict=True)
        ],
        np.float32,
    )
    known = Faces(doubted.boxes, scores, doubted.landmarks)
    return known.taken(np.flatnonzero(scores >= np.float32(confidence)))


def _painted(cut: Cut, whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    part = whole[cut.rows, cut.cols]
    if cut.shrunk:
        part = np.asarray(cv2.resize(part, cut.shrunk, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.warpAffine(part, cut.matrix, (CELL, CELL)), np.uint8)


def _best_of_the_same(box: FloatArray, faces: Faces) -> float:
    """The best score of a face that overlaps the box by SAME; 0 where there is none."""
    low, high = np.maximum(box[:2], faces.boxes[:, :2]), np.minimum(box[2:], faces.boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas: NDArray[np.float32] = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return float(faces.scores[shared >= SAME * (areas - shared)].max(initial=0.0))


def _together(first: float, closer: float) -> float:
    """What both say, as one score: the mean of their log odds, and AGREED more; 0 where the closer look saw nothing."""
    return _likelihood((_log_odds(first) + _log_odds(closer)) / 2 + AGREED) if closer else 0.0


def _log_odds(likelihood: float) -> float:
    sane = min(max(likelihood, 1e-6), 1 - 1e-6)
    return math.log(sane / (1 - sane))


def _likelihood(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
