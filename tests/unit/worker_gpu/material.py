"""A small network on the host as a device, and a device that writes down what it is asked for, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.served.facts import ServingModel
from shared.settings import Settings
from worker.detector_gpu import GpuDetector, open_on
from worker.device import Bytes, Device, Event, HostDevice, Queue
from worker.gpu_options import CPU

#: Large enough that fewer candidates come back than there are anchors (2048 at stride 8).
WIDE = 256


def on_host(
    model: ServingModel,
    sides: tuple[int, ...] = (WIDE,),
    max_batch: int = 3,
    device: Device | None = None,
    **settings: Any,
) -> GpuDetector:
    """The GPU detector with the CPU in the card's place."""
    return open_on(device or HostDevice(), model, Settings(**settings), sides, max_batch, lambda _: (CPU, {}))


def pictures(count: int, side: int = WIDE, seed: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


class WritingDevice:
    """A HostDevice that keeps a list of what was asked; events are written by their number of creation."""

    memory = "cpu"
    index = 0
    compute_stream: int | None = None

    def __init__(self) -> None:
        self._host = HostDevice()
        self.written: list[str] = []

    def host_buffer(self, size: int) -> Bytes:
        return self._host.host_buffer(size)

    def buffer(self, size: int) -> int:
        return self._host.buffer(size)

    def event(self) -> Event:
        return self._host.event()

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        self.written.append(f"upload {len(source)}")
        self._host.copy_in(address, source)

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        self.written.append("download")
        self._host.copy_out(target, address)

    def record(self, event: Event, queue: Queue) -> None:
        self.written.append(f"{queue.value} records {event}")

    def hold(self, queue: Queue, event: Event) -> None:
        self.written.append(f"{queue.value} waits for {event}")

    def wait(self, event: Event) -> None:
        self.written.append(f"host waits for {event}")


class WritingSession:
    """A session whose runs are written into the same list. fails: whether the one just written does."""

    def __init__(self, session: Any, written: list[str], fails: Callable[[list[str]], bool]) -> None:
        self._session = session
        self._written = written
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self._written.append(f"run, graph {options.get_run_config_entry('gpu_graph_id')}")
        if self._fails(self._written):
            raise RuntimeError("operation not permitted when stream is capturing\nat cuda_graph.cc")
        self._session.run_with_iobinding(binding, options)
