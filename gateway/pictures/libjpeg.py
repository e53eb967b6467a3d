"""A JPEG file as the numbers it stores: read, changed block by block, and written again; single rows of its picture.

By the libjpeg-turbo that Pillow brings, through its C interface. Alone knows how libjpeg is called.

An error leaves libjpeg by `error_exit`, which must not return. So whatever a file can make fail runs on a thread of
its own, which begins inside libjpeg and has nothing of Python on its stack; `error_exit` ends that thread.

Rows are read one after the other, on Python's own thread, from files of one scan. Nothing of such a file can fail any
more when its rows are read: the Huffman decoder, its reader of restart markers and the source of bytes only warn
(jdhuff.c, jdmarker.c and jdatasrc.c of libjpeg-turbo), and inverse transform, upsampling and colours see no bytes.
Should libjpeg call `error_exit` there all the same, it ends the process, as a decoder's crash does.
"""

from __future__ import annotations

import ctypes
import re
import weakref
from collections.abc import Sequence
from ctypes import byref, c_int, c_size_t, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import _imaging

from gateway.pictures import libjpeg_layout as layout
from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.libjpeg_layout import BLOCK, ComponentInfo, Compress, Decompress, Errors, HuffmanTable

#: (blocks, 64) int16, quantised, in natural order: rows of 8.
Blocks = NDArray[np.int16]
#: (H,) which rows of a picture.
Rows = NDArray[np.bool_]
#: A marker and its payload.
Segment = tuple[int, bytes]

#: Of a block of one colour: 8 × -128, and a little less on the other side.
_FIRST_MAX = 1024
#: Sampling factors of files of which jpeg_skip_scanlines skips as many rows as it says. Where rows belong together in
#: groups that are not smoothed, grey with factors of 2 for instance, libjpeg-turbo 3.2 goes wrong within a group.
_SKIPPED_RIGHTLY = {((1, 1),)} | {(first, (1, 1), (1, 1)) for first in ((1, 1), (2, 1), (4, 1), (1, 2), (2, 2))}
_POINTER = ctypes.sizeof(c_void_p)
_MAPPED = re.compile(r"(/\S*/libjpeg[^/\s]*\.so\.62\S*)$", re.MULTILINE)
_ACCESS = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint, c_uint, c_int)


class LibjpegError(Exception):
    """libjpeg cannot do this with this file, or is not there."""


@dataclass(frozen=True, slots=True)
class Component:
    """One plane of a picture. across, down: its sampling factors. columns, rows: of blocks. steps: (64,) float32."""

    across: int
    down: int
    columns: int
    rows: int
    steps: NDArray[np.float32]


class StoredJpeg:
    """The coefficients of one file, in libjpeg's memory until this is forgotten.

    width, height: as stored, in pixels. space: `layout.GRAYSCALE`, `RGB` or `YCBCR`.
    """

    def __init__(self, data: Bytes) -> None:
        """Reads the whole file. Raises LibjpegError."""
        self._errors, self._read = _errors_of_libjpeg(), Decompress()
        self._size = len(data)
        _create(self._read, self._errors)
        weakref.finalize(self, _destroy, self._read, self._errors)
        _read_header(self._read, data)
        self._arrays = _run("jpeg_read_coefficients", self._read)
        self._planes = (c_void_p * self._read.components).from_address(self._arrays)
        self._access = _ACCESS(layout.Memory.from_address(self._read.mem).access_barray)
        self.width, self.height, self.space = self._read.width, self._read.height, self._read.space
        self.components = [self._component(info) for info in _infos(self._read)]
        if self.space not in (layout.GRAYSCALE, layout.RGB, layout.YCBCR):
            raise LibjpegError("another colour space")

    def row(self, component: int, row: int) -> Blocks:
        """The blocks of one row of a component, to be read and changed."""
        rows = self._access(ctypes.addressof(self._read), self._planes[component], row, 1, 1)
        first = c_void_p.from_address(rows).value
        assert first is not None
        columns = self.components[component].columns
        return np.ctypeslib.as_array((ctypes.c_short * (columns * BLOCK)).from_address(first)).reshape(columns, BLOCK)

    def write(self, segments: Sequence[Segment]) -> memoryview:
        """A sequential file of these coefficients, with the tables of steps there were and these segments.

        Its Huffman codes are the standard ones where the file had those, else made for it. Raises LibjpegError.
        """
        library, errors, written = _library(), _errors_of_libjpeg(), Compress()
        written.err = ctypes.addressof(errors)
        library.jpeg_CreateCompress(byref(written), layout.LIB_VERSION, c_size_t(ctypes.sizeof(Compress)))
        try:
            out = np.empty(self._size + self._size // 4 + (1 << 16), np.uint8)
            place, size = c_void_p(out.ctypes.data), c_ulong(len(out))
            library.jpeg_mem_dest(byref(written), byref(place), byref(size))
            library.jpeg_copy_critical_parameters(byref(self._read), byref(written))
            written.density_unit, written.x_density, written.y_density = 0, 1, 1
            written.optimize_coding = self._read.progressive or not _same_codes(self._read, written)
            if not written.optimize_coding:  # where libjpeg looks at every number itself
                self._check_first()
            library.jpeg_write_coefficients(byref(written), c_void_p(self._arrays))
            for marker, payload in segments:
                library.jpeg_write_marker(byref(written), marker, payload, len(payload))
            _run("jpeg_finish_compress", written)
        finally:
            library.jpeg_destroy_compress(byref(written))
        if place.value == out.ctypes.data:
            return out[: size.value].data
        try:
            return memoryview(ctypes.string_at(place, size.value))
        finally:
            _c_library().free(place)

    def _check_first(self) -> None:
        """Raises LibjpegError where first coefficients lie farther apart than the standard tables have codes for.

        All others fit: they were read by the same tables.
        """
        for index, component in enumerate(self.components):
            for row in range(component.rows):
                first = self.row(index, row)[:, 0]
                if first.min() < -_FIRST_MAX or first.max() > _FIRST_MAX:
                    raise LibjpegError("coefficients out of range")

    def _component(self, info: ComponentInfo) -> Component:
        """Raises LibjpegError where a table has been replaced since the component was read: none could be written."""
        now = self._read.quant_tables[info.quant_number]
        if not info.quant_table or not now:
            raise LibjpegError("a component without data")
        steps, steps_now = (layout.QuantTable.from_address(each).steps[:] for each in (info.quant_table, now))
        if steps != steps_now:
            raise LibjpegError("tables that change")
        return Component(info.across, info.down, info.columns, info.rows, np.maximum(steps, 1).astype(np.float32))


def read_rows(data: Bytes, rows: Rows, picture: NDArray[np.uint8]) -> None:
    """Decodes some rows of a file of one scan into a picture; what its other rows hold then means nothing.

    rows: (H,) which. picture: (H, W, 3) uint8 BGR as stored, C-contiguous. Raises LibjpegError where the file is
    of another size or kind, and where libjpeg has anything to say of it, be it harmless.
    """
    errors, read = _errors_of_libjpeg(), Decompress()
    _create(read, errors)
    try:
        _read_header(read, data)
        factors = tuple((info.across, info.down) for info in _infos(read))
        one_scan = not read.progressive and read.comps_in_scan == read.components
        if (read.height, read.width) != picture.shape[:2] or not one_scan or factors not in _SKIPPED_RIGHTLY:
            raise LibjpegError("another size or kind")
        read.out_space = layout.BGR
        _run("jpeg_start_decompress", read)
        ending_thread, errors.error_exit = errors.error_exit, ctypes.cast(_c_library().abort, c_void_p).value
        _pass_over(read, rows, picture)
        errors.error_exit = ending_thread
        _run("jpeg_finish_decompress", read)
    finally:
        _destroy(read, errors)
    if errors.num_warnings:
        raise LibjpegError("warnings")


def _pass_over(read: Decompress, rows: Rows, picture: NDArray[np.uint8]) -> None:
    """Reads and skips the rows of a started file. The last one is read: libjpeg skips to the end without a look."""
    wanted = rows.copy()
    wanted[-1] = True
    places = picture.ctypes.data + np.arange(len(rows), dtype=np.uintp) * picture.strides[0]
    struct, first = ctypes.addressof(read), places.ctypes.data
    reading, skipping = _library().jpeg_read_scanlines, _library().jpeg_skip_scanlines
    row = 0
    for edge in [*(np.flatnonzero(np.diff(wanted)) + 1).tolist(), len(rows)]:
        is_wanted = wanted[row]
        while row < edge:
            passed = reading(struct, first + row * _POINTER, edge - row) if is_wanted else skipping(struct, edge - row)
            if not passed:
                raise LibjpegError("no more rows")
            row += passed


def _infos(struct: Decompress | Compress) -> list[ComponentInfo]:
    size = ctypes.sizeof(ComponentInfo)
    return [ComponentInfo.from_address(struct.comp_info + size * index) for index in range(struct.components)]


def _same_codes(read: Decompress, written: Compress) -> bool:
    """Whether the Huffman tables that would be written are those that were read."""
    dc, ac = ({getattr(info, name) for info in _infos(written)} for name in ("dc_number", "ac_number"))
    return all(_codes(read.dc_tables[at]) == _codes(written.dc_tables[at]) for at in dc) and all(
        _codes(read.ac_tables[at]) == _codes(written.ac_tables[at]) for at in ac
    )


def _codes(address: int | None) -> tuple[list[int], list[int]] | None:
    if address is None:
        return None
    table = HuffmanTable.from_address(address)
    lengths = table.lengths[1:]
    return lengths, table.symbols[: sum(lengths)]


def _run(name: str, struct: Decompress | Compress) -> int:
    """Calls a function of libjpeg's with one argument on a thread of its own. Raises LibjpegError."""
    system, thread, answer = _c_library(), c_ulong(), c_void_p()
    if system.pthread_create(byref(thread), None, getattr(_library(), name), byref(struct)):
        raise MemoryError
    system.pthread_join(thread, byref(answer))
    if answer.value == ctypes.addressof(struct):  # what `error_exit` was given
        raise LibjpegError(name)
    return answer.value or 0


def _errors_of_libjpeg() -> Errors:
    """libjpeg's own, which writes warnings to standard error; errors end the thread with their only argument."""
    errors = Errors()
    _library().jpeg_std_error(byref(errors))
    errors.error_exit = ctypes.cast(_c_library().pthread_exit, c_void_p).value
    return errors


def _create(read: Decompress, errors: Errors) -> None:
    """Who has called this calls `_destroy`."""
    read.err = ctypes.addressof(errors)
    _library().jpeg_CreateDecompress(byref(read), layout.LIB_VERSION, c_size_t(ctypes.sizeof(Decompress)))


def _read_header(read: Decompress, data: Bytes) -> None:
    """Up to the first scan's data. `data` must live as long as it is read. Raises LibjpegError."""
    stored = np.frombuffer(data, np.uint8)
    _library().jpeg_mem_src(byref(read), c_void_p(stored.ctypes.data), c_ulong(len(stored)))
    if _run("jpeg_consume_input", read) != layout.REACHED_SOS:
        raise LibjpegError("no picture")


def _destroy(read: Decompress, _errors: Errors) -> None:
    _library().jpeg_destroy_decompress(byref(read))


@cache
def _library() -> ctypes.CDLL:
    """The libjpeg that Pillow has loaded into this process. Raises LibjpegError when it is of another layout."""
    assert _imaging is not None
    found = _MAPPED.search(Path("/proc/self/maps").read_text(encoding="utf-8"))
    if found is None:
        raise LibjpegError("no libjpeg.so.62")
    library = ctypes.CDLL(found[1])
    library.jpeg_write_coefficients.restype = c_void_p
    library.jpeg_read_scanlines.argtypes = [c_void_p, c_void_p, c_uint]
    library.jpeg_skip_scanlines.argtypes = [c_void_p, c_uint]
    return library


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
