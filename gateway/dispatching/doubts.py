"""Finds that the first look is not sure of: which they are, what is shown of them closer, and when both looks agree.

A face that scores less than was asked for is often a real one: small, in a mask, in the dark. Shown again at the size
that networks know best, faces score higher and what is none does not. All figures below are development figures: they
were chosen on half of the everyday photographs, with the open model and the official 500M.
"""

from __future__ import annotations

import math
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.picture_facts import Crop
from shared.choice import CLOSER_SIDE, CONTAINED, shares_inside
from shared.faces import Faces, FloatArray

#: In log odds, how far below the confidence asked for a find is doubted and not ignored: at 0.5 from 0.2 on.
DOUBTED = 1.39
#: The least that a worker is ever asked for: below it half the picture is a find.
LEAST = 0.01
#: In log odds, how far below it the mean of both looks may lie: at 0.5 it is 0.35, for two looks know more than one.
AGREED = 0.62
#: Pixels of a doubted find's longer side in its closer look of CLOSER_SIDE. 64 in 320 finds as many.
FACE = 48
#: So many are looked at, the likeliest: as many pixels as one plain look at 640. Only crowds have more.
MOST = 16
#: Overlap (IoU) from which on a find of the closer look is the doubted one.
SAME = 0.4


def doubted_from(confidence: float) -> float:
    """The least score of a doubted find."""
    return max(LEAST, _likelihood(_log_odds(confidence) - DOUBTED))


def convincing_from(confidence: float) -> float:
    """The least score with which a closer look may convince of a find that scored just too little."""
    return max(LEAST, _likelihood(_log_odds(confidence) - 2 * AGREED))


def parted(faces: Faces, confidence: float) -> tuple[Faces, Faces]:
    """Those of at least the confidence, and of the others those to look at closer. faces: best first."""
    sure = faces.scores >= np.float32(confidence)
    certain, rest = faces.taken(np.flatnonzero(sure)), np.flatnonzero(~sure)
    apart = (place for place in rest if not _lies_in(faces.boxes[place], certain.boxes))
    return certain, faces.taken(np.fromiter(islice(apart, MOST), np.intp))


def _lies_in(box: FloatArray, others: FloatArray) -> bool:
    """Whether it is hidden with another, which it shows a part of."""
    return bool((shares_inside(box, others) > CONTAINED).any())


def closer_crops(doubted: Faces, whole: Crop) -> list[Crop]:
    """What is shown of each: FACE pixels large, with its surroundings. whole: the picture as the first look saw it."""
    return [_closer(box, whole) for box in doubted.boxes * np.float32(whole.scale)]


def agreed(doubted: Faces, closer: Faces, confidence: float) -> Faces:
    """Those that both looks together are sure enough of; their score says it of both. closer: in any order."""
    scores = np.array(
        [
            _together(float(score), _best_of_the_same(box, closer))
            for box, score in zip(doubted.boxes, doubted.scores, strict=True)
        ],
        np.float32,
    )
    known = Faces(doubted.boxes, scores, doubted.landmarks)
    return known.taken(np.flatnonzero(scores >= np.float32(confidence)))


def _closer(box: FloatArray, whole: Crop) -> Crop:
    """box: (4,) in pixels of `whole`, which may lie outside it in part."""
    rows, cols, _ = whole.pixels.shape
    zoom = FACE / max(1.0, float(box[2] - box[0]), float(box[3] - box[1]))
    x, wide = _span(float(box[0] + box[2]) / 2, CLOSER_SIDE / zoom, cols)
    y, high = _span(float(box[1] + box[3]) / 2, CLOSER_SIDE / zoom, rows)
    size = min(CLOSER_SIDE, max(1, round(wide * zoom))), min(CLOSER_SIDE, max(1, round(high * zoom)))
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(whole.pixels[y : y + high, x : x + wide], size, interpolation=how)
    place = whole.x + x / whole.scale, whole.y + y / whole.scale
    return Crop(np.ascontiguousarray(pixels, np.uint8), CLOSER_SIDE, whole.scale * zoom, *place, tile=True)


def _span(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Where a stretch of this length around the centre begins, and how much of it lies within 0..limit; at least 1."""
    first = min(max(0, round(centre - length / 2)), limit - 1)
    return first, max(1, min(limit - first, round(length)))


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
