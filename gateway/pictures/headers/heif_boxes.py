"""The boxes of a HEIF file, as far as pictures need them: which items there are, where they lie, what they refer to.

ISO/IEC 14496-12 (boxes, `meta`) and 23008-12 (`ipco`, `ipma`). Boxes are read one behind the other; a box inside a box
is opened only where its kind may stand, so that nothing recurses. Alone knows how these tables are stored.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.pictures.headers.facts import PARTS_MAX
from shared.errors import BadImage

#: libheif reads no more items; a picture of 30 megapixels in tiles of 256 pixels has 460.
ITEMS_MAX = 1000
#: Boxes at one place, and entries of one table.
_ENTRIES_MAX = 8192
#: Where pictures of a track are counted.
_SAMPLES = (b"trak", b"mdia", b"minf", b"stbl")
_IN_FILE, _IN_META = 0, 1
#: By the bytes of a number.
_LETTERS = {0: "0s", 4: "I", 8: "Q"}
_PROPERTIES_MAX = 64
#: Enough of a coded picture to see what is told of its sequence.
_BEGIN_BYTES = 4096


class FileBox(NamedTuple):
    """kind: four letters. start, end: of its payload."""

    kind: bytes
    start: int
    end: int


class Property(NamedTuple):
    """What is said of an item. essential: who does not know it must not show the item."""

    kind: bytes
    payload: memoryview
    essential: bool


@dataclass(slots=True)
class Item:
    """One thing in the file: a coded picture, a derived one, metadata. extents: (start, end) of its bytes, in order.

    content: media type of metadata. cut: some of its bytes lie behind the end. elsewhere: they are encrypted, or in
    another file or item.
    """

    kind: bytes
    content: bytes = b""
    hidden: bool = False
    cut: bool = False
    elsewhere: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    def first(self, kind: bytes) -> memoryview | None:
        """The payload of its first property of a kind."""
        return next((each.payload for each in self.properties if each.kind == kind), None)


@dataclass(slots=True)
class Contents:
    """primary: the item that is the picture, 0 for none. references: (kind, from, to). pictures_in_tracks: of video."""

    data: memoryview
    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    pictures_in_tracks: int = 0

    def referred(self, kind: bytes, source: int) -> tuple[int, ...]:
        """What an item refers to."""
        return next((to for each, start, to in self.references if (each, start) == (kind, source)), ())

    def referring(self, kind: bytes, target: int) -> list[int]:
        """Which items refer to one."""
        return [start for each, start, to in self.references if each == kind and target in to]

    def bytes_of(self, item: Item) -> bytes:
        """An item's bytes, joined."""
        return b"".join(self.data[start:end] for start, end in item.extents)

    def begin_of(self, item: Item) -> bytes:
        """The first bytes of an item that has some."""
        start, end = item.extents[0]
        return bytes(self.data[start : min(end, start + _BEGIN_BYTES)])


def contents(data: memoryview) -> Contents:
    """The tables of a file. Raises BadImage, struct.error and IndexError for those that are cut short."""
    found = Contents(data)
    meta: FileBox | None = None
    for box in _top(data):
        if box.kind == b"meta" and meta is None:
            meta = box
        elif box.kind == b"moov":
            found.pictures_in_tracks = max(1, _pictures(data, box))
    if meta is None:
        raise BadImage("The file is truncated, or holds moving pictures alone; save its picture as a still one")
    _read_meta(found, {box.kind: box for box in reversed([*_boxes(data, meta.start + 4, meta.end)])})
    return found


def _top(data: memoryview) -> Iterator[FileBox]:
    """The outermost boxes, up to the first that is not whole: whatever lies behind the tables is no part of them."""
    position, stop = 0, len(data)
    for _ in range(_ENTRIES_MAX):
        box = _box(data, position, stop)
        if box is None:
            return
        yield box
        position = box.end


def _boxes(data: memoryview, start: int, stop: int) -> Iterator[FileBox]:
    """Those inside a box, which must fill it."""
    for _ in range(_ENTRIES_MAX):
        if start >= stop:
            return
        box = _box(data, start, stop)
        if box is None:
            raise BadImage("The file is truncated or corrupt: one of its tables is not whole")
        yield box
        start = box.end
    raise BadImage("The file has too many tables")


def _box(data: memoryview, start: int, stop: int) -> FileBox | None:
    if start + 8 > stop:
        return None
    size, kind = struct.unpack_from(">I4s", data, start)
    head = 8
    if size == 1 and start + 16 <= stop:
        (size,) = struct.unpack_from(">Q", data, start + 8)
        head = 16
    elif size == 0:
        size = stop - start
    return FileBox(kind, start + head, start + size) if head <= size <= stop - start else None


def _pictures(data: memoryview, movie: FileBox) -> int:
    """The most samples of any track."""
    level = [movie]
    for kind in _SAMPLES:
        level = [box for outer in level for box in _boxes(data, outer.start, outer.end) if box.kind == kind][:64]
    tables = [box for outer in level for box in _boxes(data, outer.start, outer.end) if box.kind in (b"stsz", b"stz2")]
    return max((int(struct.unpack_from(">I", data, box.start + 8)[0]) for box in tables), default=0)


def _read_meta(found: Contents, boxes: dict[bytes, FileBox]) -> None:
    data, handler = found.data, boxes.get(b"hdlr")
    if handler is None or bytes(data[handler.start + 8 : handler.start + 12]) != b"pict":
        raise BadImage("The file holds no picture")
    if b"pitm" in boxes:
        at = boxes[b"pitm"].start
        (found.primary,) = struct.unpack_from(">I" if data[at] else ">H", data, at + 4)
    for kind, read in ((b"iinf", _read_items), (b"iref", _read_references)):
        if kind in boxes:
            read(found, boxes[kind])
    if b"iloc" in boxes:
        _read_places(found, boxes[b"iloc"], boxes.get(b"idat", FileBox(b"idat", 0, 0)))
    if b"iprp" in boxes:
        _read_properties(found, boxes[b"iprp"])


def _read_items(found: Contents, table: FileBox) -> None:
    start = table.start + (8 if found.data[table.start] else 6)
    for box in _boxes(found.data, start, table.end):
        version, flags = found.data[box.start], found.data[box.start + 3]
        if box.kind != b"infe" or version < 2:
            continue
        form = ">IH4s" if version > 2 else ">HH4s"
        number, protection, kind = struct.unpack_from(form, found.data, box.start + 4)
        rest = bytes(found.data[box.start + 4 + struct.calcsize(form) : min(box.end, box.start + 512)])
        content = rest.split(b"\0")[1:2] if kind == b"mime" else []
        if number in found.items or len(found.items) >= ITEMS_MAX:
            raise BadImage("The file has too many items, or one of them twice")
        found.items[number] = Item(kind, b"".join(content), bool(flags & 1), elsewhere=bool(protection))


def _read_references(found: Contents, table: FileBox) -> None:
    wide, left = "I" if found.data[table.start] else "H", 4 * ITEMS_MAX
    for box in _boxes(found.data, table.start + 4, table.end):
        source, count = struct.unpack_from(f">{wide}H", found.data, box.start)
        left -= _at_most(count, left)
        place = box.start + struct.calcsize(f">{wide}H")
        if place + count * struct.calcsize(wide) > box.end:
            raise BadImage("The file is corrupt: its table of references is not whole")
        found.references.append((box.kind, source, struct.unpack_from(f">{count}{wide}", found.data, place)))


def _read_places(found: Contents, table: FileBox, inside: FileBox) -> None:
    """Where the items lie, inside the file or inside a box of small things."""
    data = found.data
    version, sizes, more = data[table.start], data[table.start + 4], data[table.start + 5]
    offset, length, base, index = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if version > 2 or not {offset, length, base, index} <= _LETTERS.keys():
        raise BadImage("The file is corrupt: its table of places is of no known kind")
    wide = ">I" if version == 2 else ">H"
    (count,) = struct.unpack_from(wide, data, table.start + 6)
    place = table.start + 6 + struct.calcsize(wide)
    head = struct.Struct(f"{wide}{'H' if version else ''}H{_LETTERS[base]}H")
    entry = struct.Struct(f">{_LETTERS[index]}{_LETTERS[offset]}{_LETTERS[length]}")
    parts_left = PARTS_MAX
    for _ in range(_at_most(count, ITEMS_MAX)):
        number, *method, source, start, parts = head.unpack_from(data, place)
        place, stop = place + head.size, place + head.size + parts * entry.size
        parts_left -= _at_most(parts, parts_left)
        if stop > table.end or (parts > 1 and not entry.size):
            raise BadImage("The file is corrupt: its table of places is not whole")
        item = found.items.get(number)
        if item is not None and not item.extents:
            how = method[0] & 15 if method else _IN_FILE
            room = inside if how == _IN_META else FileBox(b"", 0, len(data))
            item.elsewhere = item.elsewhere or bool(source) or how not in (_IN_FILE, _IN_META)
            extents = entry.iter_unpack(data[place:stop]) if entry.size else ((0, 0, 0),) * parts
            _place(item, [(each[1] or 0, each[2] or 0) for each in extents], start or 0, room)
        place = stop


def _at_most(count: int, most: int) -> int:
    if count > most:
        raise BadImage("The file has too many entries in its tables")
    return count


def _place(item: Item, extents: Iterable[tuple[int, int]], base: int, room: FileBox) -> None:
    for offset, length in extents:
        start = room.start + base + offset
        item.extents.append((start, start + length))
        item.cut = item.cut or not length or start + length > room.end


def _read_properties(found: Contents, table: FileBox) -> None:
    data = found.data
    boxes = [*_boxes(data, table.start, table.end)]
    stored = (box for outer in boxes if outer.kind == b"ipco" for box in _boxes(data, outer.start, outer.end))
    known = [Property(box.kind, data[box.start : box.end], essential=False) for box in stored]
    for box in boxes:
        if box.kind == b"ipma":
            _associate(found, box, known)


def _associate(found: Contents, table: FileBox, known: list[Property]) -> None:
    """Which items have which properties, in the order that counts for those that turn and crop."""
    data, wide_item, wide_index = found.data, ">I" if found.data[table.start] else ">H", found.data[table.start + 3] & 1
    (count,) = struct.unpack_from(">I", data, table.start + 4)
    place = table.start + 8
    for _ in range(_at_most(count, ITEMS_MAX)):
        (number,) = struct.unpack_from(wide_item, data, place)
        place += struct.calcsize(wide_item)
        properties, place = data[place], place + 1
        stop = place + properties * (2 if wide_index else 1)
        if stop > table.end:
            raise BadImage("The file is corrupt: its table of properties is not whole")
        told = struct.unpack_from(f">{properties}{'H' if wide_index else 'B'}", data, place)
        place, item, essential = stop, found.items.get(number), 0x8000 if wide_index else 0x80
        if item is not None:
            item.properties += _named([(each & ~essential, bool(each & essential)) for each in told], known)
            _at_most(len(item.properties), _PROPERTIES_MAX)


def _named(told: list[tuple[int, bool]], known: list[Property]) -> Iterator[Property]:
    """Properties by their numbers, of which 0 stands for none."""
    for index, essential in told:
        if index > len(known):
            raise BadImage("The file is corrupt: it names a property that it does not have")
        if index:
            yield known[index - 1]._replace(essential=essential)
