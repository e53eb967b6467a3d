"""StubDetector: a detector whose faces are told, not found. For the serving loop without a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.served.anchors import STRIDES, Size, anchor_count
from worker.detector import ImageBatch
from worker.scrfd import Heads

POISON = 13


class StubDetector:
    """Answers each picture with one face whose score is its brightest pixel / 255, at anchor 0 of stride 8.

    before: called with each batch first; may raise, to play a failing runtime.
    """

    provider = "StubExecutionProvider"
    landmarks = True

    def __init__(self, before: Callable[[ImageBatch], None] = lambda _: None) -> None:
        self._before = before
        self.batches: list[int] = []
        self.sides: list[int] = []

    def run(self, images: ImageBatch) -> Heads:
        self._before(images)
        self.batches.append(len(images))
        self.sides.append(images.shape[1])
        heads = empty_heads(len(images), images.shape[1:3])
        heads.scores[0][:, 0, 0] = images.reshape(len(images), -1).max(axis=1).astype(np.float32) / 255
        heads.distances[0][:, 0] = 1.0
        return heads


def empty_heads(batch: int, size: Size, *, landmarks: bool = True) -> Heads:
    """Heads with no score anywhere, to write faces into."""

    def blank(columns: int) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros((batch, anchor_count(size, stride), columns), np.float32) for stride in STRIDES)

    return Heads(size, blank(1), blank(4), blank(10) if landmarks else None)


def fail_on_poison(images: ImageBatch) -> None:
    """To be called before: a card fails on a picture whose brightest pixel is POISON."""
    if (images.reshape(len(images), -1).max(axis=1) == POISON).any():
        raise RuntimeError("cudaErrorIllegalAddress")
