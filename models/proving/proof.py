"""Proves that a network in serving form answers as the untouched export does, alone and among neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.proving.reference import Heads, Pixels, Reference, letterbox, sort_heads
from models.proving.runtime import open_session
from models.served.trim import Trimming, answered
from shared.faces import FloatArray

#: Height and width of the second input size: small, not square, multiples of 32.
SECOND_SIZE = (160, 224)
#: What rounding may do in float32 on a CPU; scores are 0..1, distances in units of the stride.
SCORE_TOLERANCE = 1e-4
DISTANCE_TOLERANCE = 1e-3

Batch = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest difference between two answers: of scores, and of distances relative to 1 + their size."""

    score: float
    distance: float

    @property
    def small(self) -> bool:
        """Whether rounding explains it. A NaN is never small."""
        return self.score <= SCORE_TOLERANCE and self.distance <= DISTANCE_TOLERANCE

    def __or__(self, other: Difference) -> Difference:
        return Difference(float(np.maximum(self.score, other.score)), float(np.maximum(self.distance, other.distance)))

    def __str__(self) -> str:
        return f"{self.score:.2g} in scores, {self.distance:.2g} in distances"


NO_DIFFERENCE = Difference(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen. alone: one picture at the first size. batched, resized: the words of a failure, or empty."""

    alone: Difference
    batched: str
    resized: str


class ServingNetwork:
    """A network in serving form, or one for trimmed inputs, run on the CPU."""

    def __init__(self, model: Path | bytes, threads: int = 1, trimming: Trimming | None = None) -> None:
        self._session = open_session(model, threads)
        self._trimming = trimming

    def run(self, pictures: Batch) -> list[FloatArray]:
        """(B, height, width, 3) uint8 BGR → the outputs as they are, each (B, A, columns)."""
        answer: list[FloatArray] = self._session.run(None, {"images": pictures})
        return answer

    def answered(self, picture: Pixels) -> tuple[int, int]:
        """(height, width) that it answers for."""
        return answered((picture.shape[0], picture.shape[1]), self._trimming)

    def heads(self, pictures: Batch) -> list[Heads]:
        """One Heads per picture of the batch."""
        outputs = self.run(pictures)
        height, width = self.answered(pictures[0])
        return [sort_heads([output[row] for output in outputs], height, width) for row in range(len(pictures))]


def prove(
    served: ServingNetwork, original: Reference, resized: Reference | None, canary: Pixels, size: tuple[int, int]
) -> Proof:
    """Compare on several pictures, the canary among them, at `size` (height, width) and at SECOND_SIZE.

    resized: the export as it answers other sizes, None where it cannot.
    """
    pictures = proof_pictures(canary, *size)
    truths = [original.heads(picture) for picture in pictures]
    alone = NO_DIFFERENCE
    for picture, truth in zip(pictures, truths, strict=True):
        alone |= difference(served.heads(picture[None])[0], truth)
    batched = batch_failure(served, pictures, truths)
    others = proof_pictures(canary, *SECOND_SIZE)
    return Proof(alone, batched, _size_failure(served, resized, others) if resized else "")


def proof_pictures(canary: Pixels, height: int, width: int) -> list[Pixels]:
    """Canary, noise, black, a slope and a canary upside down, each (height, width, 3) uint8 BGR."""
    upright = letterbox(canary, max(height, width))[0][:height, :width]
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    down, across = np.mgrid[:height, :width]
    slope = np.stack([down * 255 // height, across * 255 // width, (down + across) % 256], axis=2).astype(np.uint8)
    black = np.zeros((height, width, 3), dtype=np.uint8)
    return [np.ascontiguousarray(upright), noise, black, slope, np.ascontiguousarray(upright[::-1])]


def difference(first: Heads, second: Heads) -> Difference:
    """Largest differences over all levels; infinite where one has landmarks and the other none."""
    if (first.landmarks is None) != (second.landmarks is None):
        return Difference(float("inf"), float("inf"))
    score = max(float(np.abs(a - b).max()) for a, b in zip(first.scores, second.scores, strict=True))
    distances = [*zip(first.boxes, second.boxes, strict=True)]
    distances += zip(first.landmarks or (), second.landmarks or (), strict=True)
    return Difference(score, max(float((np.abs(a - b) / (1 + np.abs(b))).max()) for a, b in distances))


def batch_failure(served: ServingNetwork, pictures: Sequence[Pixels], truths: Sequence[Heads]) -> str:
    """Why a picture's answer depends on its batch, in words; empty where it does not.

    Batches of distinct neighbours, in another order, and beside garbage; every row against its truth alone.
    """
    try:
        worst = NO_DIFFERENCE
        for rows in _mixtures(len(pictures)):
            batch = np.stack([_garbage(pictures[0]) if row is None else pictures[row] for row in rows])
            for row, found in zip(rows, served.heads(batch), strict=True):
                worst |= NO_DIFFERENCE if row is None else difference(found, truths[row])
    except Exception as error:  # whatever onnxruntime raises for a batch that the graph does not take
        return f"batches fail: {str(error).splitlines()[0]}"
    return "" if worst.small else f"a picture's answer depends on its neighbours ({worst})"


def _mixtures(count: int) -> Iterator[tuple[int | None, ...]]:
    """Rows of each batch by picture number; None is garbage that must not matter."""
    forwards = tuple(range(count))
    yield forwards[:2]
    yield (*reversed(forwards), None)
    yield (None, 0, None)


def _garbage(like: Pixels) -> Pixels:
    return np.random.default_rng(13).integers(0, 2, like.shape, dtype=np.uint8) * np.uint8(255)


def _size_failure(served: ServingNetwork, resized: Reference, pictures: Sequence[Pixels]) -> str:
    """The same at a second input size, alone."""
    try:
        worst = NO_DIFFERENCE
        for picture in pictures:
            worst |= difference(served.heads(picture[None])[0], resized.heads(picture))
    except Exception as error:  # whatever onnxruntime raises for a size that the graph does not take
        return f"other sizes fail: {str(error).splitlines()[0]}"
    return "" if worst.small else f"other sizes are answered differently ({worst})"
