"""An NVIDIA card through the CUDA runtime that onnxruntime brings along. The only place that calls it.

A dozen functions by ctypes rather than a package: the library is loaded anyway, and its C interface has been the
same for a decade. ctypes lets other threads run during a call.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from worker.device import Bytes, Event, Queue

# Values of driver_types.h and cuda_runtime_api.h.
_TO_DEVICE, _TO_HOST = 1, 2
_STREAM_NON_BLOCKING = 1
_EVENT_BLOCKING_SYNC, _EVENT_NO_TIMING = 1, 2
_HOST_ALLOC_DEFAULT = 0

_POINTER = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cudaGetDeviceCount": (ctypes.POINTER(ctypes.c_int),),
    "cudaSetDevice": (ctypes.c_int,),
    "cudaMemGetInfo": (ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)),
    "cudaDriverGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cudaRuntimeGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cudaMalloc": (ctypes.POINTER(_POINTER), ctypes.c_size_t),
    "cudaMemsetAsync": (_POINTER, ctypes.c_int, ctypes.c_size_t, _POINTER),
    "cudaHostAlloc": (ctypes.POINTER(_POINTER), ctypes.c_size_t, ctypes.c_uint),
    "cudaStreamCreateWithFlags": (ctypes.POINTER(_POINTER), ctypes.c_uint),
    "cudaStreamSynchronize": (_POINTER,),
    "cudaEventCreateWithFlags": (ctypes.POINTER(_POINTER), ctypes.c_uint),
    "cudaEventRecord": (_POINTER, _POINTER),
    "cudaStreamWaitEvent": (_POINTER, _POINTER, ctypes.c_uint),
    "cudaEventSynchronize": (_POINTER,),
    "cudaMemcpyAsync": (_POINTER, _POINTER, ctypes.c_size_t, ctypes.c_int, _POINTER),
}


class CudaRuntime:
    """libcudart with its functions declared; every failure is raised in the runtime's own words."""

    def __init__(self, cuda_version: str) -> None:
        """cuda_version: what onnxruntime was built with, "13.0"; the libraries must be loaded or loadable."""
        name = f"libcudart.so.{cuda_version.split('.', maxsplit=1)[0]}"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise ConfigurationError(
                f"{name} cannot be loaded ({error}); mend it with: rm -rf .venv && make install ACCEL=gpu"
            ) from error
        self._library.cudaGetErrorString.restype = ctypes.c_char_p
        for function, arguments in _SIGNATURES.items():
            getattr(self._library, function).argtypes = arguments

    def call(self, function: str, *arguments: Any) -> None:
        """Raises RuntimeError when the runtime reports an error, at once or from earlier work."""
        status = getattr(self._library, function)(*arguments)
        if status:
            words = self._library.cudaGetErrorString(status).decode()
            raise RuntimeError(f"{function}: {words} (CUDA error {status})")

    def number(self, function: str) -> int:
        """The answer of a function that writes one int."""
        answer = ctypes.c_int()
        self.call(function, ctypes.byref(answer))
        return answer.value

    def made(self, function: str, *arguments: Any) -> int:
        """The address or handle a function writes as its first argument."""
        handle = _POINTER()
        self.call(function, ctypes.byref(handle), *arguments)
        assert handle.value is not None, function
        return handle.value

    def memory(self) -> tuple[int, int]:
        """(free, whole) bytes of the present card."""
        free, whole = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(whole))
        return free.value, whole.value


class CudaDevice:
    """One card with a stream per queue. Made once per process, in the thread that uses it, never before a fork."""

    memory = "cuda"

    def __init__(self, runtime: CudaRuntime, index: int) -> None:
        count = _cards(runtime)
        if not 0 <= index < count:
            raise ConfigurationError(
                f"cuda:{index} was asked for, but CUDA shows this process {count} card(s); set FACE_API_WORKERS to "
                "that number or fewer, or widen CUDA_VISIBLE_DEVICES"
            )
        self.runtime = runtime
        self.index = index
        runtime.call("cudaSetDevice", index)
        self._streams = {queue: runtime.made("cudaStreamCreateWithFlags", _STREAM_NON_BLOCKING) for queue in Queue}
        self.compute_stream: int | None = self._streams[Queue.COMPUTE]

    def host_buffer(self, size: int) -> Bytes:
        address = self.runtime.made("cudaHostAlloc", size, _HOST_ALLOC_DEFAULT)
        view: Bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        view[:] = 0
        return view

    def buffer(self, size: int) -> int:
        address = self.runtime.made("cudaMalloc", size)
        # On a stream of ours, and waited for: clearing on the default one is not over when it returns, and non-blocking
        # streams do not wait for that one.
        self.runtime.call("cudaMemsetAsync", address, 0, size, self._streams[Queue.UPLOAD])
        self.runtime.call("cudaStreamSynchronize", self._streams[Queue.UPLOAD])
        return address

    def event(self) -> Event:
        return self.runtime.made("cudaEventCreateWithFlags", _EVENT_BLOCKING_SYNC | _EVENT_NO_TIMING)

    def copy_in(self, address: int, source: NDArray[Any]) -> None:
        assert source.flags.c_contiguous
        self._copy(address, source.ctypes.data, source.nbytes, _TO_DEVICE, Queue.UPLOAD)

    def copy_out(self, target: NDArray[Any], address: int) -> None:
        assert target.flags.c_contiguous
        self._copy(target.ctypes.data, address, target.nbytes, _TO_HOST, Queue.DOWNLOAD)

    def record(self, event: Event, queue: Queue) -> None:
        self.runtime.call("cudaEventRecord", event, self._streams[queue])

    def hold(self, queue: Queue, event: Event) -> None:
        self.runtime.call("cudaStreamWaitEvent", self._streams[queue], event, 0)

    def wait(self, event: Event) -> None:
        self.runtime.call("cudaEventSynchronize", event)

    def _copy(self, target: int, source: int, size: int, kind: int, queue: Queue) -> None:
        self.runtime.call("cudaMemcpyAsync", target, source, size, kind, self._streams[queue])


def _cards(runtime: CudaRuntime) -> int:
    try:
        return runtime.number("cudaGetDeviceCount")
    except RuntimeError as error:
        raise ConfigurationError(
            f"CUDA does not answer ({error}); CUDA 13 needs driver 580 or later, `nvidia-smi` shows yours"
        ) from error
