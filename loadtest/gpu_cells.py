"""What the GPU measurement measures, cell by cell: pictures a second of one network, one way of running, one batch.

Three rates, each over the worker's own code: the network alone on pictures that lie on the device; from fitted
pictures in host memory to heads in host memory, two batches on their way; the same down to faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec
import numpy as np
import onnx
from msgspec import structs

from loadtest.networks import SHAPES, random_scrfd
from models.proving.proof import proof_pictures
from models.rewriting.fp16 import to_half
from models.rewriting.widen import widen
from models.served.facts import ModelFacts, ServingModel
from shared.canary import canary_picture
from shared.messages import Canary, CropHeader, Request
from shared.settings import Settings
from worker.detector_gpu import GpuDetector, open_on, open_on_gpu
from worker.device import HostDevice
from worker.gpu_options import CPU
from worker.pipeline import Crops, Pipeline, Submitted

CONFIDENCE, NMS_THRESHOLD = 0.5, 0.4
#: Batches one after the other, each waited for: what a caller alone in the house waits.
ALONE = 30
#: Most batches of one measurement, however quick they are.
TIMES_MAX = 20_000

#: Runs so many batches and leaves nothing on its way.
Batches = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running: what is changed from the way that is served by default. options: of the CUDA provider."""

    name: str
    precision: str = "fp16"
    search: str = "heuristic"
    graphs: bool = True
    heads: str = "reduced"
    options: tuple[tuple[str, str], ...] = ()

    def settings(self, max_batch: int, side: int) -> Settings:
        changes = {
            "max_batch": max_batch,
            "input_side": side,
            "mask_second_side": 0,
            "cudnn_conv_algo_search": self.search,
            "cuda_graphs": self.graphs,
            "gpu_heads": self.heads,
        }
        return structs.replace(Settings(gpu_memory_limit_mb=32_768), **changes)


#: Served by default first; then each with one thing changed, so that every choice has its figure.
WAYS = (
    Way("default: fp16, NHWC, heuristic, graphs, reduced heads"),
    Way("fp32", precision="fp32"),
    Way("search exhaustive", search="exhaustive"),
    Way("search default", search="default"),
    Way("graphs off", graphs=False),
    Way("raw heads", heads="raw"),
    Way("bias in the convolution", options=(("fuse_conv_bias", "1"),)),
    Way("memory by powers of two", options=(("arena_extend_strategy", "kNextPowerOfTwo"),)),
)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over rounds, pictures a second, with the least and most seen; milliseconds for one batch alone."""

    network: str
    way: str
    batch: int
    model_only: tuple[float, float, float]
    heads: tuple[float, float, float]
    heads_one_slot: tuple[float, float, float]
    faces: tuple[float, float, float]
    alone_p50_ms: float
    alone_p95_ms: float


@dataclass(frozen=True, slots=True)
class Effort:
    """seconds: of each measurement. rounds: how often it is repeated."""

    seconds: float
    rounds: int


def networks(names: list[str], side: int, block: int, folder: Path) -> Iterator[tuple[str, str, ServingModel]]:
    """(network, precision, model) with random weights, written into `folder`. block: channels by so many."""
    for name in names:
        full = random_scrfd(SHAPES[name], side)
        widen(full.graph, block, block)
        for precision, network in (("fp32", full), ("fp16", to_half(full))):
            path = folder / f"{name}-{precision}.onnx"
            onnx.save(network, path)
            yield name, precision, serving_model(path, f"{name}-shaped, random", precision, side)


def serving_model(path: Path, name: str, precision: str, side: int) -> ServingModel:
    facts = ModelFacts(
        name=name, precision=precision, input_side=side, landmarks=True, batch_invariant=True, dynamic_size=False,
        license="", source_sha256="",
    )  # fmt: skip
    return ServingModel(path, facts, Canary(CONFIDENCE, NMS_THRESHOLD, [], 1.0, 1.0))


def opened(model: ServingModel, way: Way, provider: str, largest: int, told: Callable[[str], None]) -> GpuDetector:
    """A warm detector. provider: "cuda", or "cpu" for trying the script."""
    side = model.info.input_side
    settings = way.settings(largest, side)
    if provider == "cpu":
        detector = open_on(HostDevice(), model, settings, [side], largest, lambda _: (CPU, {}))
    else:
        detector = open_on_gpu(model, 0, settings, [side], largest, told, dict(way.options))
    detector.warm_up(told)
    return detector


def cell(detector: GpuDetector, network: str, way: Way, side: int, batch: int, largest: int, effort: Effort) -> Cell:
    """All rates of one batch size."""
    pictures = proof_pictures(canary_picture(), side, side)
    crops = [pictures[row % len(pictures)] for row in range(batch)]
    for room in detector.rooms(side, largest):
        room[:batch] = crops
    one_slot = partial(_one_slot, detector, side, batch)
    alone = [_seconds(one_slot, 1) * 1000 for _ in range(ALONE)]
    return Cell(
        network=network,
        way=way.name,
        batch=batch,
        model_only=_rates(partial(detector.networks[side].compute, batch), batch, effort),
        heads=_rates(partial(_two_slots, detector, side, batch), batch, effort),
        heads_one_slot=_rates(one_slot, batch, effort),
        faces=_rates(partial(_faces, Pipeline(detector, largest, print), side, crops), batch, effort),
        alone_p50_ms=round(median(alone), 3),
        alone_p95_ms=round(float(np.percentile(alone, 95)), 3),
    )


def _rates(run: Batches, pictures: int, effort: Effort) -> tuple[float, float, float]:
    """(median, least, most) pictures a second over the rounds, each of as many batches as fit its seconds."""
    run(2)
    times = max(2, min(TIMES_MAX, int(effort.seconds / max(_seconds(run, 2) / 2, 1e-6))))
    found = [times * pictures / _seconds(run, times) for _ in range(effort.rounds)]
    return round(median(found), 1), round(min(found), 1), round(max(found), 1)


def _seconds(run: Batches, times: int) -> float:
    began = perf_counter()
    run(times)
    return perf_counter() - began


def _one_slot(detector: GpuDetector, side: int, batch: int, times: int) -> None:
    for _ in range(times):
        detector.submit(side, 0, batch)
        detector.collect(side, 0, [CONFIDENCE] * batch)


def _two_slots(detector: GpuDetector, side: int, batch: int, times: int) -> None:
    """Each batch starts before the one before it is collected, as in the serving loop under load."""
    for number in range(times + 1):
        if number < times:
            detector.submit(side, number % 2, batch)
        if number:
            detector.collect(side, (number - 1) % 2, [CONFIDENCE] * batch)


def _faces(pipeline: Pipeline, side: int, crops: Crops, times: int) -> None:
    """The worker's pipeline: crops are copied in, faces come out."""
    request = Request(1, 60_000, CONFIDENCE, NMS_THRESHOLD, 0, side, side, (CropHeader(side, side, side, 1.0),))
    jobs: list[tuple[Request, Crops]] = [(request, [crop]) for crop in crops]
    flying: list[Submitted] = []
    for _ in range(times):
        flying.append(pipeline.submit(jobs))
        if len(flying) == pipeline.depth:
            pipeline.collect(flying.pop(0))
    for submitted in flying:
        pipeline.collect(submitted)
