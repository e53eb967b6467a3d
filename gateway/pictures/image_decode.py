"""Bytes of a file → the upright 8-bit BGR picture, as `cv2.imread` would give it.

Alone knows how orientation turns pixels. What it is given has passed the header walk; nothing else may come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures.headers.facts import Header
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.libjpeg_rows import Rows, read_rows
from gateway.pictures.pillow_files import ERRORS, bands, opened
from shared.errors import BadImage

Pixels = NDArray[np.uint8]

_AS_THE_REFERENCE = cv2.IMREAD_COLOR
#: By how many pixels of the file become one, in each direction: what libjpeg's inverse transform can skip.
_SHRINKING = {
    1: _AS_THE_REFERENCE,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
#: Reading some rows alone is quicker where they are no more than this part of all, and this long, in pixels.
ROWS_PART_MAX, _ROW_LENGTH_MIN = 0.5, 1500
#: Smaller pictures are not masked any quicker in planes: to call libjpeg ourselves takes a millisecond.
_PLANES_PIXELS_MIN = 1_500_000
_PILLOW_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"})


def shrink_for(header: Header, reach: int) -> int:
    """How much smaller (1, 2, 4, 8) a JPEG may be decoded so that its longer side keeps `reach` pixels; 0 for all."""
    if not reach or header.format != "jpeg" or header.decoder != "opencv":
        return 1
    return max(shrink for shrink in _SHRINKING if shrink == 1 or max(header.width, header.height) >= shrink * reach)


def reads_rows(header: Header) -> bool:
    """Whether `decode_rows` is for such a file, and may be quicker than `decode`."""
    return _in_one_scan(header) and header.orientation == 1 and header.width >= _ROW_LENGTH_MIN


def reads_planes(header: Header) -> bool:
    """Whether `libjpeg_planes` is for such a file, and quicker than `decode`."""
    return _in_one_scan(header) and header.width * header.height >= _PLANES_PIXELS_MIN


def _in_one_scan(header: Header) -> bool:
    by_libjpeg = header.format == "jpeg" and header.decoder == "opencv"
    return by_libjpeg and not header.cmyk and not header.progressive


def decode_rows(data: memoryview, header: Header, rows: Rows) -> Pixels:
    """(H, W, 3) uint8 BGR, C-contiguous: as `decode` gives it in these rows, (H,); what others hold means nothing.

    Raises LibjpegError where anything at all is to be said of the file: what, `decode` finds out.
    """
    pixels = np.empty((header.height, header.width, 3), np.uint8)
    read_rows(INPUTS[header.format].ready(data, header), rows, pixels)
    return pixels


def decode(
    data: memoryview, header: Header, *, with_alpha: bool = False, shrink: int = 1
) -> tuple[Pixels, Pixels | None]:
    """(H, W, 3) uint8 BGR of the upright picture, C-contiguous; (H, W) uint8 alpha where it is stored and asked for.

    Colours are as stored, not composed with alpha, and the same with it and without. shrink: see `shrink_for`;
    H and W are divided by it and rounded up. Raises BadImage when the decoder refuses, or when its result is
    not what the header announced.
    """
    stored = upright(_stored(data, header, with_alpha=with_alpha, shrink=shrink), header.orientation)
    width, height = (-(-length // shrink) for length in header.upright_size)
    if stored.ndim != 3 or stored.shape[:2] != (height, width) or stored.dtype != np.uint8:
        raise BadImage(INPUTS[header.format].corrupt)
    if stored.shape[2] == 4 and not with_alpha:
        return np.ascontiguousarray(stored[:, :, :3]), None
    if stored.shape[2] == 4:
        return np.ascontiguousarray(stored[:, :, :3]), np.ascontiguousarray(stored[:, :, 3])
    return np.ascontiguousarray(stored), None


def _stored(data: memoryview, header: Header, *, with_alpha: bool, shrink: int) -> Pixels:
    """(H, W, 3 or 4) BGR(A) as stored, not turned."""
    if header.decoder == "samples":
        return _by_samples(data, header)
    data = INPUTS[header.format].ready(data, header)
    if header.decoder == "pillow":
        return _by_pillow(data, header, "RGBA" if header.alpha and with_alpha else "RGB")
    if header.alpha and with_alpha:
        if header.format == "png" and header.bits == 16:  # OpenCV would take 24 bytes a pixel for it
            return _by_pillow(data, header, "RGBA")
        pixels = _imdecode(data, header, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return pixels
    return _imdecode(data, header, _SHRINKING[shrink] | cv2.IMREAD_IGNORE_ORIENTATION)


def _by_pillow(data: memoryview, header: Header, mode: Literal["RGB", "RGBA"]) -> Pixels:
    """(H, W, 3 or 4) BGR(A), converted band by band: Pillow's own picture is large enough."""
    to_bgr = cv2.COLOR_RGBA2BGRA if mode == "RGBA" else cv2.COLOR_RGB2BGR
    try:
        with opened(data, INPUTS[header.format].by_pillow) as picture:
            if picture.mode not in _PILLOW_MODES or picture.size != (header.width, header.height):
                raise BadImage(INPUTS[header.format].corrupt)
            pixels = np.empty((header.height, header.width, len(mode)), np.uint8)
            for rows, band in bands(picture):
                cv2.cvtColor(np.asarray(_in_mode(band, mode)), to_bgr, pixels[rows])
    except ERRORS:
        raise BadImage(INPUTS[header.format].corrupt) from None
    return pixels


def _by_samples(data: memoryview, header: Header) -> Pixels:
    try:
        return INPUTS[header.format].by_samples(data)
    except ERRORS:
        raise BadImage(INPUTS[header.format].corrupt) from None


def _in_mode(band: Image.Image, mode: Literal["RGB", "RGBA"]) -> Image.Image:
    """Colours as stored: converting drops alpha and composes nothing."""
    return band if band.mode == mode else band.convert(mode)


def _imdecode(data: memoryview, header: Header, flags: int) -> Pixels:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        raise BadImage(INPUTS[header.format].corrupt) from None
    if pixels is None:
        raise BadImage(INPUTS[header.format].corrupt)
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
