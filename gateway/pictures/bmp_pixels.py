"""BMP put together from its bytes: any masks under any header, palettes, run lengths.

OpenCV 5.0 shades 16 bits too dark, refuses most masks and mixes up run lengths; Pillow knows a dozen masks. Windows'
bitmap format is small enough to be read here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.headers import bmp
from gateway.pictures.headers.bmp import BmpLayout
from gateway.pictures.pillow_files import BAND_ROWS
from shared.errors import BadImage

Pixels = NDArray[np.uint8]

#: In run-length data, behind a zero: what two bytes mean; any other number is that many pixels as they are.
_END_OF_ROW, _END, _MOVE = 0, 1, 2


def read_pixels(data: memoryview) -> Pixels:
    """(H, W, 3) uint8 BGR; (H, W, 4) where the masks have alpha and any of it shows. Raises BadImage."""
    layout = bmp.layout_of(data)
    rows = _runs(data, layout) if layout.compression in bmp.RUNS else _rows(data, layout)
    to_bgr, height = _painter(data, layout), abs(layout.height)
    pixels = np.empty((height, layout.width, 4 if layout.masks[3] else 3), np.uint8)
    stored = pixels if layout.height < 0 else pixels[::-1]
    for top in range(0, height, BAND_ROWS):
        stored[top : top + BAND_ROWS] = to_bgr(rows[top : top + BAND_ROWS])
    return pixels if not layout.masks[3] or pixels[:, :, 3].any() else pixels[:, :, :3]


def _rows(data: memoryview, layout: BmpLayout) -> Pixels:
    """(H, stride) as they lie in the file; a copy only where the last row's padding is missing."""
    height, whole = abs(layout.height), layout.pixels + layout.stride * abs(layout.height)
    body = data[layout.pixels : whole]
    padded = body if whole <= len(data) else bytes(body).ljust(layout.stride * height, b"\0")
    return np.frombuffer(padded, np.uint8).reshape(height, layout.stride)


def _painter(data: memoryview, layout: BmpLayout) -> Callable[[Pixels], Pixels]:
    """(rows, stride) → (rows, W, 3 or 4)."""
    width = layout.width
    if layout.bits == 24:
        return lambda rows: rows[:, : width * 3].reshape(-1, width, 3)
    if layout.bits > 8:
        return _mask_painter(layout)
    palette = _palette(data, layout)
    if layout.bits == 8 or layout.compression in bmp.RUNS:
        return lambda rows: palette[rows[:, :width]]
    shifts = np.arange(8 - layout.bits, -1, -layout.bits, dtype=np.uint8)
    return lambda rows: palette[_split(rows, shifts, layout.bits)[:, :width]]


def _split(rows: Pixels, shifts: Pixels, bits: int) -> Pixels:
    return (rows[:, :, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(rows), -1)


def _palette(data: memoryview, layout: BmpLayout) -> Pixels:
    """(256, 3) BGR; what the file does not have is black."""
    start, count, each = layout.palette
    palette = np.zeros((256, 3), np.uint8)
    palette[:count] = np.frombuffer(data, np.uint8, count * each, start).reshape(count, each)[:, :3]
    return palette


def _mask_painter(layout: BmpLayout) -> Callable[[Pixels], Pixels]:
    """Each channel's bits, moved down and spread over 0..255."""
    red, green, blue, alpha = layout.masks
    masks = [blue, green, red] + [alpha] * (alpha > 0)
    dtype = f"<u{layout.bits // 8}"

    def paint(rows: Pixels) -> Pixels:
        values = rows.view(dtype)[:, : layout.width]
        return np.stack([_channel(values, mask) for mask in masks], axis=2)

    return paint


def _channel(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most, bits = mask >> shift, (mask >> shift).bit_length()
    levels: NDArray[np.unsignedinteger] = (values & values.dtype.type(mask)) >> values.dtype.type(shift)
    if bits >= 8:
        upper: NDArray[np.unsignedinteger] = levels >> levels.dtype.type(bits - 8)
        return upper.astype(np.uint8)
    spread: Pixels = np.round(np.arange(most + 1) * 255 / most).astype(np.uint8)
    return np.take(spread, levels)


def _runs(data: memoryview, layout: BmpLayout) -> Pixels:
    """(H, W and more) places in the palette, unpacked from run-length data. Raises BadImage when they leave the rows.

    Some programs also pack the padding to which their rows were filled up: W is followed by it.
    """
    width, height, source = layout.stride * 8 // layout.bits, abs(layout.height), bytes(data[layout.pixels :])
    nibbles = layout.compression == bmp.RLE4
    alike = [bytes([value >> 4, value & 15] if nibbles else [value]) for value in range(256)]
    rows, x, y, at, ended = bytearray(width * height), 0, 0, 0, False
    try:
        while at < len(source) and not ended:
            count, value = source[at], source[at + 1]
            at += 2
            if count:
                run = alike[value] * ((count + 1) // 2 if nibbles else count)
            elif value > _MOVE:
                count, size = value, (value + 1) // 2 if nibbles else value
                run = source[at : at + size]
                if len(run) < size:
                    break
                run = b"".join(map(alike.__getitem__, run)) if nibbles else run
                at += size + size % 2
            else:
                run, ended = b"", value == _END
                if value == _END_OF_ROW:
                    x, y = 0, y + 1
                elif value == _MOVE:
                    x, y, at = x + source[at], y + source[at + 1], at + 2
            if x + count > width or y + (count > 0) > height:
                raise BadImage("The BMP file is corrupt: its run-length data leaves the picture")
            place = y * width + x
            rows[place : place + count] = run[:count]
            x += count
    except IndexError:
        ended, y = False, 0
    if y < height - 1 or (y < height and x < layout.width and not ended):
        raise BadImage("The BMP file is truncated: its run-length data ends before the picture does")
    return np.frombuffer(rows, np.uint8).reshape(height, width)
