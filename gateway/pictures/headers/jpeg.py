"""JPEG: segments up to the first scan for the facts, then every marker to the end for completeness.

ITU T.81 annex B. Alone knows which JPEG processes are accepted and how many scans are too many.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from gateway.pictures.headers import exif
from gateway.pictures.headers.facts import PARTS_MAX, Format, Header
from shared.errors import BadImage
from shared.settings import Settings

FORMAT: Format = "jpeg"

SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG and DAC
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_MARKER_CODE = re.compile(rb"[^\xff]", re.DOTALL)
#: In entropy-coded data: the next marker that is neither a stuffed FF00 nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)


def read(data: memoryview) -> Header:
    """Facts from the segments before the first scan."""
    found: dict[str, int | bool] = {}
    for marker, start, end in _segments(data, 2):
        if marker in (SOS, EOI):
            break
        _note(marker, data[start:end], found)
    if "width" not in found:
        raise BadImage("The JPEG file has no frame header: it is truncated or corrupt")
    return Header(format=FORMAT, **found)  # type: ignore[arg-type]


def _note(marker: int, payload: memoryview, found: dict[str, int | bool]) -> None:
    if marker in _FRAMES:
        if "width" in found:
            raise BadImage("The JPEG file has two frame headers")
        found |= _frame(marker, payload)
    elif marker == 0xE1 and bytes(payload[:6]) == b"Exif\0\0":
        found.setdefault("orientation", exif.orientation(payload))
    elif marker == 0xE2 and bytes(payload[:12]) == b"ICC_PROFILE\0":
        found["icc"] = found.get("icc", 0) + len(payload)


def profile(data: memoryview) -> bytes | None:
    """The colour profile, put together from its segments in the order of their numbers (ICC.1:2022, B.4)."""
    parts: dict[int, bytes] = {}
    for marker, start, end in _segments(data, 2):
        if marker in (SOS, EOI):
            break
        if marker == 0xE2 and bytes(data[start : start + 12]) == b"ICC_PROFILE\0" and end - start > 14:
            parts.setdefault(data[start + 12], bytes(data[start + 14 : end]))
    return b"".join(parts[number] for number in sorted(parts)) if parts else None


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


def _segments(data: memoryview, position: int) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end of its payload) from `position` to the first marker without a length after SOS or EOI."""
    for _ in range(PARTS_MAX):
        if data[position] != 0xFF:
            raise BadImage("The JPEG file is corrupt: no marker where one belongs")
        code = _MARKER_CODE.search(data, position)  # any number of fill bytes may stand before it
        if code is None:
            raise BadImage("The JPEG file is truncated")
        position = code.start()
        marker = data[position]
        position += 1
        if marker == EOI:
            yield marker, position, position
            return
        if marker in _RESTARTS or marker == TEM:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in (0, SOI) or length < 2 or position + length > len(data):
            raise BadImage("The JPEG file is truncated or corrupt")
        yield marker, position + 2, position + length
        position += length
        if marker == SOS:
            return
    raise BadImage("The JPEG file has too many segments")


def check_complete(data: memoryview, header: Header, settings: Settings) -> None:
    """Every scan up to the end marker; Raises BadImage when it is missing or there are too many scans."""
    assert header.format == FORMAT
    scans, most = 0, settings.max_jpeg_scans
    for scans, _ in enumerate(_runs(data), start=0):
        if scans > most:
            raise BadImage(f"The JPEG file has more than {most} scans; save it again as a baseline JPEG")
    if not scans:
        raise BadImage("The JPEG file holds no picture data")


def ends_in_padding(data: memoryview, count: int) -> bool:
    """Whether the last `count` bytes before the end marker are all 00 or all FF."""
    *_, end = _runs(data)
    return bytes(data[max(0, end - 2 - count) : end - 2]) in (bytes(count), b"\xff" * count)


def _runs(data: memoryview) -> Iterator[int]:
    """Where each run of segments ends: behind a scan's header for all but the last, behind the end marker there."""
    position = 2
    while True:
        marker, position = _last_segment(data, position)
        yield position
        if marker == EOI:
            return
        match = _NEXT_MARKER.search(data, position)
        if match is None:
            raise BadImage("The JPEG file is truncated: it ends inside its picture data")
        position = match.start()


def _last_segment(data: memoryview, position: int) -> tuple[int, int]:
    """The scan or end marker that ends this run of segments, and where its payload ends."""
    last = (EOI, position)
    for marker, _start, end in _segments(data, position):
        if marker in _FRAMES and position != 2:
            raise BadImage("The JPEG file has two frame headers")
        last = (marker, end)
    return last
