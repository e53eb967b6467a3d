"""From SCRFD's raw heads to faces, index first: only anchors over the threshold are decoded.

Same numbers as the reference, in its order and its float32 arithmetic; ties in score keep anchor order.
Source: insightface model_zoo/scrfd.py `forward`, `detect`, `distance2bbox`, `distance2kps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces, FloatArray
from worker.anchors import STRIDES, Size, anchor_centres, anchor_count
from worker.nms import non_maximum_suppression


class Level(NamedTuple):
    """What one stride holds of one picture: N anchors ascending, scores (N,), distances (N, 4), offsets (N, 10)."""

    stride: int
    anchors: NDArray[np.intp]
    scores: FloatArray
    distances: FloatArray
    offsets: FloatArray | None


class AnyHeads(Protocol):
    """A network's answer for a batch of inputs of one size: whole (`Heads`) or the best of it (`ReducedHeads`)."""

    @property
    def size(self) -> Size: ...
    @property
    def landmarks(self) -> bool: ...
    def over(self, row: int, threshold: np.float32) -> Iterator[Level]:
        """The anchors of picture `row` scoring `threshold` or more, strides with none left out."""
        ...


@dataclass(frozen=True, slots=True)
class Heads:
    """The network's answer for a batch of inputs of one size, per stride 8, 16, 32.

    scores: 3 × (B, A, 1) float32 in 0..1. distances: 3 × (B, A, 4), l t r b in strides.
    offsets: 3 × (B, A, 10), five landmarks x y in strides, or None for a network without landmarks.
    """

    size: Size
    scores: tuple[FloatArray, ...]
    distances: tuple[FloatArray, ...]
    offsets: tuple[FloatArray, ...] | None

    def __post_init__(self) -> None:
        for stride, scores, distances in zip(STRIDES, self.scores, self.distances, strict=True):
            anchors = anchor_count(self.size, stride)
            assert scores.shape[1:] == (anchors, 1), scores.shape
            assert distances.shape[1:] == (anchors, 4), distances.shape

    @property
    def landmarks(self) -> bool:
        return self.offsets is not None

    def over(self, row: int, threshold: np.float32) -> Iterator[Level]:
        """The anchors of picture `row` scoring `threshold` or more, strides with none left out."""
        for place, stride in enumerate(STRIDES):
            scores = self.scores[place][row, :, 0]
            hits = np.flatnonzero(scores >= threshold)
            if hits.size:
                offsets = None if self.offsets is None else self.offsets[place][row, hits]
                yield Level(stride, hits, scores[hits], self.distances[place][row, hits], offsets)


@dataclass(frozen=True, slots=True)
class Question:
    """What one request asks of the heads. width, height: of the upright picture; max_faces 0: all."""

    confidence: float
    nms_threshold: float
    max_faces: int
    width: int
    height: int


def candidates(heads: AnyHeads, row: int, scale: float, confidence: float) -> Faces:
    """Every anchor of picture `row` scoring `confidence` or more, levels 8, 16, 32 in turn, unsorted.

    scale: input pixels per picture pixel. Returned in pixels of the upright picture, not clipped.
    """
    boxes: list[FloatArray] = []
    scores: list[FloatArray] = []
    landmarks: list[FloatArray] = []
    for level in heads.over(row, np.float32(confidence)):
        stride = np.float32(level.stride)
        centres = anchor_centres(heads.size, level.stride)[level.anchors]
        scores.append(level.scores)
        boxes.append(distance_to_box(centres, level.distances * stride))
        if level.offsets is not None:
            landmarks.append(offset_to_landmarks(centres, level.offsets * stride))
    if not scores:
        return Faces.none(landmarks=heads.landmarks)
    scaled = np.float32(scale)
    return Faces(
        np.concatenate(boxes) / scaled,
        np.concatenate(scores),
        np.concatenate(landmarks) / scaled if heads.landmarks else None,
    )


def distance_to_box(centres: FloatArray, distances: FloatArray) -> FloatArray:
    """(K, 4) x1 y1 x2 y2 from (K, 2) centres and (K, 4) l t r b, all float32 input pixels; not clipped."""
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)


def offset_to_landmarks(centres: FloatArray, offsets: FloatArray) -> FloatArray:
    """(K, 5, 2) x y from (K, 2) centres and (K, 10) offsets, all float32 input pixels."""
    landmarks: FloatArray = centres[:, None, :] + offsets.reshape(-1, 5, 2)
    return landmarks


def detect(per_scale: Sequence[tuple[AnyHeads, int, float]], question: Question) -> Faces:
    """The faces of one picture, best first (or by the reference's value where max_faces cuts).

    per_scale: (heads, row in their batch, scale) for each size the picture was looked at; their candidates
    meet in one suppression, in pixels of the upright picture.
    """
    found = [candidates(heads, row, scale, question.confidence) for heads, row, scale in per_scale]
    merged = found[0] if len(found) == 1 else _merge(found)
    if not len(merged):
        return merged
    best_first = _take(merged, np.argsort(-merged.scores, kind="stable"))
    kept = _take(best_first, non_maximum_suppression(best_first.boxes, question.nms_threshold))
    if 0 < question.max_faces < len(kept):
        return _take(kept, most_central(kept.boxes, question)[: question.max_faces])
    return kept


def most_central(boxes: FloatArray, question: Question) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Order of boxes by area − 2·(distance to the centre)², largest first: the reference's choice for max_faces.

    The centre is the integer one (side // 2) and areas are without +1, as there.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    off_x = (boxes[:, 0] + boxes[:, 2]) / np.float32(2) - np.float32(question.width // 2)
    off_y = (boxes[:, 1] + boxes[:, 3]) / np.float32(2) - np.float32(question.height // 2)
    values = areas - (off_x**2 + off_y**2) * np.float32(2)
    return np.argsort(-values, kind="stable")


def _merge(found: Sequence[Faces]) -> Faces:
    landmarks = [faces.landmarks for faces in found if faces.landmarks is not None]
    return Faces(
        np.concatenate([faces.boxes for faces in found]),
        np.concatenate([faces.scores for faces in found]),
        np.concatenate(landmarks) if len(landmarks) == len(found) else None,
    )


def _take(faces: Faces, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Faces:
    landmarks = None if faces.landmarks is None else faces.landmarks[order]
    return Faces(faces.boxes[order], faces.scores[order], landmarks)
