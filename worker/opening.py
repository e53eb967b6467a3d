"""From a device name to a detector that is open, asserted and warm. Here CPU or GPU is chosen, nowhere else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import numpy as np

from models.served.anchors import Size
from models.served.facts import ServingModel
from models.served.trim import Trimming, part_of
from shared import exit_codes
from shared.cells import CLOSER_SHEETS, OWN_SHEETS
from shared.errors import ConfigurationError
from shared.settings import Settings
from worker.cannot_run import first_line, is_too_large, reason
from worker.detector import Detector, Networks, OnnxDetector, warm_up
from worker.retreat import Retreat, may_be_full

Told = Callable[[str], None]


def open_detector(
    device: str, model: ServingModel, settings: Settings, threads: int, max_batch: int, told: Told
) -> tuple[Detector, float]:
    """A warm detector, and the seconds a run takes on it. device: "cpu" or "cuda:0".

    Raises ConfigurationError for a network that cannot run here, NotNow for one that may later, Retreat where the
    card can serve otherwise.
    """
    index = re.fullmatch(r"cuda:([0-9]{1,3})", device)
    if index is None and device != "cpu":
        raise ConfigurationError(f"--device {device}: must be cpu, or cuda: and the number of a card, cuda:0")
    try:
        if index is None:
            return _on_cpu(model, settings, threads, max_batch)
        return _on_gpu(int(index[1]), model, settings, threads, max_batch, told)
    except Retreat:
        raise
    except Exception as error:  # what is no runtime's goes on as it came
        told_as = reason(error, model.path, device)
        if is_too_large(error) and max_batch > 1 and model.info.batch_invariant:
            words = f"batches of {max_batch} want more than FACE_API_GPU_MEMORY_LIMIT_MB leaves a worker"
            raise Retreat(exit_codes.SMALLER, f"{words}: {first_line(error)}") from error
        if isinstance(told_as or error, ConfigurationError) and may_be_full(model, settings):
            raise Retreat(exit_codes.IN_FULL, str(told_as or error)) from error
        if told_as is None:
            raise
        raise told_as from error


def open_closer(
    device: str, model: ServingModel, settings: Settings, threads: int, max_batch: int, *, apart: bool = False
) -> Detector | None:
    """What sees sheets in the network's place, warm; None for a model without a closer network, and on a GPU.

    Raises ConfigurationError for one that cannot run here, NotNow for one that may later.
    """
    if model.closer is None or not _has_closer(device, model):
        return None
    with _failures_told(model.closer):
        detector = OnnxDetector(model.closer, threads, apart=apart)
        finds = range(1, CLOSER_SHEETS.most_in(settings.input_side) + 1)
        sheets = {(CLOSER_SHEETS.rows_of(some), CLOSER_SHEETS.side_of(some)) for some in finds}
        warm_up(detector, [(batch, sheet) for batch in _batches(model, max_batch) for sheet in sheets])
    return detector


def open_lone(device: str, model: ServingModel, settings: Settings, threads: int) -> Networks | None:
    """The networks on so many threads that keep to cores of their own, warm, for a picture that is alone in the house.

    None on a GPU. Raises as `open_closer` does.
    """
    if device != "cpu":
        return None
    with _failures_told(model.path):
        detector = OnnxDetector(model.path, threads, trimming_of(device, settings, model), apart=True)
        warm_up(detector, _shapes_on_cpu(model, settings, 1))
    return Networks(detector, open_closer(device, model, settings, threads, 1, apart=True))


@contextlib.contextmanager
def _failures_told(path: Path) -> Iterator[None]:
    """Of a network on a CPU, as ConfigurationError or NotNow; what is no runtime's goes on as it came."""
    try:
        yield
    except Exception as error:
        told_as = reason(error, path, "cpu")
        if told_as is None:
            raise
        raise told_as from error


def sides_of(device: str, settings: Settings, model: ServingModel) -> list[int]:
    """The input sides to make ready before serving, largest first."""
    sides = {settings.input_side}
    if model.info.dynamic_size:
        sides |= {side for side in (settings.detect_second_side, settings.mask_second_side) if side}
        # Smaller sheets than the largest take the next side there is on a GPU, and their own on a CPU.
        sheets = settings.mask_closer or settings.detect_closer in ("true", "tell")
        sides |= {min(OWN_SHEETS.side_max, settings.input_side)} if sheets and not _has_closer(device, model) else set()
    return sorted(sides, reverse=True)


def _has_closer(device: str, model: ServingModel) -> bool:
    return device == "cpu" and model.closer is not None


def only_sides(device: str, settings: Settings, model: ServingModel) -> list[int]:
    """The only sides that network will be open for, largest first; empty for a CPU's, which takes them as they come."""
    return [] if device == "cpu" and model.info.dynamic_size else sides_of(device, settings, model)


def trimming_of(device: str, settings: Settings, model: ServingModel) -> Trimming | None:
    """What of the black beside pictures the network is spared; None on GPUs, which run fixed shapes."""
    return model.info.trimming if device == "cpu" and settings.trim_padding else None


def _on_cpu(model: ServingModel, settings: Settings, threads: int, max_batch: int) -> tuple[Detector, float]:
    detector = OnnxDetector(model.path, threads, trimming_of("cpu", settings, model))
    shapes = _shapes_on_cpu(model, settings, max_batch)
    began = monotonic()
    warm_up(detector, shapes)
    return detector, (monotonic() - began) / len(shapes)


def _shapes_on_cpu(model: ServingModel, settings: Settings, max_batch: int) -> list[tuple[int, Size]]:
    """Of the parts that trimming may leave of an input, those of common photographs."""
    trimming, sides = trimming_of("cpu", settings, model), sides_of("cpu", settings, model)
    sizes = {part_of(rows, cols, side, trimming) for side in sides for rows, cols in _shapes_of(side)}
    return [(batch, size) for batch in _batches(model, max_batch) for size in sizes]


def _batches(model: ServingModel, max_batch: int) -> range:
    return range(1, (max_batch if model.info.batch_invariant else 1) + 1)


def _shapes_of(side: int) -> list[tuple[int, int]]:
    """Rows and columns that square, wide and tall pictures cover of an input."""
    return [(side, side), (side * 9 // 16, side), (side, side * 9 // 16)]


def _on_gpu(
    index: int, model: ServingModel, settings: Settings, threads: int, max_batch: int, told: Told
) -> tuple[Detector, float]:
    # Imported here: a worker on the CPU needs neither onnx nor these in its memory.
    from worker.detector_gpu import open_on_gpu
    from worker.gpu_check import Strays, check_against

    largest = max_batch if model.info.batch_invariant else 1
    sides = sides_of(f"cuda:{index}", settings, model)
    detector = open_on_gpu(model, index, settings, sides, largest, told)
    detector.warm_up(told)
    truth = OnnxDetector(model.path, threads)
    try:
        check_against(truth, detector, sides, largest, told)
    except Strays as strays:
        if not detector.graphs:
            raise
        detector.without_graphs()
        check_against(truth, detector, sides, largest, told)  # what strays still is not the graphs' doing
        raise Retreat(exit_codes.WITHOUT_GRAPHS, f"replayed CUDA graphs answer wrongly: {strays}") from strays
    pictures = np.zeros((largest, settings.input_side, settings.input_side, 3), np.uint8)
    began = monotonic()
    detector.run(pictures)
    return detector, monotonic() - began
