"""BMP: the file header and the DIB header of any kind, and where palette, masks and pixels lie.

Windows BITMAPCOREHEADER to BITMAPV5HEADER and OS/2 2.x. Alone knows which BMP compressions are accepted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gateway.pictures.headers.facts import Format, Header
from shared.errors import BadImage
from shared.settings import DecodingSettings

FORMAT: Format = "bmp"

RGB, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
RUNS = (RLE8, RLE4)
_CORE, _OS2, _INFO, _WITH_ALPHA, _V4, _V5 = 12, (16, 64), 40, 56, 108, 124
_SIZES = (_CORE, *_OS2, _INFO, 52, _WITH_ALPHA, _V4, _V5)
_BIT_DEPTHS = {RGB: (1, 4, 8, 16, 24, 32), RLE8: (8,), RLE4: (4,), BITFIELDS: (16, 32), ALPHA_BITFIELDS: (16, 32)}
_FILE_HEADER, _MASKS, _COLOUR_SPACE, _PROFILE = 14, 54, 70, 126
_EMBEDDED = b"DEBM"  # 'MBED' as a little-endian number
#: Where the file says nothing: 5 bits a channel in 16, 8 in 32. Red, green, blue, alpha.
_PLAIN_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True, slots=True)
class BmpLayout:
    """height: negative when the uppermost row comes first. masks: of red, green, blue and alpha, in 16 and 32 bits.

    palette: where it begins, how many colours it has and the bytes of each. pixels: where they begin.
    """

    width: int
    height: int
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: tuple[int, int, int]
    pixels: int

    @property
    def stride(self) -> int:
        """Bytes of one row with its padding."""
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def needed(self) -> int:
        """Bytes of all rows; the padding of the last one may be missing."""
        return self.stride * (abs(self.height) - 1) + (self.width * self.bits + 7) // 8


def read(data: memoryview) -> Header:
    """Facts from the DIB header."""
    layout = layout_of(data)
    samples = {16: 3, 24: 3, 32: 4}.get(layout.bits, 1)
    return Header(
        FORMAT,
        layout.width,
        abs(layout.height),
        samples=samples,
        bits=8 if layout.bits >= 16 else layout.bits,
        alpha=layout.masks[3] > 0,
        icc=_profile_place(data)[1],
        decoder="samples",
    )


def layout_of(data: memoryview) -> BmpLayout:
    """Where everything lies. Raises BadImage."""
    (size,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if size not in _SIZES:
        raise BadImage(f"The BMP header is wrong (size {size})")
    width, height, bits, compression, used = _dib(data, size)
    if bits not in _BIT_DEPTHS.get(compression, ()) or (size in _OS2 and compression not in (RGB, *RUNS)):
        raise BadImage(f"This kind of BMP (compression {compression}, {bits} bits) is not accepted; save it as 24-bit")
    if width < 1 or height == 0:
        raise BadImage(f"The BMP header is wrong ({width}×{height})")
    masks, masks_end = _masks(data, size, bits, compression)
    (pixels,) = struct.unpack_from("<I", data, 10)
    if pixels < masks_end:
        raise BadImage("The BMP header is wrong: its pixels begin inside it")
    each = 3 if size == _CORE else 4
    colours = min(used or 1 << bits, 256, (pixels - masks_end) // each) if bits <= 8 else 0
    if bits <= 8 and not colours:
        raise BadImage("The BMP file is corrupt: it has no palette")
    return BmpLayout(width, height, bits, compression, masks, (masks_end, colours, each), pixels)


def _dib(data: memoryview, size: int) -> tuple[int, int, int, int, int]:
    """Width, height, bits per pixel, compression, colours used (0: as many as there can be)."""
    if size == _CORE:
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, RGB, 0
    width, height, _planes, bits = struct.unpack_from("<iiHH", data, 18)
    if size < _INFO:
        return width, height, bits, RGB, 0
    (compression,) = struct.unpack_from("<I", data, 30)
    (used,) = struct.unpack_from("<I", data, 46)
    return width, height, bits, compression, used


def _masks(data: memoryview, size: int, bits: int, compression: int) -> tuple[tuple[int, int, int, int], int]:
    """The masks, and where the header ends with them: in the older headers they stand behind it."""
    if compression not in (BITFIELDS, ALPHA_BITFIELDS):
        return _PLAIN_MASKS.get(bits, (0, 0, 0, 0)), _FILE_HEADER + size
    count = 4 if size >= _WITH_ALPHA or compression == ALPHA_BITFIELDS else 3
    red, green, blue, alpha = (*struct.unpack_from(f"<{count}I", data, _MASKS), 0)[:4]
    masks = (red, green, blue, alpha)
    together = 0
    for mask in masks:
        low = mask & -mask
        if mask >> bits or mask & together or (mask + low) & mask:
            raise BadImage("This kind of BMP (channels that overlap or have gaps) is not accepted; save it as 24-bit")
        together |= mask
    return masks, max(_FILE_HEADER + size, _MASKS + 4 * count)


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """Raises BadImage when the pixel rows would end behind the end of the file; run-length data ends when decoded."""
    del settings
    assert header.format == FORMAT
    layout = layout_of(data)
    if layout.pixels >= len(data) or (layout.compression not in RUNS and layout.pixels + layout.needed > len(data)):
        raise BadImage("The BMP file is truncated")


def profile(data: memoryview) -> bytes | None:
    """The embedded colour profile."""
    start, size = _profile_place(data)
    return bytes(data[start : start + size]) if size else None


def _profile_place(data: memoryview) -> tuple[int, int]:
    """Where it lies and how long it is: only the newest header has one."""
    (size,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if size != _V5 or bytes(data[_COLOUR_SPACE : _COLOUR_SPACE + 4]) != _EMBEDDED:
        return 0, 0
    offset, length = struct.unpack_from("<II", data, _PROFILE)
    return _FILE_HEADER + offset, max(1, length)
