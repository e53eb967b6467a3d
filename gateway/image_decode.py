"""Bytes of one of the five formats → the upright 8-bit BGR picture, as `cv2.imread` would give it.

Alone knows how orientation turns pixels. What it is given has passed the header walk; nothing else may come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.headers import tiff
from gateway.headers.facts import Header
from gateway.pillow_files import ERRORS, opened
from shared.errors import BadImage

Pixels = NDArray[np.uint8]

_AS_THE_REFERENCE = cv2.IMREAD_COLOR
_PILLOW_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})
_DECODE_FAILED = "The picture could not be decoded: the file is truncated or corrupt"


def decode(data: memoryview, header: Header) -> tuple[Pixels, Pixels | None]:
    """(H, W, 3) uint8 BGR of the upright picture, C-contiguous, and (H, W) uint8 alpha where it is stored.

    Colours are as stored, not composed with alpha. Raises BadImage when the decoder refuses, or when its result
    is not what the header announced.
    """
    stored = upright(_stored(data, header), header.orientation)
    width, height = header.upright_size
    if stored.ndim != 3 or stored.shape[:2] != (height, width) or stored.dtype != np.uint8:
        raise BadImage(_DECODE_FAILED)
    if stored.shape[2] == 4:
        return np.ascontiguousarray(stored[:, :, :3]), np.ascontiguousarray(stored[:, :, 3])
    return np.ascontiguousarray(stored), None


def _stored(data: memoryview, header: Header) -> Pixels:
    """(H, W, 3 or 4) BGR(A) as stored, not turned."""
    if header.format == "tiff" and header.orientation > 1:
        data = tiff.not_turned(data)
    if header.decoder == "pillow":
        return _tiff_by_pillow(data, "RGBA" if header.alpha else "RGB")
    if header.alpha:
        pixels = _imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return _eight_bits(pixels)
    return _imdecode(data, _AS_THE_REFERENCE | cv2.IMREAD_IGNORE_ORIENTATION)


def _tiff_by_pillow(data: memoryview, mode: str) -> Pixels:
    """(H, W, 3 or 4) BGR(A) of 8-bit samples or less."""
    try:
        with opened(data, "tiff") as picture:
            if picture.mode not in _PILLOW_MODES:
                raise BadImage(_DECODE_FAILED)
            rgb = np.asarray(picture.convert(mode))
    except ERRORS:
        raise BadImage(_DECODE_FAILED) from None
    return cast("Pixels", cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA if mode == "RGBA" else cv2.COLOR_RGB2BGR))


def _eight_bits(pixels: Pixels) -> Pixels:
    """16-bit samples keep their upper eight, as libpng strips them; a view, no copy."""
    if pixels.dtype != np.uint16:
        return pixels
    halves = pixels.astype("<u2", copy=False).view(np.uint8)
    return halves.reshape(*pixels.shape, 2)[..., 1]


def _imdecode(data: memoryview, flags: int) -> Pixels:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        raise BadImage(_DECODE_FAILED) from None
    if pixels is None:
        raise BadImage(_DECODE_FAILED)
    return cast("Pixels", pixels)


_TURNS: dict[int, Callable[[Pixels], cv2.typing.MatLike]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The picture as its EXIF orientation (1..8) says it is to be seen; any number of channels."""
    return cast("Pixels", _TURNS[orientation](pixels))
