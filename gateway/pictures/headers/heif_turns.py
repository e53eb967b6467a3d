"""What turns and crops the picture of a HEIC or AVIF file. ISO/IEC 23008-12 6.5 and 14496-12 12.1.4.

`clap`, `irot` and `imir` are authoritative; EXIF is not, yet some programs follow it. Alone knows when they differ.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from gateway.pictures.headers import exif
from gateway.pictures.headers.heif_boxes import Contents, Item, contents
from shared.errors import BadImage

#: In this order, each at most once, all programs do the same.
_TURNING = (b"clap", b"irot", b"imir")
#: Properties that are known, or change no pixel of the main picture.
_KNOWN = frozenset(
    {*_TURNING, b"ispe", b"hvcC", b"av1C", b"colr", b"pixi", b"auxC", b"pasp", b"rloc", b"clli", b"mdcv", b"amve"}
)
#: EXIF's number by quarter turns to the left and then the axis of mirroring: None, 0 top to bottom, 1 left to right.
_ORIENTATIONS = {
    None: (1, 8, 3, 6),
    0: (4, 5, 2, 7),
    1: (2, 7, 4, 5),
}  # fmt: skip
_EXIF_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class CleanAperture:
    """What of the coded picture is shown, in pixels, before it is turned."""

    left: int
    top: int
    width: int
    height: int


def turning(item: Item) -> list[tuple[bytes, memoryview]]:
    """What turns or crops an item, in its order. Raises BadImage where programs would do different things."""
    told = [(each.kind, each.payload) for each in item.properties if each.kind in _TURNING]
    kinds = [kind for kind, _payload in told]
    if kinds != [kind for kind in _TURNING if kind in kinds]:
        raise BadImage("The picture is cropped and turned in an order that programs read differently; save it again")
    unknown = next((each.kind for each in item.properties if each.essential and each.kind not in _KNOWN), None)
    if unknown is not None:
        raise BadImage("The file needs a property that is not known here; save it as a plain still picture")
    return told


def crop_of(item: Item, coded_width: int, coded_height: int) -> CleanAperture | None:
    """From the middle of what is shown, in fractions (14496-12, 12.1.4)."""
    told = dict(turning(item)).get(b"clap")
    if told is None:
        return None
    numbers = struct.unpack_from(">IIIIiIiI", told)
    if not all(numbers[1::2]):
        raise BadImage("The file is corrupt: its picture is cropped by fractions of nothing")
    width, height, right, down = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = (coded_width - width) / 2 + right, (coded_height - height) / 2 + down
    whole = all(each.denominator == 1 for each in (width, height, left, top))
    inside = min(left, top) >= 0 < min(width, height) and left + width <= coded_width and top + height <= coded_height
    if not whole or not inside:
        raise BadImage("The picture is cropped to parts of pixels or beyond its edge; save it again")
    return CleanAperture(int(left), int(top), int(width), int(height))


def orientation_of(found: Contents) -> exif.Orientation:
    """What turns the picture is authoritative; disputed where EXIF or XMP says something else that would turn it."""
    told = dict(turning(found.items[found.primary]))
    turns = told[b"irot"][0] & 3 if b"irot" in told else 0
    axis = told[b"imir"][0] & 1 if b"imir" in told else None
    value = _ORIENTATIONS[axis][turns]
    block, xmp = _metadata(found)
    claimed = exif.settled([exif.claim(block)] if block else [], xmp)
    return exif.Orientation(value, disputed=claimed.value not in (1, value))


def exif_block(data: memoryview) -> memoryview:
    """The EXIF block of the main picture; empty where there is none."""
    return memoryview(_metadata(contents(data))[0])


def _metadata(found: Contents) -> tuple[bytes, bytes]:
    """The EXIF block and the XMP packet that describe the main picture; empty where there is none."""
    block = packet = b""
    for number in found.referring(b"cdsc", found.primary):
        item = found.items.get(number)
        if item is None or item.cut or item.elsewhere:
            continue
        if item.kind == b"Exif" and not block:
            data = found.bytes_of(item)[:_EXIF_BYTES_MAX]
            block = data[4 + int.from_bytes(data[:4], "big") :]
        elif item.kind == b"mime" and item.content == b"application/rdf+xml" and not packet:
            packet = found.bytes_of(item)[:_EXIF_BYTES_MAX]
    return block, packet
