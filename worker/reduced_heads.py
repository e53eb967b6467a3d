"""Heads of which only the best candidates came back, and whether that was enough. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.served.anchors import STRIDES, Size, anchor_count
from shared.faces import FloatArray
from worker.scrfd import Level


@dataclass(frozen=True, slots=True)
class ReducedHeads:
    """The K best anchors per stride 8, 16, 32 of a batch; see `models/served/reduced_outputs.py`.

    scores: 3 × (B, K) float32. indices: 3 × (B, K) int32 anchors of their stride. distances: 3 × (B, K, 4).
    offsets: 3 × (B, K, 10) or None.
    """

    size: Size
    scores: tuple[FloatArray, ...]
    indices: tuple[NDArray[np.int32], ...]
    distances: tuple[FloatArray, ...]
    offsets: tuple[FloatArray, ...] | None

    @property
    def landmarks(self) -> bool:
        return self.offsets is not None

    def overflows(self, row: int, threshold: float) -> bool:
        """Whether picture `row` may have candidates over the threshold that did not come back.

        So it is when the worst that came back is over it itself and not every anchor came back. This answers
        for whatever threshold each request asks, where a count made on the device would know one only.
        """
        limit = np.float32(threshold)
        return any(
            scores.shape[1] < anchor_count(self.size, stride) and bool(scores[row].min() >= limit)
            for stride, scores in zip(STRIDES, self.scores, strict=True)
        )

    def over(self, row: int, threshold: np.float32) -> Iterator[Level]:
        """As `Heads.over`: the same anchors in the same order, if the picture does not overflow."""
        for place, stride in enumerate(STRIDES):
            hits = np.flatnonzero(self.scores[place][row] >= threshold)
            if not hits.size:
                continue
            anchors = self.indices[place][row, hits].astype(np.intp)
            order = np.argsort(anchors)
            hits, anchors = hits[order], anchors[order]
            yield Level(
                stride,
                anchors,
                self.scores[place][row, hits],
                self.distances[place][row, hits],
                None if self.offsets is None else self.offsets[place][row, hits],
            )
