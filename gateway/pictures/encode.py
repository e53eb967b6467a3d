"""Pixels → the bytes of the answer, rebuilt from pixels alone, and with no metadata but what is handed in.

The formats are a row each, which parameters, documents and the memory's estimates read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.errors import BadParameter

Pixels = NDArray[np.uint8]
#: (H, W, 3) BGR and (H, W) alpha or None, quality 1..100, an EXIF block or nothing → the file.
Encode = Callable[[Pixels, Pixels | None, int, bytes], memoryview]

#: Rows composed at once: sixteen-bit sums of a whole picture would take twice its memory.
_BAND_ROWS = 64
#: libwebp's effort, 0 fast to 6 small.
_WEBP_METHOD = 2
#: libaom's, 0 small to 10 fast.
_AVIF_SPEED, _AVIF_QUALITY_MAX = 9, 99


@dataclass(frozen=True, slots=True)
class Output:
    """One format of the answer.

    side_max: longest side it can hold, in pixels. need, alpha_need: bytes a pixel that encoding takes beyond the
    picture, and how much more when alpha goes with it, measured (`tests/hostile/measure_memory.py`).
    """

    media_type: str
    side_max: int
    need: int
    alpha_need: int
    encode: Encode


def refuse_too_long(output: str, width: int, height: int) -> None:
    """Raises BadParameter when the format cannot hold a picture of this size."""
    most = OUTPUTS[output].side_max
    if max(width, height) > most:
        roomiest = max(OUTPUTS, key=lambda name: OUTPUTS[name].side_max)
        raise BadParameter(
            f"format={output} holds at most {most:,} pixels a side and the picture is {width}×{height}; "
            f"use format={roomiest}"
        )


def encode(pixels: Pixels, alpha: Pixels | None, output: str, quality: int, exif: bytes = b"") -> memoryview:
    """(H, W, 3) BGR and (H, W) alpha or None → the file. Alpha is kept where the format has it, else on white.

    exif: a block without prefix that goes into the file.
    """
    refuse_too_long(output, pixels.shape[1], pixels.shape[0])
    return OUTPUTS[output].encode(pixels, alpha, quality, exif)


def _jpeg(pixels: Pixels, alpha: Pixels | None, quality: int, exif: bytes) -> memoryview:
    flat = pixels if alpha is None else on_white(pixels, alpha)
    return _by_opencv(".jpg", flat, [cv2.IMWRITE_JPEG_QUALITY, quality], exif)


def _png(pixels: Pixels, alpha: Pixels | None, _quality: int, exif: bytes) -> memoryview:
    """On photographs this filter's files are 7 % smaller than those of OpenCV's own choice, for the same time."""
    whole = pixels if alpha is None else np.dstack((pixels, alpha))
    return _by_opencv(".png", whole, [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG], exif)


def _by_opencv(extension: str, pixels: Pixels, parameters: list[int], exif: bytes) -> memoryview:
    kinds, blocks = ([cv2.IMAGE_METADATA_EXIF], [np.frombuffer(exif, np.uint8)]) if exif else ([], [])
    done, data = cv2.imencodeWithMetadata(extension, pixels, kinds, blocks, parameters)
    assert done, "the encoder refused a picture it can hold"
    return cast("Pixels", data).reshape(-1).data


def _webp(pixels: Pixels, alpha: Pixels | None, quality: int, exif: bytes) -> memoryview:
    """Pillow, for its `method`: at 2 a 1080p picture takes 0.6 of OpenCV's time for the same bytes."""
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if alpha is None else cv2.COLOR_BGR2RGBA)
    if alpha is not None:
        rgb[:, :, 3] = alpha
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "WEBP", quality=quality, method=_WEBP_METHOD, exif=exif)
    return file.getbuffer()


def _avif(pixels: Pixels, alpha: Pixels | None, quality: int, exif: bytes) -> memoryview:
    """At this speed a picture takes a fifth of the next one's time for 3 % more bytes; 100 would be without loss."""
    whole = pixels if alpha is None else np.dstack((pixels, alpha))
    told = [cv2.IMWRITE_AVIF_QUALITY, min(quality, _AVIF_QUALITY_MAX), cv2.IMWRITE_AVIF_SPEED, _AVIF_SPEED]
    return _by_opencv(".avif", whole, told, exif)


def on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    """(H, W, 3) composed on white by (H, W) alpha, rounded to nearest."""
    composed = np.empty_like(pixels)
    for top in range(0, pixels.shape[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        weight = alpha[rows].astype(np.uint16)[:, :, None]
        composed[rows] = (pixels[rows] * weight + 255 * (255 - weight) + 127) // 255
    return composed


#: Longest sides: ISO/IEC 10918-1 as libjpeg limits it, RFC 9649, what libavif and so every browser reads; PNG has room
#: for any of ours.
OUTPUTS = {
    "jpeg": Output("image/jpeg", 65_500, 2, 3, _jpeg),
    "png": Output("image/png", (1 << 31) - 1, 3, 3, _png),
    "webp": Output("image/webp", 16_383, 13, 8, _webp),
    "avif": Output("image/avif", 32_768, 20, 8, _avif),
}
