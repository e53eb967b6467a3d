"""What the GPU detector asks of a device: memory, copies, and three queues of work with events between them.

`worker/cuda_device.py` is an NVIDIA card; HostDevice is the same on plain memory, where all is done at once.
"""

from __future__ import annotations

import ctypes
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
#: Handle of an event; only the device that made it knows what it is.
Event = int


class Queue(Enum):
    """Work within a queue runs in order; between queues only events order it."""

    UPLOAD = "upload"
    COMPUTE = "compute"
    DOWNLOAD = "download"


class Device(Protocol):
    """memory, index: as onnxruntime names the place ("cuda", 0). compute_stream: address of the COMPUTE queue."""

    memory: str
    index: int
    compute_stream: int | None

    def host_buffer(self, size: int) -> Bytes:
        """`size` bytes the device can copy from and to by itself (page-locked); kept as long as the device."""
        ...

    def buffer(self, size: int) -> int:
        """Address of `size` bytes on the device, kept as long as the device."""
        ...

    def event(self) -> Event:
        """A new event, recorded nowhere yet."""
        ...

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        """Queues on UPLOAD a copy of a C-contiguous array, which must stay as it is until the copy is over."""
        ...

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        """Queues on DOWNLOAD a copy into a C-contiguous array."""
        ...

    def record(self, event: Event, queue: Queue) -> None:
        """Queues the event: it happens when everything queued there so far is over."""
        ...

    def hold(self, queue: Queue, event: Event) -> None:
        """What is queued there from now on waits for the event."""
        ...

    def wait(self, event: Event) -> None:
        """Blocks this thread, sleeping, until the event happened. Raises RuntimeError when the device failed."""
        ...


class HostDevice:
    """The CPU as a device: for trying the whole path, and measuring its order, where there is no card."""

    memory = "cpu"
    index = 0
    compute_stream: int | None = None

    def __init__(self) -> None:
        self._memory: dict[int, Bytes] = {}
        self._events = 0

    def host_buffer(self, size: int) -> Bytes:
        return np.zeros(size, np.uint8)

    def buffer(self, size: int) -> int:
        memory = np.zeros(size, np.uint8)
        address = int(memory.ctypes.data)
        self._memory[address] = memory
        return address

    def event(self) -> Event:
        self._events += 1
        return self._events

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        assert source.flags.c_contiguous
        ctypes.memmove(address, source.ctypes.data, source.nbytes)

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        assert target.flags.c_contiguous
        ctypes.memmove(target.ctypes.data, address, target.nbytes)

    def record(self, event: Event, queue: Queue) -> None:
        assert 1 <= event <= self._events, (event, queue)

    def hold(self, queue: Queue, event: Event) -> None:
        assert 1 <= event <= self._events, (event, queue)

    def wait(self, event: Event) -> None:
        assert 1 <= event <= self._events
