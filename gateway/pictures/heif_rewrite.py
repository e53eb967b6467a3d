"""A HEIC or AVIF file as decoders are to see it: the main picture, its tiles, its alpha, and nothing else.

Every box is written anew from what the walk has understood. So thumbnails, hidden pictures, depth maps, videos,
metadata, crops, turns and whatever could mislead a decoder's own reading of boxes never reach it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.pictures.headers.heif import Layout

_ALPHA = {b"hvcC": b"urn:mpeg:hevc:2015:auxid:1\0", b"av1C": b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"}
_CODINGS = {b"hvcC": b"hvc1", b"av1C": b"av01"}
_BRANDS = {b"hvcC": b"heic\0\0\0\0mif1heic", b"av1C": b"avif\0\0\0\0avifmif1miaf"}
_ESSENTIAL = 0x8000


@dataclass(slots=True)
class _New:
    """The tables of the new file while they grow. items: kind, bytes, properties."""

    items: list[tuple[bytes, bytes, list[int]]] = field(default_factory=list)
    properties: dict[bytes, int] = field(default_factory=dict)
    references: list[bytes] = field(default_factory=list)

    def add(self, kind: bytes, data: bytes, properties: Sequence[bytes]) -> int:
        """The number of a new item."""
        indices = [self.properties.setdefault(each, len(self.properties) + 1) for each in properties]
        self.items.append((kind, data, indices))
        return len(self.items)


def plain(data: memoryview, layout: Layout) -> bytes:
    """The picture of a file that passed the walk, neither cropped nor turned, with its alpha."""
    new = _New()
    main = _add(new, data, layout, b"")
    if layout.alpha is not None:
        alpha = _add(new, data, layout.alpha, _ALPHA[layout.coded.kind])
        new.references.append(_reference(b"auxl", alpha, [main]))
    return _file(new, main, _BRANDS[layout.coded.kind])


def _add(new: _New, data: memoryview, layout: Layout, auxiliary: bytes) -> int:
    """The number of the item that is the whole picture; its tiles stand behind it."""
    coded = layout.coded
    about = [_full(b"pixi", bytes([coded.samples]) + bytes([coded.bits]) * coded.samples)]
    about += [_box(b"colr", b"nclx" + layout.colours[:7])] if layout.colours and not auxiliary else []
    about += [_full(b"auxC", auxiliary)] if auxiliary else []
    tiled = layout.rows * layout.columns > 1
    whole = new.add(b"grid", _grid(layout), [_size(layout.width, layout.height), *about]) if tiled else 0
    tiles = []
    for tile in layout.tiles:
        configuration = _box(coded.kind, bytes(tile.first(coded.kind) or b"")[: len(coded.configuration)])
        payload = b"".join(data[start:end] for start, end in tile.extents)
        properties = [_size(coded.width, coded.height), configuration, *about]
        tiles.append(new.add(_CODINGS[coded.kind], payload, properties))
    if tiled:
        new.references.append(_reference(b"dimg", whole, tiles))
    return whole or tiles[0]


def _file(new: _New, main: int, brands: bytes) -> bytes:
    start = _box(b"ftyp", brands)
    parts = {number for reference in new.references if reference[4:8] == b"dimg" for number in _referred(reference)}
    items = [_item(number, kind, hidden=number in parts) for number, (kind, _, _) in enumerate(new.items, 1)]
    tables = [
        _full(b"hdlr", struct.pack(">4x4s13x", b"pict")),
        _full(b"pitm", struct.pack(">H", main)),
        _full(b"iinf", struct.pack(">H", len(items)) + b"".join(items)),
        *([_full(b"iref", b"".join(new.references))] if new.references else []),
        _box(b"iprp", _box(b"ipco", b"".join(new.properties)) + _associations(new)),
    ]
    sizes = [len(data) for _kind, data, _properties in new.items]
    room = len(_places(0, sizes))
    first = len(start) + 12 + sum(map(len, tables)) + room + 8
    meta = _full(b"meta", b"".join([*tables, _places(first, sizes)]))
    return b"".join([start, meta, _box(b"mdat", b"".join(data for _kind, data, _properties in new.items))])


def _places(first: int, sizes: Sequence[int]) -> bytes:
    """Of items that lie one behind the other."""
    entries, place = [], first
    for number, size in enumerate(sizes, 1):
        entries.append(struct.pack(">HHHII", number, 0, 1, place, size))
        place += size
    return _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(sizes)) + b"".join(entries))


def _associations(new: _New) -> bytes:
    kinds = {index: box[4:8] for box, index in new.properties.items()}
    body = struct.pack(">I", len(new.items))
    for number, (_kind, _data, indices) in enumerate(new.items, 1):
        told = [index | (_ESSENTIAL if kinds[index] in _CODINGS else 0) for index in indices]
        body += struct.pack(f">HB{len(told)}H", number, len(told), *told)
    return _full(b"ipma", body, flags=1)


def _item(number: int, kind: bytes, *, hidden: bool) -> bytes:
    return _full(b"infe", struct.pack(">HH4sx", number, 0, kind), version=2, flags=int(hidden))


def _reference(kind: bytes, source: int, targets: Sequence[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


def _referred(reference: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{(len(reference) - 12) // 2}H", reference, 12)


def _grid(layout: Layout) -> bytes:
    return struct.pack(">BBBBII", 0, 1, layout.rows - 1, layout.columns - 1, layout.width, layout.height)


def _size(width: int, height: int) -> bytes:
    return _full(b"ispe", struct.pack(">II", width, height))


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _full(kind: bytes, payload: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + payload)
