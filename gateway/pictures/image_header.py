"""What a picture file says of itself before anything is decoded: format, size, orientation, frames, depth.

Alone knows the limits a header must respect.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from gateway.pictures.headers.facts import Header
from gateway.pictures.input_formats import BEGIN_BYTES, INPUTS, Walker
from gateway.pictures.what_came import START_BYTES, not_a_picture
from shared.errors import BadImage, TooLarge
from shared.settings import MEBIBYTE, DecodingSettings

Found = TypeVar("Found")

#: libpng reads nothing wider or higher (PNG_USER_WIDTH_MAX), OpenCV nothing over 1,048,576 (CV_IO_MAX_IMAGE_WIDTH).
SIDE_MAX = 1_000_000


def read_header(data: memoryview) -> Header:
    """The header of one file's bytes, jumping from length to length; cost does not grow with the pixels.

    Raises BadImage for any other format, and for a header that contradicts itself or the file's length.
    """
    return _in_format(data, lambda walker: walker.read(data))


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """Walks the whole file: every chunk, scan and strip must be there, and their number within limits.

    Raises BadImage. Reads each byte at most once, in compiled code (CRC, marker search).
    """
    _in_format(data, lambda walker: walker.check_complete(data, header, settings))


def stored_profile(data: memoryview) -> bytes | None:
    """The bytes of the stored colour profile, None without one; empty when they cannot be unpacked."""
    return _in_format(data, lambda walker: walker.profile(data))


def check_limits(header: Header, settings: DecodingSettings) -> None:
    """Raises TooLarge or BadImage when the header is outside the limits; runs before any decoding."""
    width, height = header.width, header.height
    if width * height > settings.max_pixels:
        raise TooLarge(f"The picture has {width}×{height} pixels; at most {settings.max_pixels:,} are accepted")
    if max(width, height) > SIDE_MAX:
        raise TooLarge(f"The picture is {width}×{height} pixels; at most {SIDE_MAX:,} a side are accepted")
    if min(width, height) < settings.min_side:
        least = settings.min_side
        raise BadImage(f"The picture is {width}×{height} pixels; at least {least}×{least} are needed")
    if header.decoded_bytes > settings.max_decoded_bytes:
        need, most = header.decoded_bytes / MEBIBYTE, settings.max_decoded_bytes / MEBIBYTE
        raise TooLarge(
            f"The picture would take {need:,.0f} MiB when decoded ({header.samples} samples of {header.bits} bits "
            f"a pixel); at most {most:,.0f} MiB are accepted. Convert it to 8 bits per sample"
        )


def _in_format(data: memoryview, act: Callable[[Walker], Found]) -> Found:
    start = bytes(data[:BEGIN_BYTES])
    for kind in INPUTS.values():
        if kind.begins(start):
            try:
                return act(kind.walker)
            except (struct.error, IndexError, OverflowError):
                raise BadImage(f"The {kind.walker.FORMAT.upper()} file is truncated") from None
    raise BadImage(not_a_picture(bytes(data[:START_BYTES])))
