"""One network at one input side on a device: its slots of memory, a binding per slot and bucket, and their order.

A slot takes a batch from upload to answer. With two, the next batch is uploaded while one runs, and the answer
of one is read while the next runs; nothing on the host waits but `collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.served.anchors import STRIDES, anchor_count
from models.served.reduced_outputs import kept
from shared import exit_codes
from worker.buckets import bucket_for
from worker.cannot_run import first_line
from worker.detector import ImageBatch, heads_of
from worker.device import Device, Event, Queue
from worker.gpu_options import NO_GRAPH, run_entries
from worker.reduced_heads import ReducedHeads
from worker.retreat import Retreat
from worker.scrfd import AnyHeads, Heads

Array = NDArray[Any]
#: Slots: one batch runs, one is on its way in or out.
DEPTH = 2
#: Runs before a graph is recorded: onnxruntime takes memory in the first and, by what it then knows, in the second;
#: cudaMalloc in a recording ends it. Recorded and replayed: as many.
RUNS = 2
#: Bytes that outputs start on, as cudaMalloc gives them; kernels may read and write in wide words.
ALIGNMENT = 256


@dataclass(frozen=True, slots=True)
class BoundOutput:
    """One answer of the network. shape: of one picture's part."""

    name: str
    shape: tuple[int, ...]
    kind: type[np.generic]

    @property
    def size(self) -> int:
        """Bytes of one picture's part."""
        return int(np.prod(self.shape)) * np.dtype(self.kind).itemsize


def raw_outputs(side: int, *, landmarks: bool) -> tuple[BoundOutput, ...]:
    """The serving form's outputs in its order: scores, boxes, landmarks, each by stride."""
    kinds = (("score", 1), ("bbox", 4), ("kps", 10)) if landmarks else (("score", 1), ("bbox", 4))
    return tuple(
        BoundOutput(f"{kind}_{stride}", (anchor_count((side, side), stride), columns), np.float32)
        for kind, columns in kinds
        for stride in STRIDES
    )


def reduced_outputs(side: int, *, landmarks: bool) -> tuple[BoundOutput, ...]:
    """Those of `models/served/reduced_outputs.py` in the order of ReducedHeads: scores, indices, boxes, landmarks."""
    kinds: list[tuple[str, tuple[int, ...], type[np.generic]]] = [
        ("score", (), np.float32),
        ("index", (), np.int32),
        ("bbox", (4,), np.float32),
    ]
    kinds += [("kps", (10,), np.float32)] if landmarks else []
    return tuple(
        BoundOutput(f"top_{kind}_{stride}", (kept(side, stride), *columns), number)
        for kind, columns, number in kinds
        for stride in STRIDES
    )


class Packing:
    """Outputs of one bucket side by side in one block, so that one copy brings them all."""

    def __init__(self, outputs: Sequence[BoundOutput], bucket: int) -> None:
        self.offsets: dict[str, int] = {}
        self.size = 0
        for output in outputs:
            self.offsets[output.name] = self.size
            self.size += -(-bucket * output.size // ALIGNMENT) * ALIGNMENT

    def part(self, block: NDArray[np.uint8], output: BoundOutput, count: int) -> Array:
        """A copy of the first `count` pictures' part of one output."""
        start = self.offsets[output.name]
        flat = block[start : start + count * output.size].view(output.kind)
        return flat.reshape(count, *output.shape).copy()


@dataclass(slots=True)
class Slot:
    """Memory of one batch on its way. images, arrived: page-locked. The rest: addresses on the device.

    arriving: of the block that comes back as it is. staying: of outputs that come back only when asked for.
    runs, recorded: by bucket; recorded is empty where no graphs are wanted.
    """

    images: ImageBatch
    arrived: NDArray[np.uint8]
    address: int
    arriving: int
    staying: dict[str, int]
    uploaded: Event
    computed: Event
    ready: Event
    runs: dict[int, Callable[[], None]] = field(default_factory=dict)
    recorded: dict[int, Callable[[], None]] = field(default_factory=dict)
    bucket: int = 0
    busy: bool = False


class BoundNetwork:
    """session: an InferenceSession over a GPU form of `side`; its memory is taken here and bound for good.

    buckets: batch sizes, ascending. reduced: whether the best candidates come back, or everything.
    graph_ids: where the next recorded graph's number comes from; None runs without recorded graphs.
    graphs: whether runs replay recorded graphs; so it is once `warm_up` has recorded them.
    """

    def __init__(
        self,
        session: Any,
        device: Device,
        side: int,
        buckets: Sequence[int],
        options: Callable[[dict[str, str]], Any],
        *,
        landmarks: bool,
        reduced: bool,
        graph_ids: Iterator[int] | None,
    ) -> None:
        self.side = side
        self._device = device
        self._buckets = tuple(buckets)
        self._raw = raw_outputs(side, landmarks=landmarks)
        self._coming = reduced_outputs(side, landmarks=landmarks) if reduced else self._raw
        self._staying = self._raw if reduced else ()
        self._packings = {bucket: Packing(self._coming, bucket) for bucket in self._buckets}
        self._reduced = reduced
        self.graphs = False
        self._slots = [self._slot() for _ in range(DEPTH)]
        for slot in self._slots:
            for bucket in reversed(self._buckets):
                run = self._bound(session, slot, bucket)
                slot.runs[bucket] = partial(run, options(run_entries(NO_GRAPH)))
                if graph_ids is not None:
                    slot.recorded[bucket] = partial(run, options(run_entries(next(graph_ids))))

    @property
    def rooms(self) -> list[ImageBatch]:
        """Per slot the (largest bucket, side, side, 3) uint8 images it uploads; written before `submit`."""
        return [slot.images for slot in self._slots]

    def warm_up(self) -> None:
        """Every bucket of every slot, largest first: tuned and allocated, then recorded, and replayed once.

        Raises Retreat where recording or replaying fails of what runs without.
        """
        for bucket in reversed(self._buckets):
            self.graphs = False
            self._try(bucket)
            if self._slots[0].recorded:
                self.graphs = True
                try:
                    self._try(bucket)
                except Exception as error:  # the runtime's have no common base
                    words = f"recording a CUDA graph of {bucket} at {self.side} failed: {first_line(error)}"
                    raise Retreat(exit_codes.WITHOUT_GRAPHS, words) from error

    def _try(self, bucket: int) -> None:
        for number in range(DEPTH):
            for _ in range(RUNS):
                self.submit(number, bucket)
                self.collect(number, [1.0] * bucket)

    def submit(self, number: int, count: int) -> None:
        """Starts slot `number` on the first `count` images of its room; they must stay until `collect`."""
        slot = self._slots[number]
        assert not slot.busy, "a slot takes one batch at a time"
        slot.bucket = bucket_for(count, self._buckets)
        self._queue(slot, count)
        slot.busy = True

    def _queue(self, slot: Slot, count: int) -> None:
        """Upload, run, download: each queued behind what it needs, none waited for."""
        device = self._device
        device.copy_in(slot.address, slot.images[:count])
        device.record(slot.uploaded, Queue.UPLOAD)
        device.hold(Queue.COMPUTE, slot.uploaded)
        self._run(slot)
        device.record(slot.computed, Queue.COMPUTE)
        device.hold(Queue.DOWNLOAD, slot.computed)
        device.copy_out(slot.arrived[: self._packings[slot.bucket].size], slot.arriving)
        device.record(slot.ready, Queue.DOWNLOAD)

    def collect(self, number: int, thresholds: Sequence[float]) -> list[tuple[AnyHeads, int]]:
        """(heads, row) of each picture of the slot's batch; the slot is free afterwards, whatever happens.

        thresholds: the confidence each picture is asked with; one that has more candidates over it than came
        back is answered from its raw heads. Raises what the device or the network did wrong.
        """
        slot = self._slots[number]
        assert slot.busy
        try:
            self._device.wait(slot.ready)
            packing = self._packings[slot.bucket]
            arrived = [packing.part(slot.arrived, output, len(thresholds)) for output in self._coming]
            _refuse_not_finite(arrived[: len(STRIDES)])
            if not self._reduced:
                raw = heads_of(arrived, (self.side, self.side))
                return [(raw, row) for row in range(len(thresholds))]
            reduced = _reduced_heads(arrived, self.side)
            return [
                (self._raw_heads(slot, row), 0) if reduced.overflows(row, threshold) else (reduced, row)
                for row, threshold in enumerate(thresholds)
            ]
        finally:
            slot.busy = False

    def run(self, images: ImageBatch) -> Heads:
        """Raw heads of a few images, up to the largest bucket; nothing may be on its way in the first slot."""
        slot, count = self._slots[0], len(images)
        slot.images[:count] = images
        self.submit(0, count)
        try:
            self._device.wait(slot.ready)
            rows = [self._raw_heads(slot, row) for row in range(count)]
        finally:
            slot.busy = False
        return _stacked(rows)

    def compute(self, count: int, times: int) -> None:
        """Runs `count` pictures `times` times over, as they lie on the device, and waits: for measuring."""
        slot = self._slots[0]
        assert not slot.busy
        slot.bucket = bucket_for(count, self._buckets)
        for _ in range(times):
            self._run(slot)
        self._device.record(slot.computed, Queue.COMPUTE)
        self._device.wait(slot.computed)

    def _run(self, slot: Slot) -> None:
        (slot.recorded if self.graphs else slot.runs)[slot.bucket]()

    def _raw_heads(self, slot: Slot, row: int) -> Heads:
        """One picture's raw heads, fetched from where the network left them."""
        arrived: list[NDArray[np.float32]] = []
        for output in self._raw:
            target = np.empty((1, *output.shape), np.float32)
            self._device.copy_out(target, self._address(slot, output) + row * output.size)
            arrived.append(target)
        self._device.record(slot.ready, Queue.DOWNLOAD)
        self._device.wait(slot.ready)
        return heads_of(arrived, (self.side, self.side))

    def _address(self, slot: Slot, output: BoundOutput) -> int:
        """Where the slot's present bucket writes this output."""
        if output.name in slot.staying:
            return slot.staying[output.name]
        return slot.arriving + self._packings[slot.bucket].offsets[output.name]

    def _slot(self) -> Slot:
        device, largest = self._device, self._buckets[-1]
        picture, block = self.side * self.side * 3, self._packings[largest].size
        images = device.host_buffer(largest * picture).reshape(largest, self.side, self.side, 3)
        staying = {output.name: device.buffer(largest * output.size) for output in self._staying}
        uploaded, computed, ready = device.event(), device.event(), device.event()
        address, arriving = device.buffer(largest * picture), device.buffer(block)
        return Slot(images, device.host_buffer(block), address, arriving, staying, uploaded, computed, ready)

    def _bound(self, session: Any, slot: Slot, bucket: int) -> Callable[[Any], None]:
        """A run of `bucket` pictures from and to the slot's own memory, to be given its options."""
        place = (self._device.memory, self._device.index)
        binding = session.io_binding()
        images = (bucket, self.side, self.side, 3)
        binding.bind_input(session.get_inputs()[0].name, *place, np.uint8, images, slot.address)
        slot.bucket = bucket
        for output in (*self._coming, *self._staying):
            shape = (bucket, *output.shape)
            binding.bind_output(output.name, *place, output.kind, shape, self._address(slot, output))
        return partial(session.run_with_iobinding, binding)


def _reduced_heads(arrived: list[Array], side: int) -> ReducedHeads:
    """From arrays in the order of `reduced_outputs`."""
    scores, indices, distances, offsets = (tuple(arrived[start : start + 3]) for start in (0, 3, 6, 9))
    return ReducedHeads((side, side), scores, indices, distances, offsets or None)


def _stacked(rows: Sequence[Heads]) -> Heads:
    """Heads of one picture each as those of a batch."""

    def level(parts: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
        return tuple(np.concatenate([part[place] for part in parts]) for place in range(len(STRIDES)))

    offsets = [row.offsets for row in rows if row.offsets is not None]
    scores, distances = level([row.scores for row in rows]), level([row.distances for row in rows])
    return Heads(rows[0].size, scores, distances, level(offsets) if offsets else None)


def _refuse_not_finite(scores: list[Array]) -> None:
    """Half precision that ran over answers NaN: an error for these pictures, never "no face"."""
    if not all(np.isfinite(level).all() for level in scores):
        raise FloatingPointError("the network answered scores that are not finite")
