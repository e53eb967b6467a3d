"""From SCRFD's raw heads to faces, index first: only anchors over the threshold are decoded.

Same numbers as the reference, in its order and its float32 arithmetic; ties in score keep anchor order.
Source: insightface model_zoo/scrfd.py `forward`, `detect`, `distance2bbox`, `distance2kps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.faces import Faces, FloatArray
from worker.anchors import STRIDES, anchor_centres, anchor_count
from worker.nms import non_maximum_suppression


@dataclass(frozen=True, slots=True)
class Heads:
    """The network's answer for a batch of square inputs, per stride 8, 16, 32.

    scores: 3 × (B, A, 1) float32 in 0..1. distances: 3 × (B, A, 4), l t r b in strides.
    offsets: 3 × (B, A, 10), five landmarks x y in strides, or None for a network without landmarks.
    """

    side: int
    scores: tuple[FloatArray, ...]
    distances: tuple[FloatArray, ...]
    offsets: tuple[FloatArray, ...] | None

    def __post_init__(self) -> None:
        for stride, scores, distances in zip(STRIDES, self.scores, self.distances, strict=True):
            anchors = anchor_count(self.side, stride)
            assert scores.shape[1:] == (anchors, 1), scores.shape
            assert distances.shape[1:] == (anchors, 4), distances.shape


@dataclass(frozen=True, slots=True)
class Question:
    """What one request asks of the heads. width, height: of the upright picture; max_faces 0: all."""

    confidence: float
    nms_threshold: float
    max_faces: int
    width: int
    height: int


def candidates(heads: Heads, row: int, scale: float, confidence: float) -> Faces:
    """Every anchor of picture `row` scoring `confidence` or more, levels 8, 16, 32 in turn, unsorted.

    scale: input pixels per picture pixel. Returned in pixels of the upright picture, not clipped.
    """
    threshold = np.float32(confidence)
    boxes: list[FloatArray] = []
    scores: list[FloatArray] = []
    landmarks: list[FloatArray] = []
    for level, stride in enumerate(STRIDES):
        level_scores = heads.scores[level][row, :, 0]
        hits = np.flatnonzero(level_scores >= threshold)
        if not hits.size:
            continue
        centres = anchor_centres(heads.side, stride)[hits]
        scores.append(level_scores[hits])
        boxes.append(distance_to_box(centres, heads.distances[level][row, hits] * np.float32(stride)))
        if heads.offsets is not None:
            offsets = heads.offsets[level][row, hits] * np.float32(stride)
            landmarks.append(offset_to_landmarks(centres, offsets))
    if not scores:
        return Faces.none(landmarks=heads.offsets is not None)
    scaled = np.float32(scale)
    return Faces(
        np.concatenate(boxes) / scaled,
        np.concatenate(scores),
        np.concatenate(landmarks) / scaled if heads.offsets is not None else None,
    )


def distance_to_box(centres: FloatArray, distances: FloatArray) -> FloatArray:
    """(K, 4) x1 y1 x2 y2 from (K, 2) centres and (K, 4) l t r b, all float32 input pixels; not clipped."""
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)


def offset_to_landmarks(centres: FloatArray, offsets: FloatArray) -> FloatArray:
    """(K, 5, 2) x y from (K, 2) centres and (K, 10) offsets, all float32 input pixels."""
    landmarks: FloatArray = centres[:, None, :] + offsets.reshape(-1, 5, 2)
    return landmarks


def detect(per_scale: Sequence[tuple[Heads, int, float]], question: Question) -> Faces:
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
