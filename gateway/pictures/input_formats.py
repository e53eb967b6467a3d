"""The formats that pictures may come in: a row each, which header walk, decoders, prices and documents read.

Only what stands here ever reaches a decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from gateway.pictures import heif_pixels, tiff_rewrite
from gateway.pictures.bmp_pixels import read_pixels
from gateway.pictures.headers import bmp, heif, heif_turns, jpeg, png, tiff, webp
from gateway.pictures.headers.facts import Format, Header
from gateway.pictures.pillow_files import Opener
from gateway.pictures.tiff_samples import read_samples
from shared.settings import DecodingSettings

#: Enough to tell one format from another.
BEGIN_BYTES = 64

_CORRUPT = "The picture could not be decoded: the file is truncated or corrupt"


class Walker(Protocol):
    """What a module of `headers/` knows. All raise BadImage."""

    FORMAT: Format

    def read(self, data: memoryview, /) -> Header:
        """The header, jumping from length to length."""
        ...

    def check_complete(self, data: memoryview, header: Header, settings: DecodingSettings, /) -> None:
        """Whether the whole file is there, its parts within limits."""
        ...

    def profile(self, data: memoryview, /) -> bytes | None:
        """The stored colour profile; empty when it cannot be unpacked."""
        ...


def _reads_none(_data: object) -> NoReturn:
    """For decoders that the walker of a format never names in a header."""
    raise AssertionError("a header names a decoder that does not read its format")


@dataclass(frozen=True, slots=True)
class Input:
    """One format.

    called: by people. begins: whether a file's first BEGIN_BYTES are its. decode_ns: nanoseconds a pixel to decode,
    measured on one core with OpenCV (12 MP JPEG: 81 ms, other formats likewise). ready: the file as a decoder is to
    see it, without what would turn it, mislead it or could crash it. by_pillow, by_samples: for headers with these
    decoders; (H, W, 3 or 4) uint8 BGR(A) as stored. rasters: how often the unpacked raster is held while its samples
    are read, measured (`tests/hostile/measure_memory.py`). corrupt: the words when a decoder refuses what passed the
    walk. exif: the stored EXIF block; a TIFF is one itself.
    """

    called: str
    media_type: str
    walker: Walker
    begins: Callable[[bytes], bool]
    decode_ns: float
    ready: Callable[[memoryview, Header], memoryview]
    by_pillow: Opener
    by_samples: Callable[[memoryview], NDArray[np.uint8]]
    corrupt: str = _CORRUPT
    rasters: int = 2
    exif: Callable[[memoryview], memoryview | None] = lambda _data: None


_JPEG = Input(
    called="JPEG",
    media_type="image/jpeg",
    walker=jpeg,
    begins=lambda start: start.startswith(b"\xff\xd8\xff"),
    decode_ns=7.0,
    ready=lambda data, header: jpeg.essential(data, header) if header.extras else data,
    by_pillow=JpegImagePlugin.JpegImageFile,
    by_samples=_reads_none,
    exif=jpeg.exif_block,
)
_PNG = Input(
    called="PNG",
    media_type="image/png",
    walker=png,
    begins=lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"),
    decode_ns=16.0,
    ready=lambda data, header: png.essential(data) if header.extras else data,
    by_pillow=PngImagePlugin.PngImageFile,
    by_samples=_reads_none,
    exif=png.exif_block,
)
_WEBP = Input(
    called="WebP",
    media_type="image/webp",
    walker=webp,
    begins=lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP",
    decode_ns=14.0,
    ready=lambda data, _header: webp.container(data),
    by_pillow=WebPImagePlugin.WebPImageFile,
    by_samples=_reads_none,
    exif=webp.exif_block,
)
_BMP = Input(
    called="BMP",
    media_type="image/bmp",
    walker=bmp,
    begins=lambda start: start.startswith(b"BM"),
    decode_ns=3.0,
    ready=lambda data, _header: data,
    by_pillow=_reads_none,
    by_samples=read_pixels,
)
_TIFF = Input(
    called="TIFF",
    media_type="image/tiff",
    walker=tiff,
    begins=lambda start: start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    decode_ns=6.0,
    ready=lambda data, _header: tiff_rewrite.plain(data),
    by_pillow=TiffImagePlugin.TiffImageFile,
    by_samples=read_samples,
    corrupt=f"{_CORRUPT}, or of a rare kind of TIFF; save it again with 8 bits a channel in RGB",
    exif=lambda data: data,
)
_HEIC = Input(
    called="HEIC",
    media_type="image/heic",
    walker=heif.HEIC,
    begins=heif.is_heic,
    decode_ns=57.0,
    ready=lambda data, _header: data,
    by_pillow=_reads_none,
    by_samples=heif_pixels.read_hevc,
    rasters=3,
    exif=heif_turns.exif_block,
)
_AVIF = Input(
    called="AVIF",
    media_type="image/avif",
    walker=heif.AVIF,
    begins=heif.is_avif,
    decode_ns=33.0,
    ready=lambda data, _header: data,
    by_pillow=_reads_none,
    by_samples=heif_pixels.read_av1,
    rasters=4,
    exif=heif_turns.exif_block,
)
INPUTS: dict[Format, Input] = {each.walker.FORMAT: each for each in (_JPEG, _PNG, _WEBP, _BMP, _TIFF, _HEIC, _AVIF)}


def listed(last: str) -> str:
    """The formats in words, `last` (and, or) before the last one."""
    *others, final = (each.called for each in INPUTS.values())
    return f"{', '.join(others)} {last} {final}"
