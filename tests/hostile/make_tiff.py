"""TIFF and BigTIFF files built entry by entry, right or wrong. TIFF 6.0."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHORT, LONG, LONG8 = 3, 4, 16
NONE, LZW, JPEG, ADOBE_DEFLATE, DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, COLORMAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 320, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
WHITE_IS_ZERO, BLACK_IS_ZERO, TRUE_COLOUR, INDEXED, CMYK = 0, 1, 2, 3, 5

_SIZES = {SHORT: 2, LONG: 4, LONG8: 8}
_LETTERS = {SHORT: "H", LONG: "I", LONG8: "Q"}


@dataclass
class Page:
    """One directory: tag → values, and the strips or tiles they describe."""

    tags: dict[int, Sequence[int]]
    strips: list[bytes]
    kinds: dict[int, int] = field(default_factory=dict)


@dataclass
class File:
    """A TIFF file. order: "<" or ">". following: overrides where each directory says the next one is."""

    pages: list[Page]
    order: str = "<"
    big: bool = False
    following: dict[int, int] = field(default_factory=dict)

    def bytes(self) -> bytes:
        head = (b"II" if self.order == "<" else b"MM") + (
            struct.pack(self.order + "HHHQ", 43, 8, 0, 16) if self.big else struct.pack(self.order + "HI", 42, 8)
        )
        body, starts = bytearray(head), []
        for index, page in enumerate(self.pages):
            starts.append(len(body))
            self._page(body, page, last=index == len(self.pages) - 1)
        for index, offset in self.following.items():
            struct.pack_into(self.order + ("Q" if self.big else "I"), body, self._link(body, starts[index]), offset)
        return bytes(body)

    def _link(self, body: bytearray, start: int) -> int:
        """Where the directory at `start` keeps the offset of the next one."""
        (count,) = struct.unpack_from(self.order + ("Q" if self.big else "H"), body, start)
        return start + (8 + count * 20 if self.big else 2 + count * 12)

    def _page(self, body: bytearray, page: Page, *, last: bool) -> None:
        """Directory, then its long values, then its strips."""
        tiled = TILE_WIDTH in page.tags
        where, counts = (TILE_OFFSETS, TILE_COUNTS) if tiled else (STRIP_OFFSETS, STRIP_COUNTS)
        tags = {counts: [len(strip) for strip in page.strips], **page.tags}
        fixed = where in page.tags
        tags.setdefault(where, [0] * len(page.strips))
        entry, room = (20, 8) if self.big else (12, 4)
        table = len(body)
        after = table + (8 if self.big else 2) + len(tags) * entry + room
        long_values = sum(self._bytes(page, tag, tags[tag]) for tag in tags if self._bytes(page, tag, tags[tag]) > room)
        first_strip = after + long_values
        if not fixed:
            starts = np.cumsum([0, *(len(strip) for strip in page.strips)])[:-1] + first_strip
            tags[where] = starts.tolist()
        body += struct.pack(self.order + ("Q" if self.big else "H"), len(tags))
        tail = bytearray()
        for tag in sorted(tags):
            kind = page.kinds.get(tag, LONG)
            packed = struct.pack(self.order + _LETTERS[kind] * len(tags[tag]), *tags[tag])
            body += struct.pack(self.order + ("HHQ" if self.big else "HHI"), tag, kind, len(tags[tag]))
            if len(packed) <= room:
                body += packed.ljust(room, b"\0")
            else:
                body += struct.pack(self.order + ("Q" if self.big else "I"), after + len(tail))
                tail += packed
        end = first_strip + sum(map(len, page.strips))
        body += struct.pack(self.order + ("Q" if self.big else "I"), 0 if last else end)
        body += tail + b"".join(page.strips)

    def _bytes(self, page: Page, tag: int, values: Sequence[int]) -> int:
        return _SIZES[page.kinds.get(tag, LONG)] * len(values)


def tags_of(samples: NDArray[np.generic], photometric: int, compression: int = NONE) -> dict[int, Sequence[int]]:
    """What every directory needs for (height, width) or (height, width, n) samples."""
    height, width = samples.shape[:2]
    count = 1 if samples.ndim == 2 else samples.shape[2]
    return {
        WIDTH: [width],
        HEIGHT: [height],
        BITS: [samples.dtype.itemsize * 8] * count,
        COMPRESSION: [compression],
        PHOTOMETRIC: [photometric],
        SAMPLES: [count],
        ROWS_PER_STRIP: [height],
    }


def page(
    samples: NDArray[np.generic],
    photometric: int = TRUE_COLOUR,
    compression: int = NONE,
    *,
    rows: int = 0,
    tile: int = 0,
    order: str = "<",
    extra: dict[int, Sequence[int]] | None = None,
) -> Page:
    """A right directory. rows: per strip. tile: side of the tiles, a multiple of 16."""
    ordered = samples.astype(samples.dtype.newbyteorder(order))
    tags = {**tags_of(samples, photometric, compression), **(extra or {})}
    if tile:
        del tags[ROWS_PER_STRIP]
        tags = {TILE_WIDTH: [tile], TILE_HEIGHT: [tile], **tags}
        pieces = [piece.tobytes() for piece in _tiles(ordered, tile)]
    else:
        step = rows or samples.shape[0]
        tags = {**tags, ROWS_PER_STRIP: [step], **(extra or {})}
        pieces = [ordered[top : top + step].tobytes() for top in range(0, samples.shape[0], step)]
    return Page(tags, [_PACKERS[compression](piece) for piece in pieces])


def tiff(
    samples: NDArray[np.generic], photometric: int = TRUE_COLOUR, compression: int = NONE, **options: object
) -> bytes:
    """A right file of one page."""
    big, order = bool(options.pop("big", False)), str(options.pop("order", "<"))
    return File([page(samples, photometric, compression, order=order, **options)], order, big).bytes()  # type: ignore[arg-type]


def _tiles(samples: NDArray[np.generic], side: int) -> list[NDArray[np.generic]]:
    height, width = samples.shape[:2]
    padding = [(0, -height % side), (0, -width % side)] + [(0, 0)] * (samples.ndim - 2)
    full = np.pad(samples, padding, mode="edge")
    return [
        np.ascontiguousarray(full[top : top + side, left : left + side])
        for top in range(0, full.shape[0], side)
        for left in range(0, full.shape[1], side)
    ]


def by_pillow(pixels: NDArray[np.uint8], compression: str, **options: object) -> bytes:
    """Encoded by libtiff: tiff_lzw, jpeg, group3, group4, tiff_ccitt and its other names."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF", compression=compression, **options)  # type: ignore[arg-type]
    return file.getvalue()


def packbits(data: bytes) -> bytes:
    """PackBits in literal runs alone."""
    return b"".join(
        bytes([len(data[start : start + 128]) - 1]) + data[start : start + 128] for start in range(0, len(data), 128)
    )


_PACKERS = {NONE: bytes, ADOBE_DEFLATE: zlib.compress, DEFLATE: zlib.compress, PACKBITS: packbits}
