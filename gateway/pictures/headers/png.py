"""PNG: the chunk chain. W3C PNG third edition; APNG's acTL and fcTL count the frames.

Alone knows which chunks matter, and that each one's CRC must be right for a file to be whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from gateway.pictures.headers import exif
from gateway.pictures.headers.facts import PARTS_MAX, Format, Header
from shared.errors import BadImage
from shared.settings import Settings

FORMAT: Format = "png"

#: Colour type: samples per pixel, and the bit depths allowed with it.
_COLOUR_TYPES = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
_SIDE_MAX = (1 << 31) - 1


def read(data: memoryview) -> Header:
    """Facts from all chunks; lengths only, no chunk but IHDR, acTL and eXIf is looked into."""
    width, height, samples, bits, alpha = _image_header(data)
    orientation, icc, frames, animated, hidden, extras = 1, False, 0, 0, False, False
    for kind, start, end in _chunks(data):
        extras = extras or not _is_essential(kind)
        if kind == b"eXIf":
            orientation = exif.orientation(data[start:end])
        elif kind == b"iCCP":
            icc = True
        elif kind == b"tRNS" and bits <= 8:  # a transparent colour of 16-bit samples is left opaque
            alpha = True
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, start)
        elif kind == b"fcTL":
            animated += 1
        elif kind == b"IDAT" and not animated:
            hidden = True  # if an animation follows, this picture is not part of it, yet it is the one we read
    return Header(
        FORMAT,
        width,
        height,
        orientation,
        _count(frames, animated, hidden=hidden),
        samples=samples,
        bits=bits,
        alpha=alpha,
        icc=icc,
        extras=extras,
    )


def _count(announced: int, animated: int, *, hidden: bool) -> int:
    shown = max(announced, animated)
    return max(1, shown + hidden) if shown else 1


def _image_header(data: memoryview) -> tuple[int, int, int, int, bool]:
    length, kind, width, height, bits, colour, compression, filtering, interlace = struct.unpack_from(
        ">I4sIIBBBBB", data, 8
    )
    samples, depths = _COLOUR_TYPES.get(colour, (0, ()))
    sensible = 1 <= width <= _SIDE_MAX and 1 <= height <= _SIDE_MAX and bits in depths
    if length != 13 or kind != b"IHDR" or not sensible or compression or filtering or interlace > 1:
        raise BadImage("The PNG header is wrong")
    return width, height, samples, bits, colour in (4, 6)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end of payload) up to and with IEND."""
    position = 8
    for _ in range(PARTS_MAX):
        length, kind = struct.unpack_from(">I4s", data, position)
        start, end = position + 8, position + 8 + length
        if end + 4 > len(data):
            raise BadImage("The PNG file is truncated")
        yield kind, start, end
        if kind == b"IEND":
            return
        position = end + 4
    raise BadImage("The PNG file has too many chunks")


def essential(data: memoryview) -> memoryview:
    """A copy without the chunks that change no pixel of the first picture: text, profiles, EXIF, and animation.

    What a decoder does not see cannot hurt it: OpenCV 5.0 crashes on some damaged animations.
    """
    parts = [data[:8], *(data[start - 8 : end + 4] for kind, start, end in _chunks(data) if _is_essential(kind))]
    return memoryview(b"".join(parts))


def _is_essential(kind: bytes) -> bool:
    """Critical chunks, known or not, begin with a capital; transparency is the one other that matters."""
    return not kind[0] & 0x20 or kind == b"tRNS"


def check_complete(data: memoryview, header: Header, settings: Settings) -> None:
    """Every chunk's CRC, and that picture data exists. Raises BadImage."""
    del settings
    assert header.format == FORMAT
    picture_data = False
    for kind, start, end in _chunks(data):
        (crc,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[start - 4 : end]) != crc:
            raise BadImage(f"The PNG file is corrupt: wrong checksum in its {kind.decode('latin-1')!r} chunk")
        picture_data = picture_data or kind == b"IDAT"
    if not picture_data:
        raise BadImage("The PNG file holds no picture data")
