"""EXIF blocks and XMP packets that say which way up a picture is, in every right and wrong form."""

from __future__ import annotations

import struct
from collections.abc import Sequence

ORIENTATION, MAKE, EXIF_IFD = 0x0112, 0x010F, 0x8769
BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, FLOAT, DOUBLE, IFD = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    11,
    12,
    13,
)
PREFIX, XMP_PREFIX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_LETTERS = {
    BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", SBYTE: "b", UNDEFINED: "B", SSHORT: "h", SLONG: "i", FLOAT: "f",
    DOUBLE: "d", IFD: "I", RATIONAL: "II",
}  # fmt: skip

#: Tag, type, values.
Field = tuple[int, int, Sequence[int]]
#: The number of values that is written, too, where it is not that of the values.
AnyField = Field | tuple[int, int, Sequence[int], int]


def block(*entries: AnyField, order: str = "<", start: int = 8, magic: int = 42, following: int = 0) -> bytes:
    """A block without its prefix. start: where its directory lies. Types nobody knows are written as SHORT."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", magic, start)
    return head.ljust(start, b"\0") + directory(entries, order, start, following)


def directory(entries: Sequence[AnyField], order: str, start: int, following: int = 0) -> bytes:
    """One directory that will lie at `start`, and behind it what does not fit into its entries."""
    packed, behind = struct.pack(order + "H", len(entries)), b""
    end = start + 2 + 12 * len(entries) + 4
    for tag, kind, values, *told in entries:
        each = order + _LETTERS.get(kind, "H")
        data = b"".join(struct.pack(each, *((value, 1) if kind == RATIONAL else (value,))) for value in values)
        slot = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", end + len(behind))
        behind += data if len(data) > 4 else b""
        packed += struct.pack(order + "HHI", tag, kind, *(told or [len(values)])) + slot
    return packed + struct.pack(order + "I", following) + behind


def oriented(value: int, order: str = "<", kind: int = SHORT) -> bytes:
    """An ordinary block of one entry."""
    return block((ORIENTATION, kind, [value]), order=order)


def xmp(value: int, *, element: bool = False, quote: str = '"') -> bytes:
    """A packet without a container's prefix."""
    names = "xmlns:tiff='http://ns.adobe.com/tiff/1.0/'"
    inner = (
        f"<rdf:Description {names}><tiff:Orientation>{value}</tiff:Orientation></rdf:Description>"
        if element
        else f"<rdf:Description {names} tiff:Orientation={quote}{value}{quote}/>"
    )
    return (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        f"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>{inner}</rdf:RDF></x:xmpmeta>"
    ).encode()
