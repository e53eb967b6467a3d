"""What the untouched export finds on the canary picture, at a threshold where its answer is beyond doubt."""

from __future__ import annotations

import numpy as np

from models.proving.reference import Pixels, Reference
from shared.faces import Faces, FloatArray
from shared.messages import Canary

NMS_THRESHOLD = 0.4
#: Other NMS thresholds at which the faces must be the same: no overlap is near the one asked with.
_NMS_AROUND = (0.35, 0.45)
#: Thresholds looked at; a score of 0.05 is noise to any SCRFD.
_THRESHOLDS = tuple(round(0.05 + 0.01 * step, 2) for step in range(91))
FACES_MAX = 8
#: No score may be this near to the threshold.
MARGIN = 0.02
#: Where nothing is found beyond doubt the canary says only that nothing is found here.
_NOTHING_CONFIDENCE = 0.99

#: How far a precision may stray from the export on the canary: (pixels of the canary picture, score).
#: Measured in int8, worst of three models: 0.8 px, and 0.144 on the smallest drawn face, which scores 0.57.
TOLERANCES = {"fp32": (1.0, 0.01), "fp16": (2.0, 0.03), "int8": (4.0, 0.2)}
#: More distance from the threshold than this is no better: no precision may stray farther.
_MARGIN_ENOUGH = max(score for _, score in TOLERANCES.values())


def expectation(original: Reference, picture: Pixels, side: int, precision: str) -> Canary:
    """What a model served at `side`×`side` in this precision must find on the canary picture."""
    found = [original.detect(picture, side, _THRESHOLDS[0], nms) for nms in (NMS_THRESHOLD, *_NMS_AROUND)]
    confidence = clearest_threshold([faces.scores for faces in found])
    faces = _over(found[0], confidence)
    box_tolerance, score_tolerance = TOLERANCES[precision]
    rows = [[float(value) for value in row] for row in faces.packed()]
    return Canary(confidence, NMS_THRESHOLD, rows, box_tolerance, score_tolerance)


def clearest_threshold(scores: list[FloatArray]) -> float:
    """The threshold with one to eight faces, farthest from any score, and then with the most faces.

    scores: of the faces kept at the NMS threshold asked with, then at those around it.
    """
    best = (0.0, 0, _NOTHING_CONFIDENCE)
    for threshold in _THRESHOLDS:
        counts = {int((kept >= threshold).sum()) for kept in scores}
        count = min(counts)
        margin = min(float(np.abs(kept - threshold).min(initial=1.0)) for kept in scores)
        if len(counts) == 1 and 1 <= count <= FACES_MAX and margin >= MARGIN:
            best = max(best, (min(margin, _MARGIN_ENOUGH), count, threshold))
    return best[2]


def _over(faces: Faces, confidence: float) -> Faces:
    return Faces.unpacked(faces.packed()[faces.scores >= np.float32(confidence)])
