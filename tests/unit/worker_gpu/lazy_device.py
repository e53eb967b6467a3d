"""A device that does queued work late, in any order the events allow; and a network that says which picture it saw.

Where the code under test forgets to order two queues, some order reads memory before it is written.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.device import Bytes, Event, HostDevice, Queue

#: What memory holds before anything was written; no picture's number.
UNWRITTEN = 251
Choose = Callable[[Sequence[Queue]], Queue]


@dataclass(slots=True)
class Step:
    """work: done when its turn comes; not before `event` happened for the `time`-th time."""

    work: Callable[[], None]
    event: Event = 0
    time: int = 0


class LazyDevice(HostDevice):
    """choose: which queue does its next step, of those that can. deaf: queues that wait for no event."""

    def __init__(self, choose: Choose, deaf: Sequence[Queue] = ()) -> None:
        super().__init__()
        self._choose, self._deaf = choose, deaf
        self._steps: dict[Queue, deque[Step]] = {queue: deque() for queue in Queue}
        self._recorded: dict[Event, int] = {}
        self._happened: dict[Event, int] = {}

    def host_buffer(self, size: int) -> Bytes:
        return np.full(size, UNWRITTEN, np.uint8)

    def buffer(self, size: int) -> int:
        address = super().buffer(size)
        ctypes.memset(address, UNWRITTEN, size)
        return address

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        self.queue(Queue.UPLOAD, lambda: ctypes.memmove(address, source.ctypes.data, source.nbytes))

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        self.queue(Queue.DOWNLOAD, lambda: ctypes.memmove(target.ctypes.data, address, target.nbytes))

    def record(self, event: Event, queue: Queue) -> None:
        self._recorded[event] = time = self._recorded.get(event, 0) + 1
        self.queue(queue, lambda: self._happened.update({event: time}))

    def hold(self, queue: Queue, event: Event) -> None:
        if queue not in self._deaf:
            self._steps[queue].append(Step(lambda: None, event, self._recorded.get(event, 0)))

    def wait(self, event: Event) -> None:
        while self._happened.get(event, 0) < self._recorded.get(event, 0):
            self.step()

    def queue(self, queue: Queue, work: Callable[[], object]) -> None:
        self._steps[queue].append(Step(lambda: work() and None))

    def step(self) -> None:
        """One step of one queue."""
        able = [queue for queue, steps in self._steps.items() if steps and self._can(steps[0])]
        assert able, "every queue waits for another"
        self._steps[self._choose(able)].popleft().work()

    def idle(self) -> bool:
        return not any(self._steps.values())

    def _can(self, step: Step) -> bool:
        return self._happened.get(step.event, 0) >= step.time


@dataclass(slots=True)
class Binding:
    """Addresses as onnxruntime is told them."""

    images: tuple[tuple[int, ...], int] = ((), 0)
    outputs: list[tuple[Any, tuple[int, ...], int]] = field(default_factory=list)

    def bind_input(self, _name: str, _memory: str, _index: int, _kind: Any, shape: tuple[int, ...], at: int) -> None:
        self.images = (shape, at)

    def bind_output(self, _name: str, _memory: str, _index: int, kind: Any, shape: tuple[int, ...], at: int) -> None:
        self.outputs.append((kind, shape, at))


class SayingSession:
    """Stands in for onnxruntime on the COMPUTE queue: all that it answers for a picture is the picture's first byte."""

    def __init__(self, device: LazyDevice) -> None:
        self._device = device

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="images")]

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding, _options: Any) -> None:
        self._device.queue(Queue.COMPUTE, lambda: _say(binding))


def _say(binding: Binding) -> None:
    shape, at = binding.images
    seen = _view(at, np.uint8, shape)[:, 0, 0, 0]
    for kind, shape, place in binding.outputs:
        answer = _view(place, kind, shape)
        values = np.zeros_like(seen) if kind is np.int32 else seen  # an index of no anchor would be refused
        answer[:] = values.reshape(-1, *[1] * (answer.ndim - 1))


def _view(address: int, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(kind).reshape(shape)
