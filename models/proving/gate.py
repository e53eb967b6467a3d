"""Whether int8 is good enough to serve, and what is compared to know it. The one place with the gate's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from models.proving.proof import ServingNetwork
from models.proving.reference import Pixels, candidates, fitted, kept, letterbox
from models.served.trim import Trimming, part_of
from shared.faces import FloatArray

#: The gate. Faces are those at the API's default confidence; box drift may pass by either measure.
CONFIDENCE, NMS_THRESHOLD = 0.5, 0.4
CHANGED_FACES_MAX = 0.02
SCORE_DRIFT_MAX = 0.08
BOX_DRIFT_PX_MAX = 2.0
BOX_DRIFT_SHARE_MAX = 0.03
#: Fewer faces than this say nothing about two in a hundred.
FACES_MIN = 100
#: Less gain is not worth any drift.
SPEED_RATIO_MIN = 1.15

#: Two boxes with at least this overlap are the same face.
_SAME_FACE = 0.4
#: How low a face may score in int8 and still be the partner of one that fp32 finds.
PARTNER_CONFIDENCE = 0.05


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """int8 against fp32 on pictures that took no part in calibration.

    faces: found by fp32. lost: of those, not found by int8. gained: found by int8 alone. The drifts are 95th
    percentiles over the faces of fp32: of the score, of the farthest side of the box in pixels of the network's
    input, and of the same as a share of the face's size (square root of its area).
    """

    pictures: int
    faces: int
    lost: int
    gained: int
    score_drift: float
    box_drift_px: float
    box_drift_share: float


def shortcomings(found: Accuracy) -> list[str]:
    """Why the accuracy does not pass, in words; empty when it passes."""
    words = []
    if found.faces < FACES_MIN:
        words.append(f"judged on {found.faces} faces only, {FACES_MIN} are needed")
    if found.lost + found.gained > CHANGED_FACES_MAX * found.faces:
        words.append(f"{found.lost} lost and {found.gained} gained of {found.faces} faces are over 2 %")
    if not found.score_drift <= SCORE_DRIFT_MAX:
        words.append(f"score drift {found.score_drift:.3f} is over {SCORE_DRIFT_MAX}")
    if not (found.box_drift_px <= BOX_DRIFT_PX_MAX or found.box_drift_share <= BOX_DRIFT_SHARE_MAX):
        words.append(f"box drift {found.box_drift_px:.2f} px and {found.box_drift_share:.1%} is over 2 px and 3 %")
    return words


def too_slow(speed_ratio: float) -> str:
    """Why the speed does not pass, in words; empty when it passes."""
    if speed_ratio >= SPEED_RATIO_MIN:
        return ""
    return f"{speed_ratio:.2f} times as fast as fp32 on this machine, {SPEED_RATIO_MIN} is needed"


@dataclass
class Tally:
    """Sums over pictures; `add_picture` adds to them."""

    pictures: int = 0
    faces: int = 0
    lost: int = 0
    gained: int = 0
    scores: list[float] = field(default_factory=list)
    pixels: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def accuracy(self) -> Accuracy:
        return Accuracy(
            pictures=self.pictures,
            faces=self.faces,
            lost=self.lost,
            gained=self.gained,
            score_drift=_p95(self.scores),
            box_drift_px=_p95(self.pixels),
            box_drift_share=_p95(self.shares),
        )


def compare(
    exact: ServingNetwork,
    rounded: ServingNetwork,
    pictures: Iterable[Pixels],
    side: int,
    trimming: Trimming | None,
) -> Accuracy:
    """Runs both on every picture, (height, width, 3) uint8 BGR, letterboxed to side×side.

    trimming: of what the rounded one sees, as a worker shows it.
    """
    tally = Tally()
    for picture in pictures:
        canvas, _ = letterbox(picture, side)
        height, width = part_of(*fitted(picture, side), side, trimming)
        seen = np.ascontiguousarray(canvas[:height, :width])
        add_picture(tally, faces(exact, canvas, CONFIDENCE), faces(rounded, seen, PARTNER_CONFIDENCE))
    return tally.accuracy()


def add_picture(tally: Tally, exact: FloatArray, rounded: FloatArray) -> None:
    """exact: packed faces of fp32 at CONFIDENCE; rounded: of int8, weaker ones included."""
    strong = rounded[rounded[:, 4] >= np.float32(CONFIDENCE)]
    tally.pictures += 1
    tally.faces += len(exact)
    tally.lost += _without_partner(exact, strong)
    tally.gained += _without_partner(strong, exact)
    for face, partner in _partners(exact, rounded):
        drift = float(np.abs(face[:4] - partner[:4]).max())
        tally.scores.append(abs(float(face[4] - partner[4])))
        tally.pixels.append(drift)
        tally.shares.append(drift / max(1.0, float(np.sqrt((face[2] - face[0]) * (face[3] - face[1])))))


def _partners(exact: FloatArray, rounded: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    if len(exact) and len(rounded):
        overlaps = overlap(exact, rounded)
        for index, best in enumerate(overlaps.argmax(axis=1)):
            if overlaps[index, best] >= _SAME_FACE:
                yield exact[index], rounded[best]


def _without_partner(faces: FloatArray, others: FloatArray) -> int:
    if not len(faces) or not len(others):
        return len(faces)
    return int((overlap(faces, others).max(axis=1) < _SAME_FACE).sum())


def overlap(first: FloatArray, second: FloatArray) -> FloatArray:
    """(N, M) intersection over union of packed faces."""
    a, b = first[:, None, :], second[None, :, :]
    wide = np.clip(np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0]), 0, None)
    high = np.clip(np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1]), 0, None)
    areas = [(rows[..., 2] - rows[..., 0]) * (rows[..., 3] - rows[..., 1]) for rows in (a, b)]
    shared: FloatArray = wide * high / (areas[0] + areas[1] - wide * high)
    return shared


def faces(network: ServingNetwork, canvas: Pixels, confidence: float) -> FloatArray:
    """Packed faces in pixels of the input, best first."""
    height, width = network.answered(canvas)
    rows = candidates(network.heads(canvas[None])[0], height, width, confidence, 1.0)
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return rows[list(kept(rows, NMS_THRESHOLD))]


def _p95(values: list[float]) -> float:
    return round(float(np.percentile(values, 95)), 5) if values else 0.0
