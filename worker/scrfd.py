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

from models.served.anchors import STRIDES, Size, anchor_centres, anchor_count
from shared.choice import limited, suppressed
from shared.faces import Faces, FloatArray


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


@dataclass(frozen=True, slots=True)
class View:
    """What one look shows: a crop of rows × cols input pixels whose top left corner is at x, y in the upright picture.

    scale: input pixels per picture pixel. turn: quarter turns counterclockwise that the crop was given.
    """

    rows: int
    cols: int
    scale: float
    x: float = 0.0
    y: float = 0.0
    turn: int = 0

    @property
    def plain(self) -> bool:
        """Whether the look's pixels are the picture's but for their scale."""
        return not (self.turn or self.x or self.y)


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


def best_score(heads: AnyHeads, row: int, confidence: float) -> float:
    """The best score of picture `row`, 0 where none is `confidence` or more."""
    return max((float(level.scores.max()) for level in heads.over(row, np.float32(confidence))), default=0.0)


def distance_to_box(centres: FloatArray, distances: FloatArray) -> FloatArray:
    """(K, 4) x1 y1 x2 y2 from (K, 2) centres and (K, 4) l t r b, all float32 input pixels; not clipped."""
    return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)


def offset_to_landmarks(centres: FloatArray, offsets: FloatArray) -> FloatArray:
    """(K, 5, 2) x y from (K, 2) centres and (K, 10) offsets, all float32 input pixels."""
    landmarks: FloatArray = centres[:, None, :] + offsets.reshape(-1, 5, 2)
    return landmarks


def in_picture(found: Faces, view: View) -> Faces:
    """Faces in pixels of a look, divided by its scale, in pixels of the upright picture."""
    width, height = view.cols / view.scale, view.rows / view.scale
    x1, y1, x2, y2 = found.boxes.T
    corners = {
        0: (x1, y1, x2, y2),
        1: (width - y2, x1, width - y1, x2),
        2: (width - x2, height - y2, width - x1, height - y1),
        3: (y1, height - x2, y2, height - x1),
    }[view.turn]
    boxes = np.stack(corners, axis=1) + np.array([view.x, view.y] * 2)
    landmarks = None if found.landmarks is None else _points_in_picture(found.landmarks, view, width, height)
    return Faces(boxes.astype(np.float32), found.scores, landmarks)


def _points_in_picture(points: FloatArray, view: View, width: float, height: float) -> FloatArray:
    x, y = points[..., 0], points[..., 1]
    turned = {0: (x, y), 1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[view.turn]
    placed: FloatArray = (np.stack(turned, axis=-1) + np.array([view.x, view.y])).astype(np.float32)
    return placed


def detect(looks: Sequence[tuple[AnyHeads, int, View]], question: Question) -> Faces:
    """The faces of one picture, best first (or by the reference's value where max_faces cuts).

    looks: (heads, row in their batch, what was looked at) of each look; their candidates meet in one suppression,
    in pixels of the upright picture.
    """
    found = [_seen(heads, row, view, question.confidence) for heads, row, view in looks]
    kept = suppressed(Faces.joined(found), question.nms_threshold)
    return limited(kept, question.max_faces, question.width, question.height)


def _seen(heads: AnyHeads, row: int, view: View, confidence: float) -> Faces:
    found = candidates(heads, row, view.scale, confidence)
    return found if view.plain else in_picture(found, view)
