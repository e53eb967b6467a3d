"""A JPEG file of one scan as its head and its data, and put together again. ITU T.81 annex B."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.headers.jpeg import DATA, EOI, FRAMES, SOS, pieces
from gateway.pictures.libjpeg_calls import LibjpegError

#: (N,) uint8: what stands between a scan's header and the next marker, with stuffing.
Stored = NDArray[np.uint8]


def head_and_data(file: Bytes) -> tuple[bytes, Stored]:
    """All up to the first scan's data, and these: a view."""
    whole = memoryview(file)
    start, end = next((start, end) for marker, _at, start, end in pieces(whole) if marker == DATA)
    return bytes(whole[:start]), np.frombuffer(whole, np.uint8)[start:end]


def size_of(head: bytes) -> tuple[int, int]:
    """Height and width, in pixels."""
    height, width = struct.unpack_from(">HH", head, _frame_at(head) + 1)
    return height, width


def file_of(head: bytes, height: int, *data: Bytes) -> bytes:
    """A file with this head, but so many pixels high."""
    at = _frame_at(head) + 1
    return b"".join((head[:at], struct.pack(">H", height), head[at + 2 :], *data, b"\xff", bytes((EOI,))))


def _frame_at(head: bytes) -> int:
    """Where the payload of the frame header begins."""
    for marker, _at, start, _end in pieces(memoryview(head)):
        if marker in FRAMES:
            return start
        if marker == SOS:
            break
    raise LibjpegError("no frame")
