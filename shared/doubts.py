"""Finds that the first look is not sure of: which they are, and what both looks say together. Pure.

A face that scores less than was asked for is often a real one: small, in a mask, in the dark. Shown again at the size
that networks know best (`cells.py`), faces score higher and what is none does not. Gateways go by these rules, and who
judges a model as it is served. All figures are in log odds and development figures: they were chosen on half of the
everyday photographs, with the open model and the official 500M.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.cells import FACE
from shared.choice import CONTAINED, area_of, shares_inside
from shared.faces import Faces, FloatArray

#: The least that a worker is ever asked for: below it half the picture is a find.
LEAST = 0.01
#: Input pixels of a find's longer side up to which it may be denied. Of a larger one, which its cell shows smaller, the
#: first look saw more. A closer look may convince of it all the same.
LARGEST_DENIED = 1.6 * FACE
#: Overlap (IoU) from which on a find of the closer look is the doubted one.
SAME = 0.4
#: Places of no face.
_NOBODY = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a closer look decides. below: how far below the confidence asked for a find is doubted and not ignored.
    above: how far above it one is doubted, too, and may be denied. short: so far below the confidence the mean of both
    looks may lie, for two looks know more than one.
    """

    below: float
    above: float
    short: float


#: To cover: at 0.5 finds from 0.20 on are doubted, a mean of 0.30 is enough, and nothing that was sure is taken away.
COVERING = Rule(below=1.39, above=0.0, short=0.85)
#: To tell faces from what is none: at 0.5 finds from 0.22 to 0.90 are doubted, and a mean of 0.475 is enough.
TELLING = Rule(below=1.25, above=2.2, short=0.1)


def doubted_from(confidence: float, rule: Rule) -> float:
    """The least score of a doubted find."""
    return max(LEAST, _likelihood(_log_odds(confidence) - rule.below))


def convincing_from(confidence: float, rule: Rule) -> float:
    """The least score with which a closer look may convince of a doubted find."""
    return max(LEAST, _likelihood(_log_odds(confidence) - 2 * rule.short - rule.above))


def parted(faces: Faces, confidence: float, most: int, rule: Rule, scale: float) -> tuple[Faces, Faces]:
    """Those that are faces without a closer look, and those to look at closer, at most so many. Best first.

    First of those that score too little the likeliest, then of the others the least likely. scale: input pixels a pixel
    of the boxes.
    """
    sure = int(np.count_nonzero(faces.scores >= np.float32(confidence)))
    known = faces.first(sure)
    below = _apart(faces, known, most)
    deniable = np.flatnonzero(_deniable(known, confidence, rule, scale)) if rule.above else _NOBODY
    asked = deniable[max(0, len(deniable) - (most - len(below))) :]
    stay = known if not len(asked) else known.taken(np.delete(np.arange(sure), asked))
    return stay, faces.taken(np.concatenate([asked, below]))


def _deniable(known: Faces, confidence: float, rule: Rule, scale: float) -> NDArray[np.bool_]:
    """(N,) which faces are neither sure enough nor large enough to stay whatever a closer look says."""
    beyond = _likelihood(_log_odds(confidence) + rule.above)
    longer = (known.boxes[:, 2:] - known.boxes[:, :2]).max(axis=1, initial=0.0) * np.float32(scale)
    return np.asarray((known.scores < np.float32(beyond)) & (longer <= LARGEST_DENIED))


def _apart(faces: Faces, known: Faces, most: int) -> NDArray[np.intp]:
    """(N,) places of those behind the known ones that are not hidden with one of these, which they show a part of."""
    found: list[NDArray[np.intp]] = []
    left, first = most, len(known)
    while left > 0 and first < len(faces):  # in parts, since there may be thousands of either
        part = faces.boxes[first : first + most]
        apart = first + np.flatnonzero((shares_inside(part, known.boxes) <= CONTAINED).all(axis=1))[:left]
        found.append(apart)
        left, first = left - len(apart), first + most
    return np.concatenate([_NOBODY, *found])


def agreed(doubted: Faces, places: FloatArray, closer: Faces, confidence: float, rule: Rule) -> Faces:
    """Those that both looks together are sure enough of; their score says it of both.

    places: (N, 4) where the doubted lie in their sheet. closer: what was seen there, in any order.
    """
    scores = _together(doubted.scores, _best_of_the_same(places, closer), rule).astype(np.float32)
    known = Faces(doubted.boxes, scores, doubted.landmarks)
    return known.taken(np.flatnonzero(scores >= np.float32(confidence)))


def _best_of_the_same(boxes: FloatArray, faces: Faces) -> FloatArray:
    """(N,) the best score of a face that overlaps each box (N, 4) by SAME; 0 where there is none."""
    own = boxes[:, None]
    low, high = np.maximum(own[..., :2], faces.boxes[:, :2]), np.minimum(own[..., 2:], faces.boxes[:, 2:])
    shared = area_of(np.clip(high - low, 0, None))
    areas = area_of(faces.boxes[:, 2:] - faces.boxes[:, :2]) + area_of(own[..., 2:] - own[..., :2])
    same = np.where(shared >= SAME * (areas - shared), faces.scores, np.float32(0))
    return np.asarray(same.max(axis=1, initial=0.0), np.float32)


def _together(first: FloatArray, closer: FloatArray, rule: Rule) -> NDArray[np.float64]:
    """What both say, as one score: the mean of their log odds, and the rule's more; 0 if the closer one saw none."""
    sane = np.clip(np.stack([first, closer]).astype(np.float64), 1e-6, 1 - 1e-6)
    mean = np.log(sane / (1 - sane)).mean(axis=0)
    return np.where(closer > 0, 1 / (1 + np.exp(-mean - rule.short)), 0.0)


def _log_odds(likelihood: float) -> float:
    sane = min(max(likelihood, 1e-6), 1 - 1e-6)
    return math.log(sane / (1 - sane))


def _likelihood(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
