"""From a micro-batch of requests to faces: one network run per kind of input, then each picture on its own.

One bad picture never fails its neighbours: when a run fails, its pictures are tried one by one. On a device that
can, the next batch is submitted while one runs; there `run` is `submit` and `collect` one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.served.anchors import Size
from models.served.trim import Trimming, part_of
from shared.faces import Faces
from shared.messages import CropHeader, Request
from worker.detector import Detector, Networks, OneAtATime, OverlappingDetector
from worker.scrfd import AnyHeads, Question, View, best_score, detect
from worker.slab import Slab

Crops = Sequence[NDArray[np.uint8]]
#: One look in a run: the index of its request, its pixels, what they show.
Member = tuple[int, NDArray[np.uint8], View]


class Kind(NamedTuple):
    """What a run is shown: inputs of one side; whether they are sheets for the closer network, and from a picture that
    is alone in the house.
    """

    side: int
    sheets: bool
    lone: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The faces of one request, or what went wrong; milliseconds of the shared run and of its own rest.

    sure: the best score in its largest look.
    """

    faces: Faces | None
    error: str
    inference_ms: float
    postprocess_ms: float
    sure: float = 0.0


@dataclass(slots=True)
class Flight:
    """One run of a network on its way, in a room of its inputs. members: (request index, what it shows) a look."""

    at: Kind
    room: int
    members: list[tuple[int, View]]
    thresholds: list[float]
    answer: Sequence[tuple[AnyHeads, int]] = ()
    error: Exception | None = None


@dataclass(slots=True)
class Submitted:
    """A batch on its way. started: seconds, of the performance counter."""

    batch: Sequence[tuple[Request, Crops]]
    started: float
    flights: list[Flight] = field(default_factory=list)
    error: Exception | None = None


class Pipeline:
    """A detector with its batch buffers, one per kind of input and room as they are met.

    sides: the only input sides the network is open for; empty where it takes any. A crop for another side goes
    into the next larger one: the same look, with more black around it.
    trimming: how much of the black beside pictures the network is spared; None for nothing.
    closer: what sees sheets in the network's place; None where that sees them, too.
    lone: the same networks on more cores, for pictures that are alone in the house; None where there are none.
    depth: batches that may be submitted before the first is collected.
    """

    def __init__(
        self,
        detector: Detector,
        max_batch: int,
        told: Callable[[str], None],
        sides: Sequence[int] = (),
        *,
        trimming: Trimming | None = None,
        closer: Detector | None = None,
        lone: Networks | None = None,
    ) -> None:
        assert lone is None or (lone.closer is None) == (closer is None)
        self._networks = _by_use(Networks(detector, closer), lone)
        self._max_batch = max_batch
        self._told = told
        self._sides = sorted(sides)
        self.trimming = trimming
        self._slabs: dict[Kind, list[Slab]] = {}
        self._flying: list[Flight] = []
        self.depth = self._networks[False, False].depth

    def run(self, batch: Sequence[tuple[Request, Crops]]) -> list[Found]:
        """One Found per request, in order."""
        return self.collect(self.submit(batch))

    def submit(self, batch: Sequence[tuple[Request, Crops]]) -> Submitted:
        """Starts a batch: one run per kind of input and `max_batch` crops. What fails is told by `collect`."""
        assert 1 <= len(batch) <= self._max_batch
        submitted = Submitted(batch, perf_counter())
        try:
            inputs = self._by_input(batch)
            for (at, part), members in inputs.items():
                for start in range(0, len(members), self._max_batch):
                    some = members[start : start + self._max_batch]
                    submitted.flights.append(self._take_off(at, part, some, batch))
        except Exception as error:  # the runtime's exceptions have no common base; every one is answered
            submitted.error = error
        return submitted

    def collect(self, submitted: Submitted) -> list[Found]:
        """Waits for a batch; one Found per request, in order."""
        for flight in submitted.flights:
            if any(flight is one for one in self._flying):
                self._land(flight)
        error = submitted.error or next((flight.error for flight in submitted.flights if flight.error), None)
        if error is not None:
            return self._one_by_one(submitted.batch, error)
        looked: list[list[tuple[AnyHeads, int, View]]] = [[] for _ in submitted.batch]
        for flight in submitted.flights:
            for (index, view), (heads, row) in zip(flight.members, flight.answer, strict=True):
                looked[index].append((heads, row, view))
        inference_ms = (perf_counter() - submitted.started) * 1000
        return [self._finish(job[0], heads, inference_ms) for job, heads in zip(submitted.batch, looked, strict=True)]

    def healthy(self) -> bool:
        """Whether the networks still run at all: on a black picture of every size in use."""
        while self._flying:
            self._land(self._flying[0])
        try:
            for at in self._slabs:
                self._network(at).run(np.zeros((1, at.side, at.side, 3), dtype=np.uint8))
        except Exception as error:  # as in `submit`
            self._told(f"the network fails on a black picture: {error}")
            return False
        return True

    def _network(self, at: Kind) -> OverlappingDetector:
        return self._networks[at.sheets, at.lone]

    def _by_input(self, batch: Sequence[tuple[Request, Crops]]) -> dict[tuple[Kind, Size], list[Member]]:
        """Members by kind of input and the part that must be seen; a request may have several looks of one kind.

        Only pictures of one part share a run, so that a picture's part, and its answer, depend on itself alone.
        """
        inputs: dict[tuple[Kind, Size], list[Member]] = {}
        for index, (request, crops) in enumerate(batch):
            for header, crop in zip(request.crops, crops, strict=True):
                at = self._kind(request, header)
                for turn in header.turns:
                    pixels = np.rot90(crop, turn)  # a view: it is turned when the slab is painted
                    part = self._part(at, pixels)
                    view = View(header.rows, header.cols, header.scale, header.x, header.y, turn)
                    inputs.setdefault((at, part), []).append((index, pixels, view))
        return inputs

    def _part(self, at: Kind, pixels: NDArray[np.uint8]) -> Size:
        """Of the input, what must be seen. Beside a sheet nothing: its cells are judged alone."""
        rows, cols, _ = pixels.shape
        return (rows, cols) if at.sheets else part_of(rows, cols, at.side, self.trimming)

    def _kind(self, request: Request, header: CropHeader) -> Kind:
        """Of a network that there is."""
        sheets = header.sheet and (True, False) in self._networks
        return Kind(_input_side(header.side, self._sides), sheets, request.lone and (False, True) in self._networks)

    def _take_off(self, at: Kind, part: Size, members: list[Member], batch: Sequence[tuple[Request, Crops]]) -> Flight:
        """Puts crops into a free room of their inputs and starts it; waits for the oldest run while none is free."""
        slabs = self._slabs_of(at)
        taken = [flight.room for flight in self._flying if flight.at == at]
        while len(taken) == len(slabs):
            self._land(self._flying[0])
            taken = [flight.room for flight in self._flying if flight.at == at]
        room = next(number for number in range(len(slabs)) if number not in taken)
        slabs[room].fill([pixels for _, pixels, _ in members])
        self._network(at).submit(at.side, room, len(members), part)
        thresholds = [batch[index][0].confidence for index, _, _ in members]
        flight = Flight(at, room, [(index, view) for index, _, view in members], thresholds)
        self._flying.append(flight)
        return flight

    def _land(self, flight: Flight) -> None:
        """Waits for one run and frees its room."""
        self._flying = [one for one in self._flying if one is not flight]
        try:
            flight.answer = self._network(flight.at).collect(flight.at.side, flight.room, flight.thresholds)
        except Exception as error:  # as in `submit`
            flight.error = error

    def _slabs_of(self, at: Kind) -> list[Slab]:
        if at not in self._slabs:
            rooms = self._network(at).rooms(at.side, self._max_batch)
            self._slabs[at] = [Slab(self._max_batch, at.side, images) for images in rooms]
        return self._slabs[at]

    def _finish(self, request: Request, looked: list[tuple[AnyHeads, int, View]], inference_ms: float) -> Found:
        started = perf_counter()
        question = Question(request.confidence, request.nms_threshold, request.max_faces, request.width, request.height)
        faces = detect(looked, question)
        heads, row, _ = max(looked, key=lambda look: look[2].rows * look[2].cols)
        sure = best_score(heads, row, request.confidence)
        spent_ms = (perf_counter() - started) * 1000
        if not np.isfinite(faces.packed()).all():
            return Found(None, "the network answered numbers that are not finite", inference_ms, spent_ms)
        return Found(faces, "", inference_ms, spent_ms, sure)

    def _one_by_one(self, batch: Sequence[tuple[Request, Crops]], error: Exception) -> list[Found]:
        traces = ", ".join(request.trace for request, _ in batch if request.trace)
        self._told(f"a run of {len(batch)} failed: {error}" + (f" (traceparent {traces})" if traces else ""))
        if len(batch) == 1:
            return [Found(None, f"the network failed on this picture: {type(error).__name__}", 0.0, 0.0)]
        return [self.run([member])[0] for member in batch]


def _by_use(usual: Networks, lone: Networks | None) -> dict[tuple[bool, bool], OverlappingDetector]:
    """By whether they see sheets, and whether a picture that is alone in the house."""
    networks = {(False, False): usual.detector, (True, False): usual.closer}
    if lone is not None:
        networks |= {(False, True): lone.detector, (True, True): lone.closer}
    return {
        use: network if isinstance(network, OverlappingDetector) else OneAtATime(network)
        for use, network in networks.items()
        if network is not None
    }


def _input_side(wanted: int, only: Sequence[int]) -> int:
    """The least side of `only` that holds a crop of side `wanted`; the side itself where any will do."""
    return next(side for side in only if side >= wanted) if only else wanted
