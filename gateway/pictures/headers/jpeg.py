"""JPEG: segments up to the first scan for the facts, then every marker to the end for the number of scans.

ITU T.81 annex B. Alone knows which JPEG processes are accepted, how many scans are too many, and which oddities
change no pixel. Markers are found as libjpeg finds them, and with it every viewer: whatever else stands between two
segments is skipped.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

import msgspec

from gateway.pictures.headers import exif
from gateway.pictures.headers.facts import PARTS_MAX, Format, Header
from shared.errors import BadImage
from shared.settings import DecodingSettings

FORMAT: Format = "jpeg"

SOI, EOI, SOS, DHT, DRI, TEM = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD, 0x01
#: Stands for a marker where a piece is the picture data behind a scan header.
DATA = 0
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG and DAC
_BARE = frozenset({*range(0xD0, 0xD8), TEM})  # restart markers and TEM: no length, no meaning between segments
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
#: Segments that tell of the picture.
_NOTED = FRAMES | {_APP2}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
#: Segments in which libjpeg finds fault with words that change no pixel.
_WORDED = frozenset({_APP0, _APP14, SOS})
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_MARKER = re.compile(rb"\xff[^\0\xff]", re.DOTALL)
#: In entropy-coded data: the next marker that is neither a stuffed FF00 nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
#: The last bytes of a sequential scan's header: all coefficients, at full precision.
_ALL_COEFFICIENTS = b"\0\x3f\0"
#: By components: the colour transforms that Adobe's segment may name; the last one is taken for any other.
_ADOBE_TRANSFORMS = {3: (0, 1), 4: (0, 2)}

#: Marker, where its FF stands, where its payload begins and ends; DATA for picture data.
Piece = tuple[int, int, int, int]


def read(data: memoryview) -> Header:
    """Facts from the segments before the first scan."""
    found: dict[str, int | bool] = {}
    worded: list[tuple[int, memoryview]] = []
    told: list[memoryview] = []
    end = 2
    for marker, at, start, stop in pieces(data):
        if at > end and bytes(data[end:at]).strip(b"\xff"):
            found["extras"] = True
        end = stop
        if marker in _WORDED:
            worded.append((marker, data[start:stop]))
        elif marker == _APP1:
            told.append(data[start:stop])
        if marker in (SOS, EOI):
            break
        if marker in _NOTED:
            _note(marker, data[start:stop], found)
    if "width" not in found:
        raise BadImage("The JPEG file has no frame header: it is truncated or corrupt")
    orientation, disputed = _orientation(told)
    header = Header(format=FORMAT, orientation=orientation, disputed=disputed, **found)  # type: ignore[arg-type]
    odd = any(_put_right(marker, payload, header) != payload for marker, payload in worded)
    return msgspec.structs.replace(header, extras=True) if odd else header


def _note(marker: int, payload: memoryview, found: dict[str, int | bool]) -> None:
    if marker in FRAMES:
        if "width" in found:
            raise BadImage("The JPEG file has two frame headers")
        found |= _frame(marker, payload)
    elif bytes(payload[:12]) == b"ICC_PROFILE\0":
        found["icc"] = found.get("icc", 0) + len(payload)


def _orientation(told: list[memoryview]) -> exif.Orientation:
    """From all APP1 segments: readers take the first EXIF, the first that speaks, or all of them in one piece."""
    blocks = [bytes(each[6:]) for each in told if bytes(each[:6]) == _EXIF and len(each) > 6]
    xmp = next((each for each in told if bytes(each[: len(_XMP)]) == _XMP), b"")
    if blocks:
        claims = [exif.claim(block) for block in blocks]
        first = next((each for each in claims if each), None)
        return exif.settled([first, claims[0], exif.claim(b"".join(blocks))], xmp)
    padded = (exif.claim(each[6:]) for each in told if bytes(each[:5]) == _EXIF[:5])  # by something else than 0
    return exif.settled([exif.doubtful(each) for each in padded], xmp)


def profile(data: memoryview) -> bytes | None:
    """The colour profile, put together from its segments in the order of their numbers (ICC.1:2022, B.4)."""
    parts: dict[int, bytes] = {}
    for marker, _at, start, end in pieces(data):
        if marker in (SOS, EOI):
            break
        if marker == _APP2 and bytes(data[start : start + 12]) == b"ICC_PROFILE\0" and end - start > 14:
            parts.setdefault(data[start + 12], bytes(data[start + 14 : end]))
    return b"".join(parts[number] for number in sorted(parts)) if parts else None


def exif_block(data: memoryview) -> memoryview | None:
    """The first EXIF segment's payload."""
    for marker, _at, start, end in pieces(data):
        if marker in (SOS, EOI):
            break
        if marker == _APP1 and bytes(data[start : start + len(_EXIF)]) == _EXIF:
            return data[start:end]
    return None


def _frame(marker: int, payload: memoryview) -> dict[str, int | bool]:
    bits, height, width, samples = struct.unpack_from(">BHHB", payload)
    if marker not in (_BASELINE, _EXTENDED, _PROGRESSIVE) or bits != 8:
        raise BadImage(
            "This kind of JPEG (lossless, hierarchical, arithmetic or 12-bit) is not accepted; "
            "save it as a baseline or progressive 8-bit JPEG"
        )
    if not width or not height or samples not in (1, 3, 4):
        raise BadImage(f"The JPEG frame header is wrong ({width}×{height}, {samples} components)")
    return {
        "width": width,
        "height": height,
        "samples": samples,
        "bits": bits,
        "cmyk": samples == 4,
        "progressive": marker == _PROGRESSIVE,
    }


def pieces(data: memoryview) -> Iterator[Piece]:
    """Every segment and every scan's picture data, in order, to the end marker or the end of the file.

    What stands between two of them is skipped by decoders. Raises BadImage.
    """
    position, scanned, size = 2, False, len(data)
    for _ in range(PARTS_MAX):
        found = _MARKER.search(data, position)
        if found is None:
            return
        at, start = found.span()
        marker = data[at + 1]
        if marker in _BARE:
            yield marker, at, start, start
            position = start
            continue
        if marker == EOI:
            yield marker, at, start, start
            return
        length = data[start] << 8 | data[start + 1]
        position = start + (max(2, length))  # as libjpeg does for segments that it skips
        if marker == SOI or position > size:
            if scanned:
                return  # what it means for the picture the decoder knows
            raise BadImage("The JPEG file is truncated or corrupt")
        yield marker, at, start + 2, position
        if marker == SOS:
            scanned = True
            following = _NEXT_MARKER.search(data, position)
            end = following.start() if following else size
            yield DATA, position, position, end
            position = end
    raise BadImage("The JPEG file has too many segments")


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """Raises BadImage when there is no scan, another frame or too many scans.

    Whether the data of a scan are whole only a decoder can tell (`decoder_complaints.py`).
    """
    assert header.format == FORMAT
    markers = [marker for marker, *_place in pieces(data)]
    scans, most = markers.count(SOS), settings.max_jpeg_scans
    if sum(marker in FRAMES for marker in markers) > 1:
        raise BadImage("The JPEG file has two frame headers")
    if scans > most:
        raise BadImage(f"The JPEG file has more than {most} scans; save it again as a baseline JPEG")
    if not scans:
        raise BadImage("The JPEG file holds no picture data")


def is_closed(data: memoryview) -> bool:
    """Whether the file has an end marker of its own."""
    return bytes(data[-2:]) == b"\xff\xd9" or any(marker == EOI for marker, *_place in pieces(data))


def essential(data: memoryview, header: Header, scans: Sequence[bytes] = ()) -> memoryview:
    """A copy without what decoders skip and with nothing that libjpeg would speak of needlessly.

    libjpeg speaks of the first oddity in a file alone: what it says of the copy is about the picture data. scans: the
    data of each scan, in place of the file's own; then the copy has an end marker in any case.
    """
    parts = [data[:2]]
    replaced = iter(scans)
    for marker, at, start, end in pieces(data):
        if marker == DATA:
            parts.append(memoryview(next(replaced, data[start:end])))
        elif marker not in _BARE and not (scans and marker == EOI):
            parts += [data[at:start], _put_right(marker, data[start:end], header)]
    return memoryview(b"".join([*parts, b"\xff\xd9" if scans else b""]))


def _put_right(marker: int, payload: memoryview, header: Header) -> memoryview:
    """The payload as libjpeg takes it: with the version, transform or spectrum that it goes on with."""
    right = bytearray(payload)
    if marker == _APP0 and right[:5] == b"JFIF\0" and len(right) > 5:
        right[5] = 1
    elif marker == _APP14 and right[:5] == b"Adobe" and len(right) >= 12:
        known = _ADOBE_TRANSFORMS.get(header.samples, (right[11],))
        right[11] = right[11] if right[11] in known else known[-1]
    elif marker == SOS and not header.progressive and len(right) >= 3:
        right[-3:] = _ALL_COEFFICIENTS
    return memoryview(right)
