"""How libjpeg is called: the library that Pillow brings, its structures, its errors.

An error leaves libjpeg by `error_exit`, which must not return. So whatever a file can make fail runs on a thread of
its own, which begins inside libjpeg and has nothing of Python on its stack; `error_exit` ends that thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Iterator, Sequence
from ctypes import byref, c_size_t, c_uint, c_ulong, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from gateway.pictures import libjpeg_layout as layout
from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.libjpeg_layout import ComponentInfo, Compress, Decompress, Errors, HuffmanTable

#: How many codes of each length there are, from 1 to 16 bits, and their symbols.
Codes = tuple[list[int], list[int]]
#: A marker and its payload.
Segment = tuple[int, bytes]

_BLOCK_SIDE = 8
_MAPPED = re.compile(r"(/\S*/libjpeg[^/\s]*\.so\.62\S*)$", re.MULTILINE)


class LibjpegError(Exception):
    """libjpeg cannot do this with this file, or is not there."""


def infos_of(struct: Decompress | Compress) -> list[ComponentInfo]:
    """Of its components: views, which end with it."""
    size = ctypes.sizeof(ComponentInfo)
    return [ComponentInfo.from_address(struct.comp_info + size * index) for index in range(struct.components)]


def codes_at(address: int | None) -> Codes | None:
    """The codes of a table; None where there is none."""
    if address is None:
        return None
    table = HuffmanTable.from_address(address)
    lengths = table.lengths[1:]
    return lengths, table.symbols[: sum(lengths)]


def restarts_in_rows(read: Decompress) -> bool:
    """Whether a restart marker stands behind each row of MCUs of a file with one scan."""
    across = max(info.across for info in infos_of(read)) * _BLOCK_SIDE
    one_scan = not read.progressive and read.comps_in_scan == read.components
    return one_scan and bool(read.restart_interval == -(-read.width // across))


@cache
def usual_codes() -> tuple[tuple[Codes, Codes], ...]:
    """For DC and AC, those of T.81 annex K: of brightness, of colour."""
    with compressing() as written:
        written.input_components, written.in_space = 3, layout.YCBCR
        run("jpeg_set_defaults", written)
        tables = [(codes_at(written.dc_tables[number]), codes_at(written.ac_tables[number])) for number in (0, 1)]
    return tuple((dc, ac) for dc, ac in tables if dc and ac)


def run(name: str, struct: Decompress | Compress) -> int:
    """Calls a function of libjpeg's with one argument on a thread of its own. Raises LibjpegError."""
    system, thread, answer = c_library(), c_ulong(), c_void_p()
    if system.pthread_create(byref(thread), None, getattr(library(), name), byref(struct)):
        raise MemoryError
    system.pthread_join(thread, byref(answer))
    if answer.value == ctypes.addressof(struct):  # what `error_exit` was given
        raise LibjpegError(name)
    return answer.value or 0


def own_errors() -> Errors:
    """libjpeg's own, which writes warnings to standard error; errors end the thread with their only argument."""
    errors = Errors()
    library().jpeg_std_error(byref(errors))
    errors.error_exit = ctypes.cast(c_library().pthread_exit, c_void_p).value
    return errors


def end_process_on_error(struct: Decompress | Compress) -> None:
    """From now on its functions may be called on Python's own thread: an error there ends the process."""
    Errors.from_address(struct.err).error_exit = ctypes.cast(c_library().abort, c_void_p).value


def places_of_rows(pixels: NDArray[np.uint8]) -> NDArray[np.uintp]:
    """Where the rows of a plane or a picture lie: what libjpeg calls a sample array, once it has its address."""
    return pixels.ctypes.data + np.arange(len(pixels), dtype=np.uintp) * np.uintp(pixels.strides[0])


@contextlib.contextmanager
def compressing() -> Iterator[Compress]:
    """A file that is to be written. All that libjpeg holds of it ends with the block."""
    errors, written = own_errors(), Compress()
    written.err = ctypes.addressof(errors)
    library().jpeg_CreateCompress(byref(written), layout.LIB_VERSION, c_size_t(ctypes.sizeof(Compress)))
    try:
        yield written
    finally:
        library().jpeg_destroy_compress(byref(written))


class Destination:
    """Memory that a file is written to: so many bytes, and as many more as it takes."""

    def __init__(self, written: Compress, room: int) -> None:
        self._own = np.empty(room, np.uint8)
        self._place, self._size = c_void_p(self._own.ctypes.data), c_ulong(room)
        library().jpeg_mem_dest(byref(written), byref(self._place), byref(self._size))

    def file(self) -> memoryview:
        """What was written, once it is finished; called once."""
        if self._place.value == self._own.ctypes.data:
            return self._own[: self._size.value].data
        try:
            return memoryview(ctypes.string_at(self._place, self._size.value))
        finally:
            c_library().free(self._place)


def write_segments(written: Compress, segments: Sequence[Segment]) -> None:
    """Behind the head of a file that was started."""
    for marker, payload in segments:
        library().jpeg_write_marker(byref(written), marker, payload, len(payload))


def create(read: Decompress, errors: Errors) -> None:
    """Who has called this calls `destroy`."""
    read.err = ctypes.addressof(errors)
    library().jpeg_CreateDecompress(byref(read), layout.LIB_VERSION, c_size_t(ctypes.sizeof(Decompress)))


def read_header(read: Decompress, data: Bytes) -> None:
    """Up to the first scan's data. `data` must live as long as it is read. Raises LibjpegError."""
    stored = np.frombuffer(data, np.uint8)
    library().jpeg_mem_src(byref(read), c_void_p(stored.ctypes.data), c_ulong(len(stored)))
    if run("jpeg_consume_input", read) != layout.REACHED_SOS:
        raise LibjpegError("no picture")


def destroy(read: Decompress, _errors: Errors) -> None:
    """Frees all that libjpeg holds of it."""
    library().jpeg_destroy_decompress(byref(read))


@cache
def library() -> ctypes.CDLL:
    """The libjpeg that Pillow has loaded into this process. Raises LibjpegError when it is of another layout."""
    assert _imaging is not None
    found = _MAPPED.search(Path("/proc/self/maps").read_text(encoding="utf-8"))
    if found is None:
        raise LibjpegError("no libjpeg.so.62")
    calls = ctypes.CDLL(found[1])
    calls.jpeg_write_coefficients.restype = c_void_p
    calls.jpeg_read_scanlines.argtypes = [c_void_p, c_void_p, c_uint]
    calls.jpeg_skip_scanlines.argtypes = [c_void_p, c_uint]
    calls.jpeg_read_raw_data.argtypes = calls.jpeg_write_raw_data.argtypes = [c_void_p, c_void_p, c_uint]
    return calls


@cache
def c_library() -> ctypes.CDLL:
    """What this process is linked with."""
    return ctypes.CDLL(None)
