"""Faces: what a detection is. The only place that knows the packed row of fifteen floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: x1 y1 x2 y2, score, then five landmarks x y.
PACKED_COLUMNS = 15
PACKED_COLUMNS_WITHOUT_LANDMARKS = 5


@dataclass(frozen=True, slots=True)
class Faces:
    """Detected faces in answer order, in pixels of the upright picture.

    boxes: (N, 4) float32, x1 y1 x2 y2, not clipped to the picture.
    scores: (N,) float32 in 0..1.
    landmarks: (N, 5, 2) float32, x y of left eye, right eye, nose, left and right mouth corner as seen
        in the picture; None for a model that has none.
    """

    boxes: FloatArray
    scores: FloatArray
    landmarks: FloatArray | None

    def __post_init__(self) -> None:
        count = self.scores.shape[0]
        assert self.boxes.shape == (count, 4), self.boxes.shape
        assert self.landmarks is None or self.landmarks.shape == (count, 5, 2), self.landmarks.shape

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    def packed(self) -> FloatArray:
        """(N, 15) float32, or (N, 5) without landmarks: box, score, landmarks; C-contiguous."""
        parts = [self.boxes, self.scores[:, None]]
        if self.landmarks is not None:
            parts.append(self.landmarks.reshape(len(self), 10))
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)

    @staticmethod
    def unpacked(rows: FloatArray) -> Faces:
        """The inverse of `packed`; views into `rows`, no copy."""
        assert rows.ndim == 2, rows.shape
        assert rows.shape[1] in (PACKED_COLUMNS, PACKED_COLUMNS_WITHOUT_LANDMARKS), rows.shape
        landmarks = rows[:, 5:].reshape(-1, 5, 2) if rows.shape[1] == PACKED_COLUMNS else None
        return Faces(rows[:, :4], rows[:, 4], landmarks)

    def taken(self, order: NDArray[np.intp]) -> Faces:
        """Those at these places, in this order."""
        landmarks = None if self.landmarks is None else self.landmarks[order]
        return Faces(self.boxes[order], self.scores[order], landmarks)

    def first(self, count: int) -> Faces:
        """So many of them from the beginning: views, no copy."""
        landmarks = None if self.landmarks is None else self.landmarks[:count]
        return Faces(self.boxes[:count], self.scores[:count], landmarks)

    @staticmethod
    def joined(found: Sequence[Faces]) -> Faces:
        """One after the other; at least one. Landmarks only where all have them."""
        if len(found) == 1:
            return found[0]
        landmarks = [faces.landmarks for faces in found if faces.landmarks is not None]
        return Faces(
            np.concatenate([faces.boxes for faces in found]),
            np.concatenate([faces.scores for faces in found]),
            np.concatenate(landmarks) if len(landmarks) == len(found) else None,
        )

    @staticmethod
    def none(*, landmarks: bool = True) -> Faces:
        """No face at all."""
        columns = PACKED_COLUMNS if landmarks else PACKED_COLUMNS_WITHOUT_LANDMARKS
        return Faces.unpacked(np.empty((0, columns), dtype=np.float32))
