"""HEIC and AVIF files: encoded by the libraries, then taken apart into boxes, and written anew rightly or wrongly.

ISO/IEC 14496-12 and 23008-12. A file is a `Heif`: items, the properties they share, what they refer to.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures.headers.heif_boxes import contents

Pixels = NDArray[np.uint8]

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def heic(pixels: Pixels, *, mode: str = "", quality: int = 90, **options: Any) -> bytes:
    """(H, W) grey or (H, W, 3 or 4) RGB(A), uint8, or uint16 for 10 bits, as libheif and x265 write it."""
    mode = mode or {2: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2] if pixels.ndim == 3 else 2]
    deep = ";16" if pixels.dtype == np.uint16 else ""
    picture = pillow_heif.from_bytes(mode + deep, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    file = io.BytesIO()
    told = {"preset": "ultrafast", "x265:pools": "1", "x265:frame-threads": "1"}
    picture.save(file, quality=quality, enc_params=told, **options)
    return file.getvalue()


def avif(pixels: Pixels, *, quality: int = 90, **options: Any) -> bytes:
    """(H, W) grey or (H, W, 3 or 4) RGB(A) as libavif and libaom write it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "AVIF", quality=quality, **{"speed": 10, "max_threads": 1, **options})
    return file.getvalue()


def box(kind: bytes, *payload: bytes, size: int | None = None) -> bytes:
    body = b"".join(payload)
    return struct.pack(">I4s", 8 + len(body) if size is None else size, kind) + body


def full(kind: bytes, *payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def turned(turns: int) -> bytes:
    """By so many quarters to the left."""
    return box(b"irot", bytes([turns]))


def mirrored(axis: int) -> bytes:
    """0: what was above is below. 1: what was left is right."""
    return box(b"imir", bytes([axis]))


def cropped(width: int, height: int, right: tuple[int, int] = (0, 1), down: tuple[int, int] = (0, 1)) -> bytes:
    """To a size around the middle, moved by fractions of a pixel."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, *right, *down))


def numbers(primaries: int = 1, curve: int = 13, matrix: int = 6, *, whole: bool = True) -> bytes:
    """Colours told in numbers."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, curve, matrix, whole << 7))


def size(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


@dataclass(frozen=True)
class Item:
    """kind: hvc1, av01, grid, Exif … properties: boxes, in order. inside: its bytes lie in `idat`.

    place: (offset, length) to say in place of where its bytes are.
    """

    kind: bytes
    data: bytes = b""
    properties: tuple[bytes, ...] = ()
    hidden: bool = False
    inside: bool = False
    content: bytes = b""
    place: tuple[int, int] | None = None

    def having(self, *properties: bytes) -> Item:
        """With some more properties."""
        return replace(self, properties=(*self.properties, *properties))


#: Properties of these kinds are told to be essential.
ESSENTIAL = (b"hvcC", b"av1C", b"irot", b"imir", b"clap", b"lsel", b"zzzz")


@dataclass(frozen=True)
class Heif:
    """items: numbered from 1. references: (kind, from, to). behind: other boxes, after the last."""

    items: tuple[Item, ...]
    references: tuple[tuple[bytes, int, tuple[int, ...]], ...] = ()
    primary: int = 1
    brands: bytes = b"heic\0\0\0\0mif1heic"
    handler: bytes = b"pict"
    groups: bytes = b""
    behind: bytes = b""
    before: bytes = b""
    tables: dict[bytes, bytes] = field(default_factory=dict)

    def bytes(self) -> bytes:
        """The file. tables: boxes of `meta` to have in place of the right ones."""
        start = box(b"ftyp", self.brands) + self.before
        room = len(self._meta(0))
        return (
            start + self._meta(len(start) + room + 8) + box(b"mdat", *(item.data for item in self.items)) + self.behind
        )

    def _meta(self, first: int) -> bytes:
        known: dict[bytes, int] = {}
        for item in self.items:
            for each in item.properties:
                known.setdefault(each, len(known) + 1)
        right = {
            b"hdlr": full(b"hdlr", struct.pack(">4x4s13x", self.handler)),
            b"pitm": full(b"pitm", struct.pack(">H", self.primary)),
            b"iinf": full(
                b"iinf", struct.pack(">H", len(self.items)), *map(_entry, range(1, 1 + len(self.items)), self.items)
            ),
            b"iref": full(
                b"iref",
                *(
                    box(kind, struct.pack(f">HH{len(to)}H", source, len(to), *to))
                    for kind, source, to in self.references
                ),
            ),
            b"iprp": box(b"iprp", box(b"ipco", *known), _associations(self.items, known)),
            b"iloc": _places(self.items, first),
            b"idat": box(b"idat", *inside) if (inside := [item.data for item in self.items if item.inside]) else b"",
            b"grpl": self.groups,
        }
        return full(b"meta", *{**right, **self.tables}.values())


def _entry(number: int, item: Item) -> bytes:
    content = item.content + b"\0" if item.kind == b"mime" else b""
    return full(b"infe", struct.pack(">HH4s", number, 0, item.kind), b"\0", content, version=2, flags=int(item.hidden))


def _associations(items: Sequence[Item], known: dict[bytes, int]) -> bytes:
    body = struct.pack(">I", len(items))
    for number, item in enumerate(items, 1):
        told = [known[each] | 0x80 * (each[4:8] in ESSENTIAL) for each in item.properties]
        body += struct.pack(">HB", number, len(told)) + bytes(told)
    return full(b"ipma", body)


def _places(items: Iterable[Item], first: int) -> bytes:
    entries, place, within = [], first, 0
    for number, item in enumerate(items, 1):
        offset, length = item.place or (within if item.inside else place, len(item.data))
        entries.append(struct.pack(">HHHHII", number, int(item.inside), 0, 1, offset, length))
        place, within = place + len(item.data), within + len(item.data) * item.inside
    return full(b"iloc", struct.pack(">BBH", 0x44, 0, len(entries)), *entries, version=1)


def parts(data: bytes) -> Item:
    """The main picture of a file that an encoder has just written, with what its decoder needs: size, set-up, bits."""
    found = contents(memoryview(data))
    item = found.items[found.primary]
    kept = (each for each in item.properties if each.kind in (b"ispe", b"hvcC", b"av1C", b"pixi"))
    return Item(item.kind, found.bytes_of(item), tuple(box(each.kind, bytes(each.payload)) for each in kept))


def still(
    item: Item, *others: Item, references: tuple[tuple[bytes, int, tuple[int, ...]], ...] = (), **options: Any
) -> bytes:
    """A file of one picture and whatever else."""
    av1 = any(each.kind == b"av01" for each in (item, *others))
    named = b"avif\0\0\0\0avifmif1miaf" if av1 else b"heic\0\0\0\0mif1heic"
    return Heif((item, *others), references, **{"brands": named, **options}).bytes()
