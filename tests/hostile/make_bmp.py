"""BMP files of every header and compression, right or wrong. Windows and OS/2 bitmap formats."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from numpy.typing import NDArray

RGB, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3
_CORE = 12


def bmp(
    width: int,
    height: int,
    bits: int,
    pixels: bytes,
    *,
    compression: int = RGB,
    palette: NDArray[np.uint8] | None = None,
    masks: tuple[int, ...] = (),
    header_bytes: int = 40,
    offset: int | None = None,
    colours_used: int | None = None,
) -> bytes:
    """A file around pixel bytes. height < 0: top-down. palette: (n, 3) RGB."""
    colours = b"" if palette is None else _palette(palette, core=header_bytes == _CORE)
    mask_bytes = b"".join(struct.pack("<I", mask) for mask in masks)
    if header_bytes == _CORE:
        dib = struct.pack("<IHHHH", _CORE, width, height & 0xFFFF, 1, bits)
    else:
        used = (0 if palette is None else len(palette)) if colours_used is None else colours_used
        dib = struct.pack(
            "<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, len(pixels), 2835, 2835, used, 0
        )
        if header_bytes > 40:
            dib += mask_bytes.ljust(header_bytes - 40, b"\0")[: header_bytes - 40]
            mask_bytes = b""
    start = 14 + len(dib) + len(mask_bytes) + len(colours)
    data = dib + mask_bytes + colours + pixels
    return b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, start if offset is None else offset) + data


def _palette(palette: NDArray[np.uint8], *, core: bool) -> bytes:
    bgr = palette[:, ::-1]
    return bgr.tobytes() if core else np.concatenate([bgr, np.zeros((len(bgr), 1), np.uint8)], axis=1).tobytes()


def rows(samples: NDArray[np.uint8], bits: int, *, top_down: bool = False) -> bytes:
    """(height, width) indices or (height, width, n) BGR(A) as rows padded to four bytes."""
    ordered = samples if top_down else samples[::-1]
    flat = ordered.reshape(ordered.shape[0], -1)
    if bits < 8:
        each = (flat[:, :, None] >> np.arange(bits)[::-1]) & 1
        flat = np.packbits(each.reshape(flat.shape[0], -1).astype(np.uint8), axis=1)
    return b"".join(row.tobytes().ljust(-(-len(row.tobytes()) // 4) * 4, b"\0") for row in flat)


def rows565(rgb: NDArray[np.uint8]) -> bytes:
    """(height, width, 3) RGB as 16-bit 5-6-5, bottom up."""
    wide = rgb.astype(np.uint16)
    packed = (wide[:, :, 0] >> 3 << 11 | wide[:, :, 1] >> 2 << 5 | wide[:, :, 2] >> 3).astype("<u2")[::-1]
    return b"".join(row.tobytes().ljust(-(-row.nbytes // 4) * 4, b"\0") for row in packed)


def rle8(indices: NDArray[np.uint8], *, end: bool = True) -> bytes:
    """Run-length data of (height, width) indices, bottom up, in encoded mode."""
    parts = []
    for row in indices[::-1]:
        for start, stop in _runs(row):
            parts.append(bytes([stop - start, int(row[start])]))
        parts.append(b"\0\0")
    return b"".join(parts) + (b"\0\x01" if end else b"")


def rle8_absolute(indices: NDArray[np.uint8]) -> bytes:
    """The same in absolute mode."""
    parts = []
    for row in indices[::-1]:
        for start in range(0, len(row), 200):
            piece = row[start : start + 200].tobytes()
            if len(piece) < 3:
                parts += [bytes([1, value]) for value in piece]
            else:
                parts.append(bytes([0, len(piece)]) + piece + b"\0" * (len(piece) % 2))
        parts.append(b"\0\0")
    return b"".join(parts) + b"\0\x01"


def rle4(indices: NDArray[np.uint8]) -> bytes:
    """Run-length data of (height, width) indices below 16, bottom up."""
    parts = []
    for row in indices[::-1]:
        for start, stop in _runs(row):
            parts.append(bytes([stop - start, int(row[start]) * 17]))
        parts.append(b"\0\0")
    return b"".join(parts) + b"\0\x01"


def _runs(row: NDArray[np.uint8]) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
    found = []
    for start, stop in itertools.pairwise(edges):
        found += [(begin, min(begin + 255, stop)) for begin in range(start, stop, 255)]
    return found
