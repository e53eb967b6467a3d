"""TIFF and BigTIFF: the first directory for the facts, the chain of directories for the pages, strips for bounds.

TIFF 6.0, Adobe supplement 2, BigTIFF. Alone knows which kinds of TIFF are accepted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gateway.pictures.headers.facts import Format, Header
from shared.errors import BadImage
from shared.settings import Settings

FORMAT: Format = "tiff"

ENTRIES_MAX = 4096
PAGES_MAX = 4096
STRIPS_MAX = 65_536
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS, _PLANAR = 273, 274, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _EXTRA, _ICC = 322, 323, 324, 325, 338, 34675
_REDUCED = 1
_ALPHAS = (1, 2)  # multiplied into the colours, or not
_CMYK = 5
_BITS_READ = frozenset({1, 2, 4, 8, 16})
#: None, CCITT ×3, LZW, JPEG, Adobe Deflate, Deflate, PackBits.
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32946, 32773})


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Directory:
    data: memoryview
    order: str
    big: bool
    offset: int
    entries: dict[int, _Entry]
    following: int

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return int(self.values(tag, 1)[0]) if tag in self.entries else default

    def values(self, tag: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """(n,) uint64: the integers of a tag, at most `most`."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint64)
        if entry.kind not in _INTEGERS or not 1 <= entry.count <= STRIPS_MAX:
            raise BadImage(f"The TIFF file is corrupt: tag {tag} holds no usable number")
        count = min(entry.count, most)
        dtype = np.dtype(_INTEGERS[entry.kind]).newbyteorder(self.order)  # type: ignore[arg-type]
        if entry.offset + count * dtype.itemsize > len(self.data):
            raise BadImage("The TIFF file is truncated")
        return np.frombuffer(self.data, dtype, count, entry.offset).astype(np.uint64)


def read(data: memoryview) -> Header:
    """Facts from the first directory, pages from the chain."""
    first = _first_directory(data)
    width, height = first.value(_WIDTH, 0), first.value(_HEIGHT, 0)
    samples, bits = first.value(_SAMPLES, 1), int(first.values(_BITS, 64).max(initial=1))
    compression, orientation = first.value(_COMPRESSION, 1), first.value(_ORIENTATION, 1)
    if not width or not height or not 1 <= samples <= 64 or bits > 64:
        raise BadImage(f"The TIFF directory is wrong ({width}×{height}, {samples} samples of {bits} bits)")
    if compression not in _COMPRESSIONS:
        raise BadImage(f"TIFF compression {compression} is not accepted; save it uncompressed or with LZW or Deflate")
    pages = 1 + sum(not reduced for reduced in _following_pages(data, first))
    header = Header(
        FORMAT,
        width,
        height,
        orientation if 1 <= orientation <= 8 else 1,
        pages,
        samples=samples,
        bits=bits,
        alpha=samples in (2, 4) and first.value(_EXTRA, 0) in _ALPHAS,
        icc=first.entries[_ICC].count if _ICC in first.entries else 0,
        cmyk=first.value(_PHOTOMETRIC, 1) == _CMYK,
        raster_bytes=_raster_bytes(first, width, height, samples * bits),
    )
    return replace(header, decoder=_decoder(first, header))


def profile(data: memoryview) -> bytes | None:
    """The colour profile of the first page."""
    entry = _first_directory(data).entries.get(_ICC)
    return bytes(data[entry.offset : entry.offset + entry.count]) if entry else None


def _decoder(directory: _Directory, header: Header) -> Literal["opencv", "pillow"]:
    """Who reads it rightly. Raises BadImage when nobody does.

    OpenCV 5.0 multiplies 8-bit colours with their alpha, refuses uncompressed tiles of some sizes, and 2 and 4 bits
    a sample. Pillow 13 reads no big-endian BigTIFF.
    """
    tiled, nibbles = _TILE_WIDTH in directory.entries, header.bits in (2, 4)
    if header.bits > 8 or not (header.alpha or tiled or nibbles):
        return "opencv"
    if not (directory.big and directory.order == ">"):
        return "pillow"
    if header.alpha or nibbles:
        raise BadImage("This kind of big-endian BigTIFF is not accepted; save it as an ordinary TIFF")
    return "opencv"


def not_turned(data: memoryview) -> memoryview:
    """A copy whose first directory says orientation 1: decoders turn TIFF by themselves, and tiles wrongly."""
    first = _first_directory(data)
    entry = first.entries[_ORIENTATION]
    copy = bytearray(data)
    size = _TYPE_SIZES[entry.kind]
    copy[entry.offset : entry.offset + size] = (1).to_bytes(size, "little" if first.order == "<" else "big")
    return memoryview(copy)


def _raster_bytes(directory: _Directory, width: int, height: int, pixel_bits: int) -> int:
    """Bytes of all tiles when unpacked: a tile may be far larger than the picture it covers."""
    across, down = directory.value(_TILE_WIDTH, 0), directory.value(_TILE_HEIGHT, 0)
    if not across or not down:
        return width * height * pixel_bits // 8
    tiles = -(-width // across) * -(-height // down)
    return tiles * across * down * pixel_bits // 8


def _first_directory(data: memoryview) -> _Directory:
    order = "<" if bytes(data[:2]) == b"II" else ">"
    (magic,) = struct.unpack_from(order + "H", data, 2)
    big = magic == 43
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    return _directory(data, order, offset, big=big)


def _following_pages(data: memoryview, first: _Directory) -> Iterator[bool]:
    """For each later directory, whether it is a smaller version of another. Raises BadImage for chains without end.

    Entries are sorted by tag, so that what kind of page it is can only stand in the first one.
    """
    head, entry, slot = ("Q", 20, 12) if first.big else ("H", 12, 8)
    offset, seen = first.following, {first.offset}
    while offset:
        if offset in seen or len(seen) >= PAGES_MAX:
            raise BadImage("The TIFF file is corrupt: its directories run in a circle or never end")
        seen.add(offset)
        (count,) = struct.unpack_from(first.order + head, data, offset)
        if not 1 <= count <= ENTRIES_MAX:
            raise BadImage(f"The TIFF file is corrupt: a directory of {count} entries")
        start = offset + struct.calcsize(first.order + head)
        tag, low, high = struct.unpack_from(f"{first.order}H{slot - 2}xHH", data, start)
        yield tag == _SUBFILE and bool((low | high) & _REDUCED)
        (offset,) = struct.unpack_from(first.order + ("Q" if first.big else "I"), data, start + count * entry)


def _directory(data: memoryview, order: str, offset: int, *, big: bool) -> _Directory:
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
    head, size = (8, 20) if big else (2, 12)
    if not 1 <= count <= ENTRIES_MAX:
        raise BadImage(f"The TIFF file is corrupt: a directory of {count} entries")
    entries: dict[int, _Entry] = {}
    for position in range(offset + head, offset + head + count * size, size):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, position)
        entries.setdefault(tag, _entry(data, order, position, kind, number, big=big))
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, offset + head + count * size)
    return _Directory(data, order, big, offset, entries, following)


def _entry(data: memoryview, order: str, position: int, kind: int, number: int, *, big: bool) -> _Entry:
    """Where the values lie: inside the entry when they fit, else where it points."""
    slot, room = (position + 12, 8) if big else (position + 8, 4)
    if _TYPE_SIZES.get(kind, 1) * number <= room:
        return _Entry(kind, number, slot)
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, slot)
    return _Entry(kind, number, offset)


def _pieces(directory: _Directory, header: Header, *, tiled: bool) -> tuple[int, int]:
    """How many strips or tiles the picture takes, and how many bytes all of them have when unpacked."""
    planes = header.samples if directory.value(_PLANAR, 1) == 2 else 1
    if tiled:
        across, down = directory.value(_TILE_WIDTH, 0), directory.value(_TILE_HEIGHT, 0)
        if not across or not down:
            raise BadImage("The TIFF file is corrupt: its tiles have no size")
        return -(-header.width // across) * -(-header.height // down) * planes, header.raster_bytes
    rows = directory.value(_ROWS_PER_STRIP, header.height)
    if not rows:
        raise BadImage("The TIFF file is corrupt: its strips have no rows")
    row_bytes = (header.width * header.samples * header.bits // planes + 7) // 8 * planes
    return -(-header.height // rows) * planes, row_bytes * header.height


def check_complete(data: memoryview, header: Header, settings: Settings) -> None:
    """Raises BadImage when a strip or tile of the first page lies outside the file or one is missing."""
    del settings
    assert header.format == FORMAT
    if header.bits not in _BITS_READ:
        raise BadImage(f"TIFF of {header.bits} bits a sample is not accepted; save it with 8 or 16")
    first = _first_directory(data)
    tiled = _TILE_OFFSETS in first.entries
    offsets = first.values(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, STRIPS_MAX)
    counts = first.values(_TILE_COUNTS if tiled else _STRIP_COUNTS, STRIPS_MAX)
    needed, raw_bytes = _pieces(first, header, tiled=tiled)
    if len(offsets) != len(counts) or len(offsets) < needed:
        raise BadImage("The TIFF file is corrupt: its table of strips is not whole")
    if first.value(_COMPRESSION, 1) == 1 and int(counts.astype(object).sum()) < raw_bytes:
        raise BadImage("The TIFF file is truncated: its strips hold less than the picture")
    size = len(data)
    if (
        not counts.all()
        or int(offsets.max()) > size
        or int(counts.max()) > size
        or int((offsets + counts).max()) > size
    ):
        raise BadImage("The TIFF file is truncated: a strip lies outside the file")
