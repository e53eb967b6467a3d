"""TIFF's directories: where they lie, what their entries hold, and which of them is the picture.

TIFF 6.0, Adobe's supplement 1 (SubIFDs), BigTIFF. Entries are taken in any order and of any integer type.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import BadImage

ENTRIES_MAX = 4096
PAGES_MAX = 4096
VALUES_MAX = 65_536
_SUBIFDS_MAX = 64
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_NEW_SUBFILE, _SUBFILE, _SUBIFDS = 254, 255, 330
_REDUCED, _OLD_REDUCED = 1, 2

Numbers = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Entry:
    """kind: the type of its values. offset: where they lie, inside the entry or elsewhere."""

    kind: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Directory:
    """One page. order: "<" or ">". start: where it lies. big: of a BigTIFF."""

    data: memoryview
    order: str
    start: int
    entries: dict[int, Entry]
    big: bool

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return int(self.values(tag, 1)[0]) if tag in self.entries else default

    def values(self, tag: int, most: int = VALUES_MAX) -> Numbers:
        """(n,) uint64: the integers of a tag, at most `most`; none when it is not there."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint64)
        if entry.kind not in _INTEGERS or not 1 <= entry.count <= VALUES_MAX:
            raise BadImage(f"The TIFF file is corrupt: tag {tag} holds no usable number")
        count = min(entry.count, most)
        dtype = np.dtype(_INTEGERS[entry.kind]).newbyteorder(self.order)  # type: ignore[arg-type]
        if entry.offset + count * dtype.itemsize > len(self.data):
            raise BadImage("The TIFF file is truncated")
        return np.frombuffer(self.data, dtype, count, entry.offset).astype(np.uint64)

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag, whatever they are; fewer where the file ends before, none when it is not there."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        return bytes(self.data[entry.offset : entry.offset + entry.count * TYPE_SIZES.get(entry.kind, 1)])


@dataclass(frozen=True, slots=True)
class _Form:
    """How a directory is written: its count, its entries and its link are of these sizes."""

    order: str
    big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def link(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def entry(self) -> np.dtype[np.void]:
        """slot: what does not fit into it is an offset."""
        wide = self.order + ("u8" if self.big else "u4")
        return np.dtype([("tag", self.order + "u2"), ("kind", self.order + "u2"), ("number", wide), ("slot", wide)])


def main_page(data: memoryview) -> tuple[Directory, int]:
    """The first page that is no smaller version of another, and how many such pages there are.

    Where the chain has none, the first page's SubIFDs are looked at (cameras keep the picture there, behind its
    thumbnail); where they have none either, the first page is all there is. Raises BadImage.
    """
    form = _Form("<" if bytes(data[:2]) == b"II" else ">", bytes(data[2:4]) in (b"+\0", b"\0+"))
    (offset,) = form.link.unpack_from(data, 8 if form.big else 4)
    starts = [start for start, reduced in _chain(data, form, offset) if not reduced]
    if starts:
        return _directory(data, form, starts[0]), len(starts)
    first = _directory(data, form, offset)
    inside = (int(start) for start in first.values(_SUBIFDS)[:_SUBIFDS_MAX])
    whole = next((start for start in inside if not _is_reduced(_entries(data, form, start)[0])), offset)
    return _directory(data, form, whole), 1


def _chain(data: memoryview, form: _Form, offset: int) -> Iterator[tuple[int, bool]]:
    """Where each directory lies, and whether it is a smaller version of another. Raises BadImage for endless chains."""
    seen: set[int] = set()
    while offset:
        if offset in seen or len(seen) >= PAGES_MAX:
            raise BadImage("The TIFF file is corrupt: its directories run in a circle or never end")
        seen.add(offset)
        entries, end = _entries(data, form, offset)
        yield offset, _is_reduced(entries)
        (offset,) = form.link.unpack_from(data, end)
    if not seen:
        raise BadImage("The TIFF file holds no picture")


def _entries(data: memoryview, form: _Form, offset: int) -> tuple[NDArray[np.void], int]:
    """A directory's entries, and where they end."""
    (count,) = form.count.unpack_from(data, offset)
    if not 1 <= count <= ENTRIES_MAX:
        raise BadImage(f"The TIFF file is corrupt: a directory of {count} entries")
    start = offset + form.count.size
    end = start + count * form.entry.itemsize
    if end + form.link.size > len(data):
        raise BadImage("The TIFF file is truncated")
    return np.frombuffer(data, form.entry, count, start), end


def _is_reduced(entries: NDArray[np.void]) -> bool:
    """Whichever half of its slot the number stands in: for short values that depends on the byte order."""
    for tag, flag in ((_NEW_SUBFILE, _REDUCED), (_SUBFILE, _OLD_REDUCED)):
        slots = entries["slot"][entries["tag"] == tag]
        if len(slots):
            halves = {int(slots[0]) >> shift & 0xFFFF for shift in (0, 16, 32, 48)}
            return any(half & flag for half in halves) if tag == _NEW_SUBFILE else flag in halves
    return False


def _directory(data: memoryview, form: _Form, offset: int) -> Directory:
    packed, end = _entries(data, form, offset)
    slot = end - len(packed) * form.entry.itemsize + form.entry.itemsize - form.link.size
    entries: dict[int, Entry] = {}
    for index, (tag, kind, number, value) in enumerate(packed.tolist()):
        fits = TYPE_SIZES.get(kind, 1) * number <= form.link.size
        entries.setdefault(tag, Entry(kind, number, slot + index * form.entry.itemsize if fits else value))
    return Directory(data, form.order, offset, entries, form.big)
