"""What of a file's EXIF goes into the answer: tags that are understood, each read, judged and written anew.

No byte is copied: a value that is not what its tag should hold is left out, and so is every tag that has no row.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from gateway.pictures.exif_tags import (
    ASCII,
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    SIGNED_RATIONAL,
    SIZES,
    TEXT_MAX,
    Directory,
    Metadata,
    Tag,
    tags_of,
)
from gateway.pictures.headers.exif import ORIENTATION_TAG, entries, opened

#: The tags that name the other directories.
_POINTERS: dict[Directory, int] = {"exif": 0x8769, "gps": 0x8825}
#: What is read of each, in either byte order.
_FORMS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SIGNED_RATIONAL: "ii"}
_UNDEFINED, _IFD = 7, 13
#: A value of a tag of one kind may be stored as one of another.
_STORED = {SHORT: (SHORT, LONG), ASCII: (ASCII, _UNDEFINED, BYTE), BYTE: (BYTE, _UNDEFINED)}
#: Numbers of a place that say nothing without their letter: north or south, east or west, true or magnetic.
_REFERENCES = {2: 1, 4: 3, 17: 16}
_HEAD = b"II*\0\x08\0\0\0"
_ENTRY, _SLOT = 12, 4

#: Of a tag, ready to be written: type, count, bytes.
_Value = tuple[int, int, bytes]
_Values = dict[int, _Value]
_Found = dict[tuple[Directory, int], _Value]


def kept_metadata(block: bytes | memoryview | None, choice: Metadata, orientation: int = 1) -> bytes:
    """An EXIF block made of what `choice` keeps of another one; empty where that is nothing. Never fails.

    orientation: 1 to 8 as EXIF counts, of pixels that stay as they are stored.
    """
    found = {} if block is None or choice == "none" else _found(block, tags_of(choice))
    if orientation != 1:
        found["image", ORIENTATION_TAG] = SHORT, 1, struct.pack("<H", orientation)
    return _written(found) if found else b""


def _found(block: bytes | memoryview, wanted: Iterable[Tag]) -> _Found:
    """What is there and right of the tags that are wanted; of several of one number the first."""
    whole = opened(block)
    if whole is None:
        return {}
    data, order, start = whole
    stored: dict[Directory, dict[int, tuple[int, int, int]]] = {"image": _entries(data, order, start)}
    for directory, pointer in _POINTERS.items():
        kind, count, slot = stored["image"].get(pointer, (0, 0, 0))
        if kind in (LONG, _IFD) and count == 1:
            (start,) = struct.unpack_from(order + "I", data, slot)
            stored[directory] = _entries(data, order, start)
    found: _Found = {}
    for tag in wanted:
        entry = stored.get(tag.directory, {}).get(tag.number)
        if entry is not None and (value := _value(data, order, tag, *entry)):
            found[tag.directory, tag.number] = value
    for number, reference in _REFERENCES.items():
        if ("gps", reference) not in found:
            found.pop(("gps", number), None)
    return found


def _entries(data: memoryview, order: str, start: int) -> dict[int, tuple[int, int, int]]:
    """Number → (type, count, where its slot is)."""
    stored: dict[int, tuple[int, int, int]] = {}
    for number, kind, count, slot in entries(data, order, start):
        stored.setdefault(number, (kind, count, slot))
    return stored


def _value(data: memoryview, order: str, tag: Tag, kind: int, count: int, slot: int) -> _Value | None:
    """(type, count, bytes) to write, or None for what is not what the tag should hold."""
    if kind not in _STORED.get(tag.kind, (tag.kind,)):
        return None
    size = (SIZES.get(kind, 1)) * count
    if size > TEXT_MAX:
        return None
    if size > _SLOT:
        (slot,) = struct.unpack_from(order + "I", data, slot)
    stored = bytes(data[slot : slot + size])
    if len(stored) != size:
        return None
    return _text(stored, tag) if tag.kind == ASCII else _numbers(stored, order + _FORMS[kind] * count, tag, count)


def _text(stored: bytes, tag: Tag) -> _Value | None:
    """One line that can be printed, in the form the tag has."""
    try:
        text = stored.partition(b"\0")[0].decode().strip()
    except UnicodeDecodeError:
        return None
    if not text.isprintable() or not tag.form.fullmatch(text):
        return None
    written = text.encode() + b"\0"
    return ASCII, len(written), written


def _numbers(stored: bytes, form: str, tag: Tag, count: int) -> _Value | None:
    values = struct.unpack(form, stored)
    if count != tag.values or (tag.kind == SHORT and max(values) > 0xFFFF):
        return None
    if tag.kind in (RATIONAL, SIGNED_RATIONAL) and not all(values[1::2]):
        return None
    return tag.kind, count, struct.pack("<" + _FORMS[tag.kind] * count, *values)


def _written(found: _Found) -> bytes:
    """The block: the picture's directory first, the others behind it."""
    parts: dict[Directory, _Values] = {"image": {}, "exif": {}, "gps": {}}
    for (directory, number), value in found.items():
        parts[directory][number] = value
    others = [directory for directory in _POINTERS if parts[directory]]
    image = parts["image"] | {_POINTERS[directory]: (LONG, 1, bytes(_SLOT)) for directory in others}
    start, behind = len(_HEAD) + len(_directory(image, 0)), b""
    for directory in others:
        image[_POINTERS[directory]] = (LONG, 1, struct.pack("<I", start + len(behind)))
        behind += _directory(parts[directory], start + len(behind))
    return _HEAD + _directory(image, len(_HEAD)) + behind


def _directory(values: _Values, start: int) -> bytes:
    """One directory that begins at `start`, with what does not fit into its entries behind it."""
    behind, rows = b"", struct.pack("<H", len(values))
    end = start + len(rows) + len(values) * _ENTRY + _SLOT
    for number, (kind, count, value) in sorted(values.items()):
        rows += struct.pack("<HHI", number, kind, count)
        if len(value) <= _SLOT:
            rows += value.ljust(_SLOT, b"\0")
        else:
            rows += struct.pack("<I", end + len(behind))
            behind += value + b"\0" * (len(value) % 2)
    return rows + bytes(_SLOT) + behind
