"""BMP: the file header and the DIB header of either kind, and where the pixels must lie.

Windows BITMAPCOREHEADER to BITMAPV5HEADER and OS/2 2.x. Alone knows which BMP compressions are accepted.
"""

from __future__ import annotations

import struct

from gateway.pictures.headers.facts import Format, Header
from shared.errors import BadImage
from shared.settings import Settings

FORMAT: Format = "bmp"

_RGB, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_CORE_HEADER = 12
_BIT_DEPTHS = {_RGB: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _BITFIELDS: (16, 32), _ALPHA_BITFIELDS: (16, 32)}


def read(data: memoryview) -> Header:
    """Facts from the DIB header."""
    width, height, bits, compression = _dib(data)
    if bits not in _BIT_DEPTHS.get(compression, ()):
        raise BadImage(f"This kind of BMP (compression {compression}, {bits} bits) is not accepted; save it as 24-bit")
    if width < 1 or height == 0:
        raise BadImage(f"The BMP header is wrong ({width}×{height})")
    samples = {16: 3, 24: 3, 32: 4}.get(bits, 1)
    return Header(FORMAT, width, abs(height), samples=samples, bits=8 if bits >= 16 else bits)


def _dib(data: memoryview) -> tuple[int, int, int, int]:
    """Width, height (negative: top-down), bits per pixel, compression."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE_HEADER:
        width, height, _planes, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, _RGB
    if size not in (16, 40, 52, 56, 64, 108, 124):
        raise BadImage(f"The BMP header is wrong (size {size})")
    width, height, _planes, bits = struct.unpack_from("<iiHH", data, 18)
    (compression,) = struct.unpack_from("<I", data, 30) if size >= 40 else (_RGB,)
    return width, height, bits, compression


def check_complete(data: memoryview, header: Header, settings: Settings) -> None:
    """Raises BadImage when the pixel rows (or the run-length data) would end behind the end of the file."""
    del settings
    (offset,) = struct.unpack_from("<I", data, 10)
    _width, _height, bits, compression = _dib(data)
    if compression in (_RLE8, _RLE4):
        if b"\0\x01" not in bytes(data[offset:]):
            raise BadImage("The BMP file is truncated: its run-length data has no end")
        return
    stride = (header.width * bits + 31) // 32 * 4
    if offset < 14 or offset + stride * header.height > len(data):
        raise BadImage("The BMP file is truncated")


def profile(data: memoryview) -> bytes | None:
    del data
    return None
