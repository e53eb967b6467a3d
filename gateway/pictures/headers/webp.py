"""WebP: the RIFF chunk chain and the frame header inside. RFC 9649.

Alone knows that the sizes in RIFF, VP8X and the frame must tell the same story.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from gateway.pictures.headers import exif
from gateway.pictures.headers.facts import PARTS_MAX, Format, Header
from shared.errors import BadImage
from shared.settings import DecodingSettings

FORMAT: Format = "webp"

_ANIMATION, _XMP, _EXIF, _ALPHA = 0x02, 0x04, 0x08, 0x10


def read(data: memoryview) -> Header:
    """Facts from the chunk chain and the first frame's header."""
    canvas: tuple[int, int] | None = None
    frame: tuple[int, int, bool] | None = None
    flags, frames, alpha, icc = 0, 0, False, 0
    told: dict[bytes, memoryview] = {}
    for kind, start, end in _chunks(data):
        if kind == b"VP8X":
            if canvas is not None:
                raise BadImage("The WebP file gives its size twice")
            flags = data[start]
            canvas = (_u24(data, start + 4) + 1, _u24(data, start + 7) + 1)
            alpha, frames = alpha or bool(flags & _ALPHA), max(frames, 0)
        elif kind in (b"VP8 ", b"VP8L"):
            if frame is not None:
                raise BadImage("The WebP file holds two pictures that are no animation")
            frame = _frame(kind, data[start:end])
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"ICCP":
            icc = icc or end - start
        elif kind in (b"EXIF", b"XMP "):
            told.setdefault(kind, data[start:end])
    if frame is None and not frames:
        raise BadImage("The WebP file holds no picture data")
    width, height = _agreed_size(canvas, frame, frames)
    alpha = alpha or bool(frame and frame[2])
    samples = 4 if alpha else 3
    orientation, disputed = _orientation(told, flags)
    return Header(
        FORMAT,
        width,
        height,
        orientation,
        max(1, frames),
        samples=samples,
        alpha=alpha,
        icc=icc,
        disputed=disputed,
    )


def _orientation(told: dict[bytes, memoryview], flags: int) -> exif.Orientation:
    """From the first chunk of a kind, which readers look for only where the flags say that there is one."""
    block = told.get(b"EXIF") if flags & _EXIF else None
    xmp = told.get(b"XMP ", b"") if flags & _XMP else b""
    return exif.settled([exif.claim(block)] if block is not None else [], xmp)


def _agreed_size(canvas: tuple[int, int] | None, frame: tuple[int, int, bool] | None, frames: int) -> tuple[int, int]:
    if frames:
        if canvas is None:
            raise BadImage("The WebP file has animation frames but no canvas")
        return canvas
    assert frame is not None
    if canvas is not None and canvas != frame[:2]:
        raise BadImage("The WebP file gives two different sizes")
    return frame[:2]


def _u24(data: memoryview, position: int) -> int:
    return int(data[position] | data[position + 1] << 8 | data[position + 2] << 16)


def _frame(kind: bytes, payload: memoryview) -> tuple[int, int, bool]:
    """Width, height and whether a lossless frame stores alpha."""
    if kind == b"VP8L":
        signature, packed = struct.unpack_from("<BI", payload)
        if signature != 0x2F:
            raise BadImage("The WebP file is corrupt: wrong frame signature")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, bool(packed >> 28 & 1)
    _tag, start_code, width, height = struct.unpack_from("<3s3sHH", payload)
    if start_code != b"\x9d\x01\x2a" or not width & 0x3FFF or not height & 0x3FFF:
        raise BadImage("The WebP file is corrupt: wrong frame header")
    return width & 0x3FFF, height & 0x3FFF, False


def _chunks(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end of payload) inside the RIFF container."""
    (size,) = struct.unpack_from("<I", data, 4)
    stop, position = 8 + size, 12
    if stop > len(data) or size % 2:
        raise BadImage("The WebP file is truncated")
    for _ in range(PARTS_MAX):
        if position + 8 > stop:
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        start, end = position + 8, position + 8 + length
        if end > stop:
            raise BadImage("The WebP file is truncated")
        yield kind, start, end
        position = end + (length & 1)
    raise BadImage("The WebP file has too many chunks")


def profile(data: memoryview) -> bytes | None:
    """The first colour profile."""
    return next((bytes(data[start:end]) for kind, start, end in _chunks(data) if kind == b"ICCP"), None)


def exif_block(data: memoryview) -> memoryview | None:
    """The first EXIF chunk's payload."""
    return next((data[start:end] for kind, start, end in _chunks(data) if kind == b"EXIF"), None)


def container(data: memoryview) -> memoryview:
    """The file to where it says it ends: OpenCV would read on behind that, where a picture's data are cut short."""
    (size,) = struct.unpack_from("<I", data, 4)
    return data[: 8 + size]


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """The chunk chain was already walked to its end by `read`; nothing lies outside the RIFF size."""
    del data, settings
    assert header.format == FORMAT
