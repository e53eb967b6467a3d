"""Finds that the first look is not sure of: which they are, and what both looks say together. Pure.

A face that scores less than was asked for is often a real one: small, in a mask, in the dark. Shown again at the size
that networks know best (`cells.py`), faces score higher and what is none does not. Gateways go by these rules, and who
judges a model as it is served. All figures are in log odds and development figures: they were chosen on half of the
everyday photographs, with the open model and the official 500M.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
#: Input pixels of a find's longer side up to which the first look hardly tells what it is.
SMALL = 24
#: Faint finds of a picture that are looked at closer at most: of those beyond, one in twenty-five is a face.
FAINT_MOST = 8
#: Overlap (IoU) from which on a find of the closer look is the doubted one.
SAME = 0.4
#: Finds that are compared with what is known at once.
_PART = 64
#: Places of no face.
_NOBODY = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a closer look decides. below: how far below the confidence asked for a find is doubted and not ignored.
    above: how far above it one is doubted, too, and may be denied. short: so far below the confidence the mean of both
    looks may lie, for two looks know more than one. faint: how far below a SMALL find is doubted all the same, of which
    the mean must lie by `surplus` above the confidence; 0: none is.
    """

    below: float
    above: float
    short: float
    faint: float = 0.0
    surplus: float = 0.0


#: To cover: at 0.5 finds from 0.20 on are doubted, a mean of 0.30 is enough, and nothing that was sure is taken away.
COVERING = Rule(below=1.39, above=0.0, short=0.85)
#: The same with a closer network. It tells small faces that a first look hardly sees: from 0.05 on, by a mean of 0.57.
COVERING_FAINT = replace(COVERING, faint=2.94, surplus=0.3)
#: To tell faces from what is none: at 0.5 finds from 0.22 to 0.90 are doubted, and a mean of 0.475 is enough.
TELLING = Rule(below=1.25, above=2.2, short=0.1)


def doubted_from(confidence: float, rule: Rule) -> float:
    """The least score of a doubted find, however small."""
    return _score_below(confidence, max(rule.below, rule.faint))


def convincing_from(confidence: float, rule: Rule) -> float:
    """The least score with which a closer look may convince of a doubted find."""
    return max(LEAST, _likelihood(_log_odds(confidence) - 2 * rule.short - rule.above))


def parted(faces: Faces, confidence: float, most: int, rule: Rule, scale: float) -> tuple[Faces, Faces]:
    """Those that are faces without a closer look, and those to look at closer, at most so many. Best first.

    First of those that score too little the likeliest, then of the others the least likely, then a few faint
    ones. scale: input pixels a pixel of the boxes.
    """
    sure, likely = _count_from(confidence, faces), _count_from(_score_below(confidence, rule.below), faces)
    known = faces.first(sure)
    below = _apart(faces, known, np.arange(sure, likely), most)
    deniable = np.flatnonzero(_deniable(known, confidence, rule, scale)) if rule.above else _NOBODY
    asked = deniable[max(0, len(deniable) - (most - len(below))) :]
    small = _small(faces, likely, scale) if rule.faint else _NOBODY
    faint = _apart(faces, known, small, min(FAINT_MOST, most - len(below) - len(asked)))
    stay = known if not len(asked) else known.taken(np.delete(np.arange(sure), asked))
    return stay, faces.taken(np.concatenate([asked, below, faint]))


def _deniable(known: Faces, confidence: float, rule: Rule, scale: float) -> NDArray[np.bool_]:
    """(N,) which faces are neither sure enough nor large enough to stay whatever a closer look says."""
    beyond = _likelihood(_log_odds(confidence) + rule.above)
    return (known.scores < np.float32(beyond)) & (_longer(known.boxes, scale) <= LARGEST_DENIED)


def _small(faces: Faces, first: int, scale: float) -> NDArray[np.intp]:
    """(N,) places, from the first on, of finds that are SMALL."""
    return first + np.flatnonzero(_longer(faces.boxes[first:], scale) <= SMALL)


def _longer(boxes: FloatArray, scale: float) -> FloatArray:
    """(N,) input pixels of the boxes' longer sides."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0) * np.float32(scale), np.float32)


def _apart(faces: Faces, known: Faces, places: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """(N,) of the places, at most so many, those not hidden with one of the known, which they show a part of."""
    found, left = [_NOBODY], most
    for first in range(0, len(places), _PART):  # in parts, since there may be thousands of either
        if left <= 0:
            break
        part = places[first : first + _PART]
        apart = part[(shares_inside(faces.boxes[part], known.boxes) <= CONTAINED).all(axis=1)][:left]
        found.append(apart)
        left -= len(apart)
    return np.concatenate(found)


def agreed(doubted: Faces, places: FloatArray, closer: Faces, confidence: float, rule: Rule) -> Faces:
    """Those that both looks together are sure enough of; their score says it of both.

    places: (N, 4) where the doubted lie in their sheet. closer: what was seen there, in any order.
    """
    faint = doubted.scores < np.float32(_score_below(confidence, rule.below))
    short = np.where(faint, -rule.surplus, rule.short)
    scores = _together(doubted.scores, _best_of_the_same(places, closer), short).astype(np.float32)
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


def _together(first: FloatArray, closer: FloatArray, short: NDArray[np.float64]) -> NDArray[np.float64]:
    """What both say, as one score: the mean of their log odds, and so much more; 0 if the closer one saw none."""
    sane = np.clip(np.stack([first, closer]).astype(np.float64), 1e-6, 1 - 1e-6)
    mean = np.log(sane / (1 - sane)).mean(axis=0)
    return np.where(closer > 0, 1 / (1 + np.exp(-mean - short)), 0.0)


def _count_from(score: float, faces: Faces) -> int:
    return int(np.count_nonzero(faces.scores >= np.float32(score)))


def _score_below(confidence: float, below: float) -> float:
    return max(LEAST, _likelihood(_log_odds(confidence) - below))


def _log_odds(likelihood: float) -> float:
    sane = min(max(likelihood, 1e-6), 1 - 1e-6)
    return math.log(sane / (1 - sane))


def _likelihood(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
