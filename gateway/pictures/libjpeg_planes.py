"""A JPEG's planes as its blocks hold them, before colours are made of them: read, and written as a file.

What lies between planes and colours is a quarter of what decoding and encoding cost together.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref, c_void_p
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from gateway.pictures import libjpeg_layout as layout
from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.image_decode import upright
from gateway.pictures.libjpeg_calls import (
    Destination,
    LibjpegError,
    Segment,
    compressing,
    end_process_on_error,
    infos_of,
    library,
    places_of_rows,
    run,
    write_segments,
)
from gateway.pictures.libjpeg_layout import Compress, Decompress
from gateway.pictures.libjpeg_rows import factors_of, single_scan, start_reading
from gateway.pictures.regions import Pixels

#: Samples of a block and pixels of an MCU, each way; bits of a sample.
_BLOCK, _MCU, _BITS = 8, 16, 8
_HALVED = ((2, 2), (1, 1), (1, 1))
#: Sampling factors whose colours are halved already, or can be.
_SAMPLINGS = {_HALVED, ((2, 1), (1, 1), (1, 1)), ((1, 1), (1, 1), (1, 1))}
#: Bytes for a file's head, with its EXIF.
_HEAD_BYTES = 1 << 17


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture as brightness and two planes of colour, of which a sample stands for 2 × 2 pixels.

    width, height: pixels. y: (rows, columns) uint8, whole MCUs of 16 × 16; cb, cr: half as many each way. What lies
    beyond the picture means nothing.
    """

    width: int
    height: int
    y: Pixels
    cb: Pixels
    cr: Pixels

    @property
    def nbytes(self) -> int:
        return self.y.nbytes + self.cb.nbytes + self.cr.nbytes

    def of_picture(self) -> tuple[Pixels, Pixels, Pixels]:
        """Y, Cb and Cr: views without what lies beyond the picture."""
        rows, columns = halves(self.height), halves(self.width)
        return self.y[: self.height, : self.width], self.cb[:rows, :columns], self.cr[:rows, :columns]

    def close_edges(self) -> None:
        """Lets the picture's last samples go on beyond it: what lies there may tell of what was hidden."""
        for plane, shown in zip((self.y, self.cb, self.cr), self.of_picture(), strict=True):
            rows, columns = shown.shape
            plane[:, columns:] = plane[:, columns - 1 : columns]
            plane[rows:] = plane[rows - 1]


def halves(length: int) -> int:
    """Samples of colour for so many pixels in a row."""
    return -(-length // 2)


def read_planes(data: Bytes, orientation: int = 1) -> Planes:
    """The planes of the upright picture. orientation: EXIF 1..8 of the file.

    Raises LibjpegError for a file of several scans, of other colours or of unusual sampling, where turning it would
    move its colours by half a sample, and where libjpeg has anything to say of it, be it harmless.
    """
    with single_scan(data) as read:
        factors = factors_of(infos_of(read))
        odd = orientation != 1 and (read.width % 2 or read.height % 2)
        if factors not in _SAMPLINGS or (read.space, read.precision) != (layout.YCBCR, _BITS) or odd:
            raise LibjpegError("another kind")
        width, height = read.width, read.height
        stored = _read_all(read, factors)
    if factors == _HALVED and orientation == 1:
        return Planes(width, height, *stored)
    across, down = factors[0]
    shapes = (height, width), *[(-(-height // down), -(-width // across))] * 2
    y, *colours = (
        upright(plane[:rows, :columns], orientation) for plane, (rows, columns) in zip(stored, shapes, strict=True)
    )
    return _planes_of(y, *colours)


def write_planes(planes: Planes, quality: int, segments: Sequence[Segment]) -> memoryview:
    """A file of them. quality: 1..100, as libjpeg counts. segments: what stands in its head."""
    planes.close_edges()
    calls = library()
    with compressing() as written:
        destination = Destination(written, planes.width * planes.height + _HEAD_BYTES)
        written.width, written.height = planes.width, planes.height
        written.input_components, written.in_space = 3, layout.YCBCR
        run("jpeg_set_defaults", written)
        calls.jpeg_set_quality(byref(written), quality, 1)
        written.raw_data_in = 1
        end_process_on_error(written)  # from here on only memory can fail it
        calls.jpeg_start_compress(byref(written), 1)
        write_segments(written, segments)
        _pass_all(written, (planes.y, planes.cb, planes.cr), _HALVED, calls.jpeg_write_raw_data)
        calls.jpeg_finish_compress(byref(written))
        return destination.file()


def _read_all(read: Decompress, factors: tuple[tuple[int, int], ...]) -> list[Pixels]:
    """(rows, columns) uint8 of each component, in whole MCUs."""
    across, down = (max(each[axis] for each in factors) for axis in (0, 1))
    columns, rows = -(-read.width // (across * _BLOCK)) * _BLOCK, -(-read.height // (down * _BLOCK)) * _BLOCK
    planes = [np.empty((rows * each[1], columns * each[0]), np.uint8) for each in factors]
    read.raw_data_out = 1
    start_reading(read)
    _pass_all(read, planes, factors, library().jpeg_read_raw_data)
    return planes


def _pass_all(
    struct: Decompress | Compress,
    planes: Sequence[Pixels],
    factors: Sequence[tuple[int, int]],
    call: Callable[[int, int, int], int],
) -> None:
    """Reads or writes planes in whole MCUs, a row of these at once."""
    places = [places_of_rows(plane) for plane in planes]  # referenced until the last call
    heights = [down * _BLOCK for _across, down in factors]
    image, address, most = (c_void_p * len(planes))(), ctypes.addressof(struct), max(heights)
    first, step = [each.ctypes.data for each in places], ctypes.sizeof(c_void_p)
    for row in range(len(planes[0]) // heights[0]):
        for index, height in enumerate(heights):
            image[index] = first[index] + row * height * step
        if call(address, ctypes.addressof(image), most) != most:
            raise LibjpegError("rows that are not there")


def _planes_of(y: Pixels, *colours: Pixels) -> Planes:
    """Of planes that are turned, or whose colours are not halved."""
    height, width = y.shape
    rows, columns = -(-height // _MCU) * _MCU, -(-width // _MCU) * _MCU
    fitting = [_halved(plane, height, width) for plane in colours]
    whole = []
    for plane, cell in ((y, 1), *((plane, 2) for plane in fitting)):
        whole.append(np.empty((rows // cell, columns // cell), np.uint8))
        whole[-1][: plane.shape[0], : plane.shape[1]] = plane
    return Planes(width, height, *whole)


def _halved(plane: Pixels, height: int, width: int) -> Pixels:
    """As many samples as 2 × 2 pixels of a picture have; the last ones of odd rows and columns go on."""
    below, beside = (have % 2 if have == of else 0 for have, of in zip(plane.shape, (height, width), strict=True))
    size = (halves(width), halves(height))
    if plane.shape == size[::-1]:
        return plane
    even = cv2.copyMakeBorder(plane, 0, below, 0, beside, cv2.BORDER_REPLICATE) if below or beside else plane
    return cast("Pixels", cv2.resize(even, size, interpolation=cv2.INTER_AREA))
