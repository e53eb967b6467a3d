"""Bytes of one of the five formats → the upright 8-bit BGR picture, as `cv2.imread` would give it.

Alone knows how orientation turns pixels. What it is given has passed the header walk; nothing else may come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.headers.facts import Header
from shared.errors import BadImage

Pixels = NDArray[np.uint8]

_DECODE_FAILED = "The picture could not be decoded: the file is truncated or corrupt"


def decode(data: memoryview, header: Header) -> tuple[Pixels, Pixels | None]:
    """(H, W, 3) uint8 BGR of the upright picture, C-contiguous, and (H, W) uint8 alpha where it is stored.

    Colours are as stored, not composed with alpha. Raises BadImage when the decoder refuses, or when its result
    is not what the header announced.
    """
    if header.alpha:
        stored = _eight_bits(_imdecode(data, cv2.IMREAD_UNCHANGED))
        if stored.ndim == 3 and stored.shape[2] == 4:
            turned = _checked(stored, header)
            return np.ascontiguousarray(turned[:, :, :3]), np.ascontiguousarray(turned[:, :, 3])
    pixels = _imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.ascontiguousarray(_checked(pixels, header)), None


def _eight_bits(pixels: Pixels) -> Pixels:
    """16-bit samples keep their upper eight, as libpng strips them."""
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _checked(pixels: Pixels, header: Header) -> Pixels:
    """Upright; TIFF is turned by OpenCV itself, whatever the flag says."""
    if header.format != "tiff":
        pixels = upright(pixels, header.orientation)
    width, height = header.upright_size
    if pixels.shape[:2] != (height, width) or pixels.dtype != np.uint8:
        raise BadImage(_DECODE_FAILED)
    return pixels


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
