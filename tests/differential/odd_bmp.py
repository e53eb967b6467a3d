"""BMP stored oddly: fields that say too much, too little or nothing, gaps, and rows without their end."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import numpy as np

from tests.differential.oddity import Oddity, damaged, noise, scene, spliced
from tests.hostile import make_bmp as make

_SIZE, _OFFSET, _PLANES, _IMAGE_SIZE, _RESOLUTION, _USED, _IMPORTANT = 2, 10, 26, 34, 38, 46, 50


def files(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    for name, data in bases(source):
        yield Oddity(f"{name}: plain", data)
        yield from _fields(name, data, source)
        yield from _places(name, data, source)
        yield from damaged(name, data, source)


def bases(source: random.Random) -> list[tuple[str, bytes]]:
    picture = scene(source)
    height, width = picture.shape[:2]
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    indices = np.ascontiguousarray(picture[:, :, 0] >> 4)
    palette = np.frombuffer(source.randbytes(48), np.uint8).reshape(16, 3)

    def indexed(bits: int, body: bytes, **options: int) -> bytes:
        return make.bmp(width, height, bits, body, palette=palette, **options)  # type: ignore[arg-type]

    four = np.dstack([bgr, np.full((height, width), 255, np.uint8)])
    return [
        ("bmp", make.bmp(width, height, 24, make.rows(bgr, 24))),
        ("bmp top down", make.bmp(width, -height, 24, make.rows(bgr, 24, top_down=True))),
        ("bmp 32", make.bmp(width, height, 32, make.rows(four, 32))),
        ("bmp V5", make.bmp(width, height, 24, make.rows(bgr, 24), header_bytes=124)),
        ("bmp OS/2", make.bmp(width, height, 24, make.rows(bgr, 24), header_bytes=12)),
        ("bmp 8", indexed(8, make.rows(indices, 8))),
        ("bmp 4", indexed(4, make.rows(indices, 4))),
        ("bmp RLE8", indexed(8, make.rle8(indices), compression=make.RLE8)),
        ("bmp RLE4", indexed(4, make.rle4(indices), compression=make.RLE4)),
    ]


def _fields(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    def field(place: int, form: str, value: int) -> bytes:
        return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]

    yield Oddity(f"{name}: file size 0", field(_SIZE, "<I", 0), twin=data)
    yield Oddity(f"{name}: any file size", field(_SIZE, "<I", source.getrandbits(32)), twin=data)
    yield Oddity(f"{name}: reserved words used", field(6, "<I", source.getrandbits(32)), twin=data)
    if "OS/2" in name:
        return
    yield Oddity(f"{name}: no planes", field(_PLANES, "<H", 0))
    yield Oddity(f"{name}: three planes", field(_PLANES, "<H", 3))
    yield Oddity(f"{name}: image size 0", field(_IMAGE_SIZE, "<I", 0))
    yield Oddity(f"{name}: image size too large", field(_IMAGE_SIZE, "<I", len(data) * 3))
    yield Oddity(f"{name}: image size too small", field(_IMAGE_SIZE, "<I", 7))
    yield Oddity(f"{name}: any resolution", field(_RESOLUTION, "<Q", source.getrandbits(64)), twin=data)
    yield Oddity(f"{name}: important colours", field(_IMPORTANT, "<I", 3), twin=data)
    if not any(word in name for word in ("8", "4")):
        yield Oddity(f"{name}: colours that are not there", field(_USED, "<I", 16))
    else:
        yield Oddity(f"{name}: number of colours not told", field(_USED, "<I", 0))


def _places(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    (offset,) = struct.unpack_from("<I", data, _OFFSET)
    gap = noise(source, 1, 90)
    moved = data[:_OFFSET] + struct.pack("<I", offset + len(gap)) + data[_OFFSET + 4 :]
    yield Oddity(f"{name}: a gap before the rows", spliced(moved, offset, gap), twin=data)
    yield Oddity(f"{name}: rows begin at 0", data[:_OFFSET] + bytes(4) + data[_OFFSET + 4 :])
    for missing in (1, 2, 3):
        yield Oddity(f"{name}: {missing} of the last bytes missing", data[:-missing], damaged=True)
