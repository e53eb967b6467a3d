"""The one EXIF fact that matters: how to turn the picture upright. EXIF 2.32, tag 0x0112 in IFD0."""

from __future__ import annotations

import struct

ORIENTATION_TAG = 0x0112
_PREFIX = b"Exif\0\0"
_ENTRIES_MAX = 4096


def orientation(block: bytes | memoryview) -> int:
    """1..8 from an EXIF block (with or without its `Exif\\0\\0` prefix); 1 when it says nothing sensible.

    A broken EXIF block is no reason to refuse a picture that every viewer shows.
    """
    if bytes(block[:6]) == _PREFIX:
        block = block[6:]
    try:
        value = _read(block)
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _read(block: bytes | memoryview) -> int:
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]), "")
    if not order:
        return 1
    magic, ifd = struct.unpack_from(order + "HI", block, 2)
    if magic != 42:
        return 1
    (count,) = struct.unpack_from(order + "H", block, ifd)
    for index in range(min(count, _ENTRIES_MAX)):
        tag, _kind, _number, value = struct.unpack_from(order + "HHIH", block, ifd + 2 + index * 12)
        if tag == ORIENTATION_TAG:
            return int(value)
    return 1
