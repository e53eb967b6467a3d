"""From a micro-batch of requests to faces: one network run per input side, then each picture on its own.

One bad picture never fails its neighbours: when a run fails, its pictures are tried one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces
from shared.messages import Request
from worker.detector import Detector
from worker.scrfd import Heads, Question, detect
from worker.slab import Slab

Crops = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Found:
    """The faces of one request, or what went wrong; milliseconds of the shared run and of its own rest."""

    faces: Faces | None
    error: str
    inference_ms: float
    postprocess_ms: float


class Pipeline:
    """A detector with its batch buffers, one per input side as they are met."""

    def __init__(self, detector: Detector, max_batch: int, told: Callable[[str], None]) -> None:
        self._detector = detector
        self._max_batch = max_batch
        self._told = told
        self._slabs: dict[int, Slab] = {}

    def run(self, batch: Sequence[tuple[Request, Crops]]) -> list[Found]:
        """One Found per request, in order."""
        assert 1 <= len(batch) <= self._max_batch
        started = perf_counter()
        try:
            heads = self._run_network(batch)
        except Exception as error:  # the runtime's exceptions have no common base; every one is answered
            return self._one_by_one(batch, error)
        inference_ms = (perf_counter() - started) * 1000
        return [self._finish(request, heads[index], inference_ms) for index, (request, _) in enumerate(batch)]

    def healthy(self) -> bool:
        """Whether the network still runs at all: on a black picture of every size in use."""
        try:
            for side in self._slabs:
                self._detector.run(np.zeros((1, side, side, 3), dtype=np.uint8))
        except Exception as error:  # as in `run`
            self._told(f"the network fails on a black picture: {error}")
            return False
        return True

    def _run_network(self, batch: Sequence[tuple[Request, Crops]]) -> list[list[tuple[Heads, int, float]]]:
        """For each request its (heads, row, scale) per crop; one run per input side and `max_batch` crops."""
        looked: list[list[tuple[Heads, int, float]]] = [[] for _ in batch]
        for side, members in _by_side(batch).items():
            slab = self._slabs.setdefault(side, Slab(self._max_batch, side))
            for start in range(0, len(members), self._max_batch):
                together = members[start : start + self._max_batch]
                heads = self._detector.run(slab.fill([crop for _, crop, _ in together]))
                for row, (index, _, scale) in enumerate(together):
                    looked[index].append((heads, row, scale))
        return looked

    def _finish(self, request: Request, looked: list[tuple[Heads, int, float]], inference_ms: float) -> Found:
        started = perf_counter()
        question = Question(request.confidence, request.nms_threshold, request.max_faces, request.width, request.height)
        faces = detect(looked, question)
        spent_ms = (perf_counter() - started) * 1000
        if not np.isfinite(faces.packed()).all():
            return Found(None, "the network answered numbers that are not finite", inference_ms, spent_ms)
        return Found(faces, "", inference_ms, spent_ms)

    def _one_by_one(self, batch: Sequence[tuple[Request, Crops]], error: Exception) -> list[Found]:
        self._told(f"a run of {len(batch)} failed: {error}")
        if len(batch) == 1:
            return [Found(None, f"the network failed on this picture: {type(error).__name__}", 0.0, 0.0)]
        return [self.run([member])[0] for member in batch]


def _by_side(
    batch: Sequence[tuple[Request, Crops]],
) -> dict[int, list[tuple[int, NDArray[np.uint8], float]]]:
    """(request index, crop, scale) by input side; a request may look at more than one crop of a side."""
    sides: dict[int, list[tuple[int, NDArray[np.uint8], float]]] = {}
    for index, (request, crops) in enumerate(batch):
        for header, crop in zip(request.crops, crops, strict=True):
            sides.setdefault(header.side, []).append((index, crop, header.scale))
    return sides
