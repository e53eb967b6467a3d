"""The network on a GPU: opened, asserted, warmed, and run with one batch on its way in while another computes.

There is no silent fallback: provider, device and every node are what was asked for, or the worker does not start.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnxruntime

from models.rewriting.gpu_form import gpu_form
from models.served.anchors import Size
from models.served.facts import ServingModel
from shared.errors import ConfigurationError
from shared.settings import Settings
from worker.bound_network import DEPTH, BoundNetwork
from worker.buckets import buckets_up_to
from worker.cannot_run import first_line
from worker.cuda_device import CudaDevice, CudaRuntime
from worker.detector import ImageBatch
from worker.device import Device
from worker.gpu_options import (
    CPU,
    CUDA,
    SESSION_ENTRIES,
    Provider,
    check_assignment,
    check_available,
    cuda_provider,
    memory_limits,
)
from worker.scrfd import AnyHeads, Heads

Told = Callable[[str], None]


class GpuDetector:
    """Networks by input side. provider: what really runs. depth: batches that may be on their way at once."""

    def __init__(self, networks: dict[int, BoundNetwork], provider: str, *, landmarks: bool) -> None:
        self.networks = networks
        self.provider = provider
        self.landmarks = landmarks
        self.depth = DEPTH

    def rooms(self, side: int, _max_batch: int) -> list[ImageBatch]:
        """Images to write into before `submit`, one array per slot."""
        return self.networks[side].rooms

    def submit(self, side: int, room: int, count: int, _part: Size | None = None) -> None:
        """Starts the first `count` images of that room, whole; see BoundNetwork."""
        self.networks[side].submit(room, count)

    def collect(self, side: int, room: int, thresholds: Sequence[float]) -> list[tuple[AnyHeads, int]]:
        """(heads, row) per picture; see BoundNetwork."""
        return self.networks[side].collect(room, thresholds)

    def run(self, images: ImageBatch) -> Heads:
        """Raw heads, the caller waiting; for checks. Nothing of this side may be on its way."""
        return self.networks[images.shape[1]].run(images)

    @property
    def graphs(self) -> bool:
        """Whether recorded graphs are replayed."""
        return any(network.graphs for network in self.networks.values())

    def without_graphs(self) -> None:
        """From now on nothing is replayed."""
        for network in self.networks.values():
            network.graphs = False

    def warm_up(self, told: Told) -> None:
        """All sides and buckets; see BoundNetwork. Raises Retreat."""
        for side, network in self.networks.items():
            told(f"warming every batch size at {side}")
            network.warm_up()


def open_on_gpu(
    model: ServingModel,
    index: int,
    settings: Settings,
    sides: Sequence[int],
    max_batch: int,
    told: Told,
    options: Mapping[str, str] = MappingProxyType({}),
) -> GpuDetector:
    """The model on card `index`, ready but not warm. options: of the provider, over ours, for measuring.

    Raises ConfigurationError with the mend.
    """
    onnxruntime.preload_dlls()  # first of all: what there is can be told only once its libraries are found
    check_available(CUDA, onnxruntime.get_available_providers())
    device = CudaDevice(CudaRuntime(onnxruntime.cuda_version), index)
    limits = memory_limits(settings, sides)
    stream = device.compute_stream
    assert stream is not None

    def provider(side: int) -> Provider:
        name, ours = cuda_provider(settings, model.info.precision, index, stream, limits[side])
        return name, ours | dict(options)

    told(f"cuda:{index}, graphs {'on' if settings.cuda_graphs else 'off'}, {settings.gpu_heads} heads")
    return open_on(device, model, settings, sides, max_batch, provider)


def open_on(
    device: Device,
    model: ServingModel,
    settings: Settings,
    sides: Sequence[int],
    max_batch: int,
    provider: Callable[[int], Provider],
) -> GpuDetector:
    """The model on any device; the host with its own provider is one for trying. provider: for an input side."""
    reduced = settings.gpu_heads == "reduced"
    graph_ids = itertools.count(1) if settings.cuda_graphs else None
    networks = {}
    for side in sides:
        chosen = provider(side)
        networks[side] = BoundNetwork(
            _session(gpu_form(model.path, side, reduced=reduced), chosen, model.path),
            device,
            side,
            buckets_up_to(max_batch if model.info.batch_invariant else 1),
            _run_options,
            landmarks=model.info.landmarks,
            reduced=reduced,
            graph_ids=graph_ids,
        )
    return GpuDetector(networks, chosen[0], landmarks=model.info.landmarks)


def _session(data: bytes, provider: Provider, path: Path) -> Any:
    """An InferenceSession in which every node runs where it was asked to. Raises ConfigurationError."""
    name, _options = provider
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in SESSION_ENTRIES.items():
        if name != CPU or key != "session.disable_cpu_ep_fallback":  # on purpose it is no fallback
            options.add_session_config_entry(key, value)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[provider])
    except Exception as error:  # onnxruntime has a dozen kinds, and a card adds its own
        raise ConfigurationError(
            f"{path} cannot be opened on {name}: {first_line(error)}; check the driver (`nvidia-smi`) and "
            "the installation (rm -rf .venv && make install ACCEL=gpu), or set FACE_API_ACCELERATOR=cpu"
        ) from error
    session.disable_fallback()
    check_assignment(session, name)
    return session


def _run_options(entries: dict[str, str]) -> Any:
    options = onnxruntime.RunOptions()
    for key, value in entries.items():
        options.add_run_config_entry(key, value)
    return options
