"""What the CUDA runtime is called with; a stand-in for the library writes it down."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from shared.errors import ConfigurationError
from worker.cuda_device import CudaDevice, CudaRuntime
from worker.device import Queue


class WritingLibrary:
    """libcudart whose handles are numbers from 100 on and whose memory is the host's."""

    def __init__(self, cards: int = 2, fails: str = "") -> None:
        self.cards = cards
        self.fails = fails
        self.written: list[tuple[str, tuple[Any, ...]]] = []
        self.memory: list[Any] = []

    def call(self, function: str, *arguments: Any) -> None:
        self.written.append((function, arguments))
        if function == self.fails:
            raise RuntimeError(f"{function}: no CUDA-capable device is detected (CUDA error 100)")

    def number(self, function: str) -> int:
        self.call(function)
        return self.cards

    def made(self, function: str, *arguments: Any) -> int:
        self.call(function, *arguments)
        if function == "cudaHostAlloc":
            self.memory.append(ctypes.create_string_buffer(arguments[0]))
            return ctypes.addressof(self.memory[-1])
        return 99 + len(
            [name for name, _ in self.written if name.startswith(("cudaStream", "cudaEvent", "cudaMalloc"))]
        )


def device(library: WritingLibrary, index: int = 1) -> CudaDevice:
    return CudaDevice(library, index)  # type: ignore[arg-type]


def test_a_card_is_chosen_first_and_has_a_stream_per_queue() -> None:
    library = WritingLibrary()
    card = device(library)
    assert [name for name, _ in library.written] == [
        "cudaGetDeviceCount", "cudaSetDevice", *["cudaStreamCreateWithFlags"] * 3,
    ]  # fmt: skip
    assert library.written[1] == ("cudaSetDevice", (1,))
    assert card.compute_stream == 101


def test_copies_go_both_ways_each_on_its_own_stream_and_events_order_them() -> None:
    library = WritingLibrary()
    card = device(library)
    upload, compute, download = (card._streams[queue] for queue in Queue)
    assert len({upload, compute, download}) == 3
    host, event = card.host_buffer(8), card.event()
    library.written.clear()
    card.copy_in(4096, host[:4])
    card.record(event, Queue.UPLOAD)
    card.hold(Queue.COMPUTE, event)
    card.copy_out(host, 8192)
    card.wait(event)
    here = host.ctypes.data
    assert library.written == [
        ("cudaMemcpyAsync", (4096, here, 4, 1, upload)),
        ("cudaEventRecord", (event, upload)),
        ("cudaStreamWaitEvent", (compute, event, 0)),
        ("cudaMemcpyAsync", (here, 8192, 8, 2, download)),
        ("cudaEventSynchronize", (event,)),
    ]


def test_host_memory_is_page_locked_and_black_and_device_memory_is_cleared_before_any_stream_may_use_it() -> None:
    library = WritingLibrary()
    card = device(library)
    host = card.host_buffer(16)
    assert (host.shape, host.dtype, int(host.max())) == ((16,), np.uint8, 0)
    host[:] = 7
    assert bytes(library.memory[0]) == bytes([7] * 16)
    address = card.buffer(32)
    upload = card._streams[Queue.UPLOAD]
    assert library.written[-2:] == [("cudaMemsetAsync", (address, 0, 32, upload)), ("cudaStreamSynchronize", (upload,))]


@pytest.mark.parametrize("index", [2, -1])
def test_a_card_that_is_not_there_is_refused_with_its_mend(index: int) -> None:
    with pytest.raises(ConfigurationError, match=r"2 card.*FACE_API_WORKERS"):
        device(WritingLibrary(), index)


def test_a_driver_that_does_not_answer_is_refused_with_its_mend() -> None:
    with pytest.raises(ConfigurationError, match="driver 580"):
        device(WritingLibrary(fails="cudaGetDeviceCount"))


def test_without_the_library_the_installation_is_named() -> None:
    with pytest.raises(ConfigurationError, match="make install ACCEL=gpu"):
        CudaRuntime("9999.0")
