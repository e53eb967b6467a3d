"""PNG: the chunk chain. W3C PNG third edition; APNG's acTL and fcTL count the frames.

Alone knows which chunks matter: the CRC of each critical one must be right for a file to be whole. Ancillary ones
with a wrong CRC hold no pixels; they are read where they have a checksum of their own (profile) or where leaving them
out would turn the picture (EXIF), and are left out otherwise, as libpng and so every browser does.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

from gateway.pictures.headers.code_points import profile_of
from gateway.pictures.headers.facts import PARTS_MAX, PROFILE_BYTES_MAX, Format, Header
from gateway.pictures.headers.matrix_profile import Colours, is_nearly_srgb, matrix_profile
from gateway.pictures.headers.png_orientation import Told
from shared.errors import BadImage
from shared.settings import DecodingSettings

FORMAT: Format = "png"

#: Colour type: samples per pixel, and the bit depths allowed with it.
_COLOUR_TYPES = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
_SIDE_MAX = (1 << 31) - 1
#: Where a picture may say which way up it is.
_TELLING = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
#: By which a picture's colours can be others than sRGB.
_COLOURS = (b"cICP", b"iCCP", b"gAMA", b"cHRM")


def read(data: memoryview) -> Header:
    """Facts from all chunks; lengths only, no chunk but IHDR and some small ancillary ones is looked into."""
    width, height, samples, bits, alpha = _image_header(data)
    icc, frames, animated, hidden, begun, extras, told = 0, 0, 0, False, False, False, Told()
    for kind, start, end in _chunks(data):
        extras = extras or not _is_essential(data, kind, start, end)
        if kind in _TELLING:
            told.note(kind, data[start:end], sound=kind != b"eXIf" or _sum_is_right(data, start, end))
        elif kind in _COLOURS and not begun:
            icc = max(icc, _profile_bytes(data[start:end]) if kind == b"iCCP" else 1)
        elif kind == b"tRNS" and bits <= 8:  # a transparent colour of 16-bit samples is left opaque
            alpha = alpha or _sum_is_right(data, start, end)
        elif kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, start)
        elif kind == b"fcTL":
            animated += 1
        elif kind == b"IDAT":  # if an animation follows, this picture is not part of it, yet it is the one we read
            begun, hidden = True, hidden or not animated
    orientation, disputed = told.settled()
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
        disputed=disputed,
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
    chunks = (data[start - 8 : end + 4] for kind, start, end in _chunks(data) if _is_essential(data, kind, start, end))
    return memoryview(b"".join([data[:8], *chunks]))


def exif_block(data: memoryview) -> memoryview | None:
    """The first EXIF chunk's payload, where its checksum is right."""
    blocks = (
        data[start:end] for kind, start, end in _chunks(data) if kind == b"eXIf" and _sum_is_right(data, start, end)
    )
    return next(blocks, None)


def _is_essential(data: memoryview, kind: bytes, start: int, end: int) -> bool:
    """Critical chunks, known or not, begin with a capital; transparency is the one other that matters."""
    return not kind[0] & 0x20 or (kind == b"tRNS" and _sum_is_right(data, start, end))


def _sum_is_right(data: memoryview, start: int, end: int) -> bool:
    (crc,) = struct.unpack_from(">I", data, end)
    return zlib.crc32(data[start - 4 : end]) == int(crc)


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """The CRC of each critical chunk, and that picture data exists in one piece. Raises BadImage."""
    del settings
    assert header.format == FORMAT
    begun = interrupted = False
    for kind, start, end in _chunks(data):
        if not kind.isalpha():
            raise BadImage("The PNG file is corrupt: a chunk without a name")
        if not kind[0] & 0x20 and kind != b"IEND" and not _sum_is_right(data, start, end):  # the end holds nothing
            raise BadImage(f"The PNG file is corrupt: wrong checksum in its {kind.decode('ascii')!r} chunk")
        if kind == b"IDAT" and interrupted:
            raise BadImage("The PNG file is corrupt: its picture data is interrupted")
        begun, interrupted = begun or kind == b"IDAT", begun and kind != b"IDAT"
    if not begun:
        raise BadImage("The PNG file holds no picture data")


def profile(data: memoryview) -> bytes | None:
    """The colour profile: the stored one, or one made of the gamma and the primaries where they are not nearly sRGB's.

    Code points (cICP) come before a stored one, that before the word that it is sRGB, and that before the numbers
    (third edition, 4.3). Empty when it cannot be unpacked, or when the codes are of brighter pictures than sRGB's.
    """
    found: dict[bytes, memoryview] = {}
    for kind, start, end in _chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"iCCP" or (kind in (b"sRGB", *_COLOURS) and _sum_is_right(data, start, end)):
            found.setdefault(kind, data[start:end])
    if b"cICP" in found:
        return _by_codes(bytes(found[b"cICP"]))
    if b"iCCP" in found:
        return _unpacked(found[b"iCCP"], _profile_bytes(found[b"iCCP"]) + 1)
    if b"sRGB" in found or not found:
        return None
    colours = _told(found.get(b"gAMA"), found.get(b"cHRM"))
    return None if is_nearly_srgb(colours) else matrix_profile(colours)


def _by_codes(codes: bytes) -> bytes | None:
    """cICP holds primaries, curve, 0 for RGB and 1 for the full range."""
    return profile_of(codes[0], codes[1]) if len(codes) == 4 and codes[2:] == b"\0\1" else b""


def _told(gamma: memoryview | None, primaries: memoryview | None) -> Colours:
    """gAMA holds one over the gamma, cHRM white, red, green and blue, all in 1/100,000."""
    colours = Colours()
    if primaries is not None and len(primaries) == 32:
        values = [value / 100_000 for value in struct.unpack(">8I", primaries)]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        colours = Colours(red, green, blue, white)
    if gamma is not None and len(gamma) == 4 and any(gamma):
        colours = replace(colours, gamma=100_000 / struct.unpack(">I", gamma)[0])
    return colours


def _profile_bytes(payload: memoryview) -> int:
    """How many bytes an iCCP chunk's profile says it has, at most one more than are read; 1 when it does not say."""
    return max(1, min(int.from_bytes(_unpacked(payload, 4), "big"), PROFILE_BYTES_MAX + 1))


def _unpacked(payload: memoryview, most: int) -> bytes:
    """The first bytes of an iCCP chunk's profile: a name, a byte for the method, zlib with a checksum of its own."""
    _name, _, packed = bytes(payload).partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], most) if packed[:1] == b"\0" else b""
    except zlib.error:
        return b""
