"""A JPEG file as the numbers it stores: read, changed block by block, and written again."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import byref, c_int, c_uint, c_void_p
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.pictures import libjpeg_layout as layout
from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.libjpeg_calls import (
    Destination,
    LibjpegError,
    Segment,
    codes_at,
    compressing,
    create,
    destroy,
    infos_of,
    library,
    own_errors,
    places_of_rows,
    read_header,
    restarts_in_rows,
    run,
    write_segments,
)
from gateway.pictures.libjpeg_layout import BLOCK, ComponentInfo, Compress, Decompress

#: (rows, columns, 64) int16: blocks of one component, quantised, in natural order: rows of 8.
Plane = NDArray[np.int16]

#: Of a block of one colour: 8 × -128, and a little less on the other side.
_FIRST_MAX = 1024
_BLOCK_BYTES = 2 * BLOCK
#: Bytes for a file's head.
_ROOM = 1 << 16
_ACCESS = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint, c_uint, c_int)


@dataclass(frozen=True, slots=True)
class Component:
    """One plane of a picture. across, down: its sampling factors. columns, rows: of blocks. steps: (64,)."""

    across: int
    down: int
    columns: int
    rows: int
    steps: NDArray[np.int64]


class StoredJpeg:
    """The coefficients of one file, in libjpeg's memory until this is forgotten.

    width, height: as stored, in pixels. space: `layout.GRAYSCALE`, `RGB` or `YCBCR`.
    """

    def __init__(self, data: Bytes) -> None:
        """Reads the whole file. Raises LibjpegError."""
        self._errors, self._read = own_errors(), Decompress()
        self._size = len(data)
        create(self._read, self._errors)
        weakref.finalize(self, destroy, self._read, self._errors)
        read_header(self._read, data)
        self._arrays = run("jpeg_read_coefficients", self._read)
        self._planes = (c_void_p * self._read.components).from_address(self._arrays)
        self._access = _ACCESS(layout.Memory.from_address(self._read.mem).access_barray)
        self.width, self.height, self.space = self._read.width, self._read.height, self._read.space
        self.components = [self._component(info) for info in infos_of(self._read)]
        if self.space not in (layout.GRAYSCALE, layout.RGB, layout.YCBCR):
            raise LibjpegError("another colour space")

    def plane(self, component: int) -> Plane:
        """The blocks of a component, to be read and changed while this is remembered."""
        columns, rows = self.components[component].columns, self.components[component].rows
        first, last = (self._row_at(component, row) for row in (0, rows - 1))
        stride = (last - first) // max(1, rows - 1) or columns * _BLOCK_BYTES
        if stride < columns * _BLOCK_BYTES or (last - first) != stride * (rows - 1):
            raise LibjpegError("rows that lie apart")  # never: libjpeg lays out a gigabyte in one piece
        memory = (ctypes.c_short * (stride // 2 * rows)).from_address(first)
        return np.ctypeslib.as_array(memory).reshape(rows, stride // _BLOCK_BYTES, BLOCK)[:, :columns]

    @property
    def ends_in_a_number(self) -> bool:
        """Whether the last block's last coefficient is not zero, so that no code tells the block's end."""
        return bool(self.plane(len(self.components) - 1)[-1, -1, -1])

    def _row_at(self, component: int, row: int) -> int:
        rows = self._access(ctypes.addressof(self._read), self._planes[component], row, 1, 1)
        address = c_void_p.from_address(rows).value
        assert address is not None
        return address

    def like(self, pixels: NDArray[np.uint8]) -> StoredJpeg:
        """A file of these pixels, (rows, columns, 3) uint8 BGR, with this one's steps, sampling and colours.

        Raises LibjpegError.
        """
        if not all(component.steps.all() for component in self.components):
            raise LibjpegError("steps of nothing")
        calls, rows = library(), places_of_rows(pixels)
        with compressing() as written:
            destination = Destination(written, pixels.nbytes // 2 + _ROOM)
            calls.jpeg_copy_critical_parameters(byref(self._read), byref(written))
            written.height, written.width, written.input_components = pixels.shape
            written.in_space = layout.BGR
            calls.jpeg_start_compress(byref(written), 1)
            calls.jpeg_write_scanlines(byref(written), c_void_p(rows.ctypes.data), len(rows))
            run("jpeg_finish_compress", written)
            return StoredJpeg(destination.file())

    def write(self, segments: Sequence[Segment]) -> memoryview:
        """A sequential file of these coefficients, with the tables of steps there were and these segments.

        Its Huffman codes are the standard ones where the file had those, else made for it. Raises LibjpegError.
        """
        calls = library()
        with compressing() as written:
            destination = Destination(written, self._size + self._size // 4 + _ROOM)
            calls.jpeg_copy_critical_parameters(byref(self._read), byref(written))
            if restarts_in_rows(self._read):
                written.restart_interval = self._read.restart_interval
            written.density_unit, written.x_density, written.y_density = 0, 1, 1
            written.optimize_coding = self._read.progressive or not _same_codes(self._read, written)
            if not written.optimize_coding:  # where libjpeg looks at every number itself
                self._check_first()
            calls.jpeg_write_coefficients(byref(written), c_void_p(self._arrays))
            write_segments(written, segments)
            run("jpeg_finish_compress", written)
            return destination.file()

    def _check_first(self) -> None:
        """Raises LibjpegError where first coefficients lie farther apart than the standard tables have codes for.

        All others fit: they were read by the same tables.
        """
        for index in range(len(self.components)):
            first = np.ascontiguousarray(self.plane(index)[:, :, 0])  # read twice, and they lie far apart
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
        return Component(info.across, info.down, info.columns, info.rows, np.array(steps))


def _same_codes(read: Decompress, written: Compress) -> bool:
    """Whether the Huffman tables that would be written are those that were read."""
    dc, ac = ({getattr(info, name) for info in infos_of(written)} for name in ("dc_number", "ac_number"))
    return all(codes_at(read.dc_tables[at]) == codes_at(written.dc_tables[at]) for at in dc) and all(
        codes_at(read.ac_tables[at]) == codes_at(written.ac_tables[at]) for at in ac
    )
