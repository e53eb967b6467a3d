"""Single rows of a JPEG's picture, or all of it smaller; and where in the file its rows of blocks lie.

Rows are read one after the other, on Python's own thread, from files of one scan. Nothing of such a file can fail any
more when its rows are read: the Huffman decoder, its reader of restart markers and the source of bytes only warn
(jdhuff.c, jdmarker.c and jdatasrc.c of libjpeg-turbo), and inverse transform, upsampling and colours see no bytes.
Should libjpeg call `error_exit` there all the same, it ends the process, as a decoder's crash does.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Iterator
from ctypes import c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures import libjpeg_layout as layout
from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import (
    LibjpegError,
    codes_at,
    create,
    destroy,
    end_process_on_error,
    infos_of,
    library,
    own_errors,
    places_of_rows,
    read_header,
    restarts_in_rows,
    run,
    usual_codes,
)
from gateway.pictures.libjpeg_layout import BLOCK, ByteSource, ComponentInfo, Decompress, HuffmanBits

#: (H,) which rows of a picture.
Rows = NDArray[np.bool_]

#: Sampling factors of files of which jpeg_skip_scanlines skips as many rows as it says. Where rows belong together in
#: groups that are not smoothed, grey with factors of 2 for instance, libjpeg-turbo 3.2 goes wrong within a group.
_SKIPPED_RIGHTLY = {((1, 1),)} | {(first, (1, 1), (1, 1)) for first in ((1, 1), (2, 1), (4, 1), (1, 2), (2, 2))}
#: Bytes into a Huffman decoder at which `HuffmanBits` may begin.
_BITS_MAY_LIE = range(16, 96, 8)
_POINTER = ctypes.sizeof(c_void_p)


@dataclass(frozen=True, slots=True)
class ReadScan:
    """A file of one scan, coded as usual, after it was decoded smaller.

    picture: (H, W, 3) uint8 BGR as stored. start: bytes before the scan's data. taken, unused: (rows + 1,) bytes of the
    file that were taken, and bits of these that were not used, before each row of MCUs and after the last. first:
    (rows + 1, components) what the next blocks' first coefficients are told from. factors, codes: of each component,
    across and down; which of the `usual_codes`. restarts: one behind each row; then the places mean nothing.
    """

    picture: NDArray[np.uint8]
    start: int
    taken: NDArray[np.int64]
    unused: NDArray[np.int64]
    first: NDArray[np.int64]
    factors: tuple[tuple[int, int], ...]
    codes: tuple[int, ...]
    restarts: bool


def read_rows(data: Bytes, rows: Rows, picture: NDArray[np.uint8]) -> None:
    """Decodes some rows of a file of one scan into a picture; what its other rows hold then means nothing.

    rows: (H,) which. picture: (H, W, 3) uint8 BGR as stored, C-contiguous. Raises LibjpegError where the file is
    of another size or kind, and where libjpeg has anything to say of it, be it harmless.
    """
    with single_scan(data) as read:
        if (read.height, read.width) != picture.shape[:2]:
            raise LibjpegError("another size")
        start_reading(read)
        _pass_over(read, rows, picture)


def read_scan(data: Bytes, shrink: int) -> ReadScan:
    """Decodes a file with 1, 2, 4 or 8 pixels of it as one, and sees where its rows of MCUs begin.

    Raises LibjpegError where it has several scans, restarts elsewhere than behind its rows, codes other than the usual
    ones or unusual sampling, and where libjpeg has anything to say of it, be it harmless.
    """
    at = _bits_lie()
    if at is None:
        raise LibjpegError("another decoder")
    return _read_scan(data, shrink, at)


def lacking() -> str:
    """What is slower or refused since this libjpeg is another than it was made for, and the mend; or nothing."""
    try:
        if _bits_lie() is not None:
            return ""
        lack = "quality=keep reads and writes JPEGs whole, which is slower: libjpeg is not as it was known"
    except LibjpegError as error:
        lack = f"quality=keep is refused: libjpeg cannot be called ({error})"
    return f"{lack}. Pillow as deploy/requirements/ has it brings one that is known"


@cache
def _bits_lie() -> int | None:
    """Where in a Huffman decoder its bits lie: where a picture's first coefficients, which are known, are seen.

    None when it is nowhere. Raises LibjpegError where libjpeg cannot be called.
    """
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)).save(file, "JPEG", quality=90)
    stored = StoredJpeg(file.getvalue())
    last = np.array([stored.plane(at)[each.down - 1 :: each.down, -1, 0] for at, each in enumerate(stored.components)])
    for at in _BITS_MAY_LIE:
        read = _read_scan(file.getvalue(), 8, at)
        if np.array_equal(read.first[1:].T, last) and 0 < read.unused.max() < BLOCK:
            return at
    return None


def _read_scan(data: Bytes, shrink: int, at: int) -> ReadScan:
    with single_scan(data) as read:
        infos = infos_of(read)
        factors, codes = factors_of(infos), tuple(info.dc_number for info in infos)
        restarts = bool(read.restart_interval)
        if (restarts and not restarts_in_rows(read)) or not _coded_as_usual(read, infos):
            raise LibjpegError("another kind")
        start = len(data) - ByteSource.from_address(read.src).bytes_left
        read.scale_num, read.scale_denom = 1, shrink
        start_reading(read)
        picture, ends = _watched(read, len(data), at)
    places = np.array([(start, 0, *([0] * len(factors))), *ends], np.int64)
    return ReadScan(picture, start, places[:, 0], places[:, 1], places[:, 2:], factors, codes, restarts)


@contextlib.contextmanager
def single_scan(data: Bytes) -> Iterator[Decompress]:
    """A file of one scan and usual sampling; who is given it starts it and reads it to its end.

    Raises LibjpegError for others, and in the end where libjpeg had anything to say of it.
    """
    errors, read = own_errors(), Decompress()
    create(read, errors)
    try:
        read_header(read, data)
        one_scan = not read.progressive and read.comps_in_scan == read.components
        if not one_scan or factors_of(infos_of(read)) not in _SKIPPED_RIGHTLY:
            raise LibjpegError("another kind")
        ending_thread = errors.error_exit
        yield read
        errors.error_exit = ending_thread
        run("jpeg_finish_decompress", read)
    finally:
        destroy(read, errors)
    if errors.num_warnings:
        raise LibjpegError("warnings")


def start_reading(read: Decompress) -> None:
    """From now on rows can be read, on this thread."""
    read.out_space = layout.BGR
    run("jpeg_start_decompress", read)
    end_process_on_error(read)


def factors_of(infos: list[ComponentInfo]) -> tuple[tuple[int, int], ...]:
    return tuple((info.across, info.down) for info in infos)


def _watched(read: Decompress, size: int, at: int) -> tuple[NDArray[np.uint8], list[tuple[int, ...]]]:
    """All rows of a started file; and after each of its rows of MCUs: bytes taken, bits unused, first coefficients."""
    picture = np.empty((read.output_height, read.output_width, 3), np.uint8)
    places = places_of_rows(picture)
    struct, first, reading = ctypes.addressof(read), places.ctypes.data, library().jpeg_read_scanlines
    source, bits = ByteSource.from_address(read.src), HuffmanBits.from_address(read.modules[layout.ENTROPY] + at)
    ends: list[tuple[int, ...]] = []
    row, begun, height = 0, 0, len(picture)
    while row < height:  # a row or two at once: whatever stands in here is done a thousand times
        passed = reading(struct, first + row * _POINTER, height - row)
        row += passed
        if read.input_imcu_row != begun:
            begun += 1
            ends.append((size - source.bytes_left, bits.bits_left, *bits.last_first[: read.components]))
            if read.input_imcu_row != begun:
                raise LibjpegError("rows that are not watched")
        if not passed:
            raise LibjpegError("no more rows")
    if begun != read.imcu_rows:
        raise LibjpegError("rows that are not watched")
    return picture, ends


def _coded_as_usual(read: Decompress, infos: list[ComponentInfo]) -> bool:
    """Whether each component has the codes that `StoredJpeg.write` gives it where it makes none."""
    for index, info in enumerate(infos):  # as jpeg_set_colorspace gives them
        usual = int(index > 0 and read.space == layout.YCBCR)
        if (info.dc_number, info.ac_number) != (usual, usual):
            return False
        if (codes_at(read.dc_tables[usual]), codes_at(read.ac_tables[usual])) != usual_codes()[usual]:
            return False
    return read.space in (layout.GRAYSCALE, layout.RGB, layout.YCBCR)


def _pass_over(read: Decompress, rows: Rows, picture: NDArray[np.uint8]) -> None:
    """Reads and skips the rows of a started file. The last one is read: libjpeg skips to the end without a look."""
    wanted = rows.copy()
    wanted[-1] = True
    places = places_of_rows(picture)
    struct, first = ctypes.addressof(read), places.ctypes.data
    reading, skipping = library().jpeg_read_scanlines, library().jpeg_skip_scanlines
    row = 0
    for edge in [*(np.flatnonzero(np.diff(wanted)) + 1).tolist(), len(rows)]:
        is_wanted = wanted[row]
        while row < edge:
            passed = reading(struct, first + row * _POINTER, edge - row) if is_wanted else skipping(struct, edge - row)
            if not passed:
                raise LibjpegError("no more rows")
            row += passed
