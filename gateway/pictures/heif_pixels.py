"""The pixels of HEIC and AVIF: libheif decodes the one, libavif the other, each from a file written anew.

Alone knows how these libraries are asked: one thread, eight bits, nothing but the main picture and its alpha.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import AvifImagePlugin

from gateway.pictures import heif_rewrite
from gateway.pictures.headers.heif import AVIF, HEIC, Layout
from gateway.pictures.pillow_files import bands, opened
from shared.errors import BadImage

Pixels = NDArray[np.uint8]

# A child has one core to itself.
pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: Where data end too early libde265 leaves planes of zeros and says nothing. By any matrix they are a green like these
#: without red and blue; under the identity they are black, which no green that a picture shows is.
_GREENS, _IDENTITY = (60, 170), b"\0\1\0\15\0\0\x80"
#: Pixels a side of the smallest blocks that are coded as a whole.
_BLOCK = 16


def read_hevc(data: memoryview) -> Pixels:
    """(H, W, 3 or 4) BGR(A) of a file that passed the walk, cropped as it says, not turned. Raises BadImage."""
    layout = HEIC.layout_of(data)
    pixels = _by_libheif(heif_rewrite.plain(data, layout), layout)
    if _may_lack_blocks(pixels):
        as_coded = _by_libheif(heif_rewrite.plain(data, replace(layout, colours=_IDENTITY)), layout)
        if _lacks_blocks(as_coded):
            raise BadImage("The picture is damaged: part of its data cannot be read")
    return _cropped(pixels, layout).copy()


def _may_lack_blocks(pixels: Pixels) -> bool:
    blue, green, red = np.moveaxis(pixels[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK, :3], -1, 0)
    least, most = _GREENS
    return bool(((blue == 0) & (red == 0) & (green >= least) & (green <= most)).any())


def _lacks_blocks(planes: Pixels) -> bool:
    """planes: (H, W, 3 or 4), as coded."""
    rows, columns = planes.shape[0] // _BLOCK, planes.shape[1] // _BLOCK
    blocks = planes[: rows * _BLOCK, : columns * _BLOCK, :3].reshape(rows, _BLOCK, columns, _BLOCK, 3)
    return not blocks.any(axis=(1, 3, 4)).all()


def _by_libheif(file: bytes, layout: Layout) -> Pixels:
    """In memory of libheif's, which nothing may write to."""
    with _words_of_libraries():
        picture = pillow_heif.open_heif(file, convert_hdr_to_8bit=True, bgr_mode=True)
        stored = np.asarray(picture)[:, : layout.width]
    if stored.ndim == 2:
        return cast("Pixels", cv2.cvtColor(stored, cv2.COLOR_GRAY2BGR))
    return cast("Pixels", stored)


def read_av1(data: memoryview) -> Pixels:
    """(H, W, 3 or 4) BGR(A) of a file that passed the walk, cropped as it says, not turned. Raises BadImage."""
    layout = AVIF.layout_of(data)
    mode, to_bgr = ("RGBA", cv2.COLOR_RGBA2BGRA) if layout.alpha else ("RGB", cv2.COLOR_RGB2BGR)
    file = memoryview(heif_rewrite.plain(data, layout))
    with _words_of_libraries(), opened(file, AvifImagePlugin.AvifImageFile) as picture:
        if picture.size != (layout.width, layout.height):
            raise BadImage("The AVIF file gives two different sizes")
        pixels = np.empty((layout.height, layout.width, len(mode)), np.uint8)
        for rows, band in bands(picture):
            cv2.cvtColor(np.asarray(band if band.mode == mode else band.convert(mode)), to_bgr, pixels[rows])
    return _cropped(pixels, layout)


@contextlib.contextmanager
def _words_of_libraries() -> Iterator[None]:
    """What they say of files that they cannot decode, raised as Pillow raises it of other formats."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _cropped(pixels: Pixels, layout: Layout) -> Pixels:
    crop = layout.crop
    if crop is None:
        return pixels
    return pixels[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
