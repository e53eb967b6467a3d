"""The ONNX Runtime session: the only place that knows providers and session options.

There is no silent fallback: the provider that was asked for runs, or the worker refuses to start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.served.anchors import Size, output_names
from models.served.facts import TRIMMED_NAMES
from models.served.trim import Trimming, answered
from shared.errors import ConfigurationError
from worker.cores import kept_to, shares, usable_in_order
from worker.scrfd import AnyHeads, Heads

ImageBatch = NDArray[np.uint8]
_CPU = "CPUExecutionProvider"


class Detector(Protocol):
    """What the serving loop needs of a network; `tests/stub_detector.py` is another one."""

    provider: str
    landmarks: bool

    def run(self, images: ImageBatch) -> Heads:
        """Heads of (B, height, width, 3) uint8 BGR images; raises whatever the runtime raises."""
        ...


@runtime_checkable
class OverlappingDetector(Detector, Protocol):
    """A detector that takes the next batch while one runs. depth: how many may be on their way, over all sides."""

    depth: int

    def rooms(self, side: int, max_batch: int) -> Sequence[ImageBatch]:
        """`depth` arrays (max_batch, side, side, 3) of the memory it takes images from, black."""
        ...

    def submit(self, side: int, room: int, count: int, part: Size | None = None) -> None:
        """Starts the first `count` images of a room, and does not wait; they must stay until `collect`.

        part: what of each must be seen, from the top left; the rest is black, and may be left out. None: everything.
        """
        ...

    def collect(self, side: int, room: int, thresholds: Sequence[float]) -> Sequence[tuple[AnyHeads, int]]:
        """Waits; (heads, row) per picture, complete down to its threshold. Then the room is free, come what may."""
        ...


class Networks(NamedTuple):
    """What looks at pictures. closer: what sees sheets in the detector's place; None where that sees them, too."""

    detector: Detector
    closer: Detector | None = None


class OneAtATime:
    """Any detector as one that overlaps nothing: it runs when it is asked to start."""

    depth = 1

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._rooms: dict[int, ImageBatch] = {}
        self._answers: dict[int, Heads] = {}
        self.provider = detector.provider
        self.landmarks = detector.landmarks

    def run(self, images: ImageBatch) -> Heads:
        return self._detector.run(images)

    def rooms(self, side: int, max_batch: int) -> list[ImageBatch]:
        return [self._rooms.setdefault(side, np.zeros((max_batch, side, side, 3), dtype=np.uint8))]

    def submit(self, side: int, room: int, count: int, part: Size | None = None) -> None:
        assert room == 0
        height, width = part or (side, side)
        self._answers[side] = self._detector.run(np.ascontiguousarray(self._rooms[side][:count, :height, :width]))

    def collect(self, side: int, room: int, thresholds: Sequence[float]) -> list[tuple[AnyHeads, int]]:
        assert room == 0
        heads = self._answers.pop(side)
        return [(heads, row) for row in range(len(thresholds))]


class OnnxDetector:
    """A network in serving form on the CPU provider, `threads` inference threads, which spin only while a run lasts.

    trimming: how inputs are cut that are not square; where it says so, the networks beside this one answer them.
    apart: whether each thread keeps to cores of its own; for runs that have the machine to themselves.
    """

    def __init__(self, path: Path, threads: int, trimming: Trimming | None = None, *, apart: bool = False) -> None:
        self._trimming = trimming
        self._usual = usable_in_order() if apart else []
        self._shares = shares(self._usual, threads)
        trimmed = trimming is not None and trimming.square > 0
        opened = partial(_session, threads=threads, kept=self._shares)
        self._whole = opened(path)
        self._rows, self._columns = (opened(path.with_name(name)) if trimmed else self._whole for name in TRIMMED_NAMES)
        self.provider = _checked_provider(self._whole, _CPU)
        names = {output.name for output in self._whole.get_outputs()}
        self.landmarks = names.issuperset(output_names(landmarks=True))
        self._outputs = list(output_names(landmarks=self.landmarks))
        missing = set(self._outputs) - names
        if missing:
            raise ConfigurationError(
                f"{path} is not in serving form (no {', '.join(sorted(missing))}); run `python -m models prepare`"
            )
        self._input = self._whole.get_inputs()[0].name

    def run(self, images: ImageBatch) -> Heads:
        assert images.ndim == 4, images.shape
        assert images.dtype == np.uint8
        height, width = images.shape[1:3]
        session = self._whole if height == width else self._rows if height < width else self._columns
        with kept_to(self._shares[0], self._usual) if self._shares else contextlib.nullcontext():
            outputs = session.run(self._outputs, {self._input: images})
        return heads_of(outputs, answered((height, width), self._trimming))


@cache
def _share_memory() -> None:
    """Sessions that run one after the other take their buffers from one arena: three cost hardly more than one."""
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        ),
        None,
    )


def _session(path: Path, threads: int, kept: Sequence[Sequence[int]]) -> onnxruntime.InferenceSession:
    """kept: the cores that each thread keeps to, the caller's first; empty for any."""
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Between a network's many small steps a thread that slept would wake too late to be of use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if others := [",".join(str(cpu + 1) for cpu in share) for share in kept[1:]]:  # counted from 1
        options.add_session_config_entry("session.intra_op_thread_affinities", ";".join(others))
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=[_CPU])


def heads_of(outputs: list[NDArray[np.float32]], size: Size) -> Heads:
    """Six or nine output arrays, in serving order, as Heads."""
    assert len(outputs) in (6, 9), len(outputs)
    offsets = tuple(outputs[6:9]) if len(outputs) == 9 else None
    return Heads(size, tuple(outputs[0:3]), tuple(outputs[3:6]), offsets)


def _checked_provider(session: onnxruntime.InferenceSession, wanted: str) -> str:
    session.disable_fallback()
    running = session.get_providers()[0]
    if running != wanted:
        raise ConfigurationError(
            f"{wanted} was asked for but onnxruntime runs {running}; "
            "check the driver and the onnxruntime build (`make clean install ACCEL=gpu`)"
        )
    return str(running)


def warm_up(detector: Detector, shapes: Iterable[tuple[int, Size]]) -> None:
    """Runs every (batch, size) once, largest first, so that no request pays for it."""
    for batch, (height, width) in sorted(shapes, reverse=True):
        detector.run(np.zeros((batch, height, width, 3), dtype=np.uint8))
