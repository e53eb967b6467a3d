"""PNG files built chunk by chunk, right or wrong. W3C PNG third edition."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
#: Adam7: first column, first row, column step, row step of each pass.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

Chunk = tuple[bytes, bytes]


def chunk(kind: bytes, payload: bytes, crc: int | None = None, length: int | None = None) -> bytes:
    """One chunk; crc and length can be made wrong."""
    right = zlib.crc32(kind + payload) if crc is None else crc
    return struct.pack(">I", len(payload) if length is None else length) + kind + payload + struct.pack(">I", right)


def file(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks)


def header(width: int, height: int, bits: int = 8, colour: int = RGB, tail: Sequence[int] = (0, 0, 0)) -> bytes:
    """IHDR; tail: compression, filter, interlace."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, *tail))


def rows(samples: NDArray[np.integer], bits: int) -> bytes:
    """(height, width) or (height, width, n) samples as unfiltered scan lines."""
    flat = samples.reshape(samples.shape[0], -1)
    if bits == 16:
        packed = flat.astype(">u2").view(np.uint8).reshape(flat.shape[0], -1)
    elif bits == 8:
        packed = flat.astype(np.uint8)
    else:
        each = (flat[:, :, None] >> np.arange(bits)[::-1]) & 1
        packed = np.packbits(each.reshape(flat.shape[0], -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def interlaced_rows(samples: NDArray[np.integer], bits: int) -> bytes:
    """The seven passes of Adam7."""
    passes = [samples[top::down, left::right] for left, top, right, down in ADAM7]
    return b"".join(rows(each, bits) for each in passes if each.size)


def png(
    samples: NDArray[np.integer],
    colour: int = RGB,
    bits: int = 8,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    idat_bytes: int = 1 << 20,
) -> bytes:
    """A right file. samples: (height, width) or (height, width, n). before, after: chunks around the picture data."""
    height, width = samples.shape[:2]
    body = zlib.compress(interlaced_rows(samples, bits) if interlaced else rows(samples, bits))
    data = [chunk(b"IDAT", body[start : start + idat_bytes]) for start in range(0, len(body), idat_bytes)]
    start = header(width, height, bits, colour, (0, 0, int(interlaced)))
    return file(start, before, *data, after, chunk(b"IEND", b""))


def palette(colours: NDArray[np.uint8]) -> bytes:
    """PLTE from (n, 3) RGB."""
    return chunk(b"PLTE", colours.tobytes())


def zeros(width: int, height: int, colour: int, bits: int) -> bytes:
    """A black picture of any size in a few bytes per megapixel, never held in memory."""
    stride = 1 + (width * SAMPLES[colour] * bits + 7) // 8
    packer = zlib.compressobj(9)
    row = bytes(stride * 64)
    parts = [packer.compress(row) for _ in range(height // 64)]
    parts += [packer.compress(bytes(stride * (height % 64))), packer.flush()]
    return file(header(width, height, bits, colour), chunk(b"IDAT", b"".join(parts)), chunk(b"IEND", b""))


def animated(frames: Sequence[NDArray[np.uint8]], *, hidden_default: bool = False, count: int | None = None) -> bytes:
    """An APNG of RGB frames; hidden_default: the first picture is not part of the animation."""
    height, width = frames[0].shape[:2]
    parts, sequence = [header(width, height)], 0
    shown = len(frames) - int(hidden_default)
    parts.append(chunk(b"acTL", struct.pack(">II", shown if count is None else count, 0)))
    for index, frame in enumerate(frames):
        if index or not hidden_default:
            control = struct.pack(">IIIIIHHBB", sequence, width, height, 0, 0, 1, 10, 0, 0)
            parts.append(chunk(b"fcTL", control))
            sequence += 1
        body = zlib.compress(rows(frame, 8))
        if index == 0:
            parts.append(chunk(b"IDAT", body))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", sequence) + body))
            sequence += 1
    return file(*parts, chunk(b"IEND", b""))


def parts(data: bytes) -> list[Chunk]:
    """(kind, payload) of every chunk of a right file."""
    found, position = [], len(SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found
