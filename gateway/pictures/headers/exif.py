"""How to turn a picture upright, from EXIF (2.32, tag 0x0112) or XMP, and whether readers would agree about it.

Written with Pillow 13, OpenCV 5 and Chromium 156 as witnesses; DECISIONS.md, "Which way up", has the table.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ORIENTATION_TAG, _EXIF_IFD = 0x0112, 0x8769
_PREFIX = b"Exif\0\0"
#: Pillow alone goes on behind the number of a big-endian BigTIFF.
_BIG = b"MM\0+"
_MAGIC = {b"II*\0": "<", b"MM\0*": ">", _BIG: ">"}
_ENTRIES_MAX = 4096
_BYTE, _ASCII, _SHORT, _LONG = 1, 2, 3, 4
#: Whole numbers that one value of is taken for what it says: BYTE, SHORT, LONG, their signed kin, and IFD.
_WHOLE = {_BYTE: "B", _SHORT: "H", _LONG: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
#: What some readers convert: fractions and floating point.
_BROKEN = {5: "II", 10: "ii", 11: "f", 12: "d"}
_XMP = re.compile(rb"\b([\w.-]{1,40}):Orientation\s*(?:=\s*[\"']|>)\s*([2-8])\b")
#: By which name a packet calls TIFF's namespace; nearly all call it tiff.
_XMP_PREFIX = re.compile(rb"\bxmlns:([\w.-]{1,40})\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/")
#: Of an XMP packet that is looked at.
_XMP_BYTES_MAX = 1 << 20


class Claim(NamedTuple):
    """What one place says. value: 1..8. alike: whether all who read that place read this, or none of them would."""

    value: int
    alike: bool = True


def doubtful(claim: Claim | None) -> Claim | None:
    """The claim of a place where only some readers look."""
    return claim and Claim(claim.value, alike=claim.value == 1)


class Orientation(NamedTuple):
    """value: EXIF 1..8. disputed: some viewers would show the picture another way up than others."""

    value: int = 1
    disputed: bool = False


def settled(views: Sequence[Claim | None], xmp: bytes | memoryview = b"") -> Orientation:
    """From what different readers take for the file's EXIF orientation, the likeliest first; None where it is silent.

    One clear claim turns the picture, however its number is stored. XMP counts only where EXIF says nothing; few
    readers look there.
    """
    known = [view for view in views if view]
    if known:
        values = {view.value if view else 1 for view in views}
        return Orientation(known[0].value, len(values) > 1 or not all(view.alike for view in known))
    return _by_xmp(bytes(xmp[:_XMP_BYTES_MAX]))


def _by_xmp(packet: bytes) -> Orientation:
    prefixes = {b"tiff", *_XMP_PREFIX.findall(packet)}
    value = next((int(found[2]) for found in _XMP.finditer(packet) if found[1] in prefixes), 0)
    return Orientation(value, disputed=True) if value else Orientation()


def claim(block: bytes | memoryview) -> Claim | None:
    """From an EXIF block, with or without its `Exif\\0\\0` prefix; None when it says nothing.

    A broken EXIF block is no reason to refuse a picture that every viewer shows.
    """
    whole = opened(block)
    if whole is None:
        return None
    found = claim_at(*whole)
    return found if bytes(whole[0][:4]) != _BIG else doubtful(found)


def opened(block: bytes | memoryview) -> tuple[memoryview, str, int] | None:
    """An EXIF block without its prefix, its byte order, and where its first directory is; None for no such block."""
    data = memoryview(block)
    if bytes(data[: len(_PREFIX)]) == _PREFIX:
        data = data[len(_PREFIX) :]
    order = _MAGIC.get(bytes(data[:4]))
    if order is None or len(data) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", data, 4)
    return data, order, start


def claim_at(data: bytes | memoryview, order: str, start: int, *, big: bool = False) -> Claim | None:
    """From the directory at `start` of EXIF or TIFF. order: "<" or ">". big: of BigTIFF."""
    told, elsewhere = [], 0
    for tag, kind, number, slot in entries(data, order, start, big=big):
        if tag == ORIENTATION_TAG:
            told.append((kind == _SHORT and number == 1, _claimed(data, order, kind, number, slot, big=big)))
        elif tag == _EXIF_IFD and not big:
            (elsewhere,) = struct.unpack_from(order + "I", data, slot)
    known = [each for _plain, each in told if each]
    if known:
        settles = told[0][0] or len({each.value for each in known}) == 1
        return known[0] if settles else Claim(known[0].value, alike=False)
    if elsewhere and not told:  # where it does not belong, and Chromium finds it
        inner = (
            _claimed(data, order, *rest) for tag, *rest in entries(data, order, elsewhere) if tag == ORIENTATION_TAG
        )
        return doubtful(next(inner, None))
    return None


def entries(
    data: bytes | memoryview, order: str, start: int, *, big: bool = False
) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, number of values, where its slot is), as far as the data reach."""
    head, entry, size = ("Q", "HHQ", 20) if big else ("H", "HHI", 12)
    with contextlib.suppress(struct.error):
        (count,) = struct.unpack_from(order + head, data, start)
        first = start + struct.calcsize(order + head)
        for place in range(first, first + min(count, _ENTRIES_MAX) * size, size):
            tag, kind, number = struct.unpack_from(order + entry, data, place)
            struct.unpack_from("4x", data, place + size - 4)  # the slot is there
            yield tag, kind, number, place + struct.calcsize(order + entry)


def _claimed(
    data: bytes | memoryview, order: str, kind: int, number: int, slot: int, *, big: bool = False
) -> Claim | None:
    """What an entry says; None where no reader takes it for an orientation."""
    if kind == _ASCII or (kind == _BYTE and number != 1):
        return None
    if kind == _SHORT and number == 2:
        first, second = struct.unpack_from(order + "HH", data, slot)
        return Claim(_sensible(first), alike=first in (1, second))
    if number == 1 and kind in _WHOLE:
        (value,) = struct.unpack_from(order + _WHOLE[kind], data, slot)
        return Claim(_sensible(value), alike=1 <= value <= 8 or _sensible(value & 0xFFFF) == 1)
    value = _converted(data, order, kind, number, slot, big=big)
    return Claim(value, alike=value == 1)


def _converted(data: bytes | memoryview, order: str, kind: int, number: int, slot: int, *, big: bool) -> int:
    """What the most lenient reader makes of several values, or of one that is no whole number."""
    form = _BROKEN.get(kind) or _WHOLE.get(kind, "H")
    size, room = struct.calcsize(order + form) * number, 8 if big else 4
    try:
        if size > room:
            (slot,) = struct.unpack_from(order + ("Q" if big else "I"), data, slot)
        value, *below = struct.unpack_from(order + form, data, slot)
        return _sensible(int(value / below[0] if below else value))
    except (struct.error, ArithmeticError, ValueError):
        return 1


def _sensible(value: int) -> int:
    return value if 1 <= value <= 8 else 1
