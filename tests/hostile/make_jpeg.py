"""JPEG files: encoded by Pillow, then taken apart into segments and put together differently. ITU T.81."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF0, SOF2, DHT, SOS, DQT, DRI, APP0, APP1, APP2, APP13, APP14, COM = (
    0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
)  # fmt: skip


def jpeg(pixels: NDArray[np.uint8], mode: str | None = None, **options: object) -> bytes:
    """Pixels in a Pillow mode (RGB, L, CMYK) as JPEG 95."""
    file = io.BytesIO()
    picture = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    picture.save(file, "JPEG", **{"quality": 95, **options})  # type: ignore[arg-type]
    return file.getvalue()


def segment(marker: int, payload: bytes, length: int | None = None) -> bytes:
    """One marker segment; its length can be made wrong."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2 if length is None else length) + payload


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The segments up to and with the first scan header, and all bytes behind it."""
    found, position = [], 2
    while True:
        marker = data[position + 1]
        (length,) = struct.unpack_from(">H", data, position + 2)
        found.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + length
        if marker == SOS:
            return found, data[position:]


def join(segments: Sequence[tuple[int, bytes]], rest: bytes) -> bytes:
    return SOI + b"".join(segment(marker, payload) for marker, payload in segments) + rest


def changed(data: bytes, marker: int, change: Callable[[bytes], bytes | None]) -> bytes:
    """Every segment of a kind replaced; None leaves it out."""
    segments, rest = split(data)
    kept = [(kind, change(payload) if kind == marker else payload) for kind, payload in segments]
    return join([(kind, payload) for kind, payload in kept if payload is not None], rest)


def renamed(data: bytes, marker: int, other: int) -> bytes:
    """Every segment of a kind under another marker."""
    segments, rest = split(data)
    return join([(other if kind == marker else kind, payload) for kind, payload in segments], rest)


def with_segments(data: bytes, *extra: tuple[int, bytes]) -> bytes:
    """Extra segments right behind the start."""
    segments, rest = split(data)
    return join([*extra, *segments], rest)


def exif(orientation: int, order: str = "<", kind: int = 3, *, thumbnail: bytes = b"", gps: bool = False) -> bytes:
    """An EXIF block with its prefix: orientation, and if asked a thumbnail in IFD1 and a place."""
    entries = [
        struct.pack(order + "HHI", 0x0112, kind, 1)
        + struct.pack(order + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    ]
    if gps:
        entries.append(struct.pack(order + "HHII", 0x8825, 4, 1, 8))
    first = struct.pack(order + "H", len(entries)) + b"".join(entries)
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    next_offset = 8 + len(first) + 4 if thumbnail else 0
    block = start + first + struct.pack(order + "I", next_offset)
    if thumbnail:
        where = next_offset + 2 + 24 + 4
        second = struct.pack(order + "H", 2)
        second += struct.pack(order + "HHII", 0x0201, 4, 1, where)
        second += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
        block += second + struct.pack(order + "I", 0) + thumbnail
    return b"Exif\0\0" + block


def sized(data: bytes, width: int, height: int) -> bytes:
    """The same file under a frame header that gives another size."""
    change = lambda payload: payload[:1] + struct.pack(">HH", height, width) + payload[5:]  # noqa: E731
    return changed(changed(data, SOF0, change), SOF2, change)


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A black progressive picture whose scans hold almost nothing and still cost a pass over all blocks each.

    One DC scan, then AC scans made of end-of-band runs of 32,767 blocks (T.81 G.1.2.2).
    """
    quantisation = segment(DQT, b"\0" + bytes([1] * 64))
    frame = segment(SOF2, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    dc_table = segment(DHT, b"\0" + bytes([1] + [0] * 15) + b"\0")  # code 0: difference 0
    ac_table = segment(DHT, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")  # code 0: end-of-band run, 14 bits follow
    blocks = -(-width // 8) * -(-height // 8)
    dc_scan = segment(SOS, bytes([1, 1, 0, 0, 0, 0])) + bytes((blocks + 7) // 8)
    runs = -(-blocks // 32_767)
    bits = "".join("0" + "1" * 14 for _ in range(runs))
    bits += "1" * (-len(bits) % 8)
    body = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    scans_data = [segment(SOS, bytes([1, 1, 0, 1 + index % 63, 1 + index % 63, 0])) + body for index in range(scans)]
    return SOI + quantisation + frame + dc_table + ac_table + dc_scan + b"".join(scans_data) + EOI
