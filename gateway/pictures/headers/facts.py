"""What a header walk finds out. The same few facts for every format."""

from __future__ import annotations

from typing import Literal

import msgspec

#: The name of a row of `input_formats.py`.
Format = str

#: A walk meets at most this many chunks, segments or directory entries; more is no ordinary picture.
PARTS_MAX = 16_384
#: A profile larger than this is no picture's profile: those of presses have 0.5 to 3 MB, of calibrated displays 1.5.
PROFILE_BYTES_MAX = 16 * 1024 * 1024


class Header(msgspec.Struct, frozen=True):
    """Facts of the stored raster, before orientation is applied.

    width, height: stored, in pixels. orientation: EXIF 1..8. disputed: viewers differ about which way up it is.
    frames: pictures in the file (animation, pages).
    samples, bits: per stored pixel, per sample. alpha: transparency is stored. icc: bytes of the colour profile that
    is stored or told in numbers, 0 for none. cmyk: four ink samples. progressive: a JPEG of several scans.
    extras: there is what the decoder need not see: chunks of a PNG, bytes between segments of a JPEG.
    decoder: who reads this file rightly; samples: we do.
    raster_bytes: of the stored raster when unpacked, padding of tiles included.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    frames: int = 1
    samples: int = 3
    bits: int = 8
    alpha: bool = False
    icc: int = 0
    cmyk: bool = False
    progressive: bool = False
    extras: bool = False
    disputed: bool = False
    decoder: Literal["opencv", "pillow", "samples"] = "opencv"
    raster_bytes: int = 0

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the larger of the unpacked raster and the 8-bit BGR picture made of it."""
        packed = self.width * self.height * self.samples * self.bits // 8
        return max(packed, self.width * self.height * 3, self.raster_bytes)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)
