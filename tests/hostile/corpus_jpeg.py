"""JPEG files made to hurt: lies in headers, missing tables, floods of segments and scans, and cuts."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile import make_jpeg as make
from tests.hostile import rasters
from tests.hostile.files import Expected, Hostile, cuts, flips

SOF_NAMES = {0xC3: "lossless", 0xC5: "hierarchical", 0xC9: "arithmetic", 0xCA: "arithmetic-progressive", 0xCF: "sof15"}


def files() -> Iterator[Hostile]:
    """All of them."""
    right = make.jpeg(rasters.colours())
    progressive = make.jpeg(rasters.colours(), progressive=True)
    yield from cuts("jpeg", right)
    yield from cuts("jpeg-progressive", progressive)
    yield from _cut_and_closed("jpeg", make.jpeg(rasters.noise(200, 160)))
    yield from _cut_and_closed("jpeg-progressive", make.jpeg(rasters.noise(200, 160), progressive=True))
    yield from flips("jpeg", right, 20, seed=1)
    yield from flips("jpeg-progressive", progressive, 20, seed=2)
    yield from _sizes(right)
    yield from _frames(right)
    yield from _tables(right)
    yield from _segments(right)
    yield from _scans(right)
    yield from _metadata(right)


def _cut_and_closed(name: str, data: bytes) -> Iterator[Hostile]:
    """Cut inside the picture data, then given an end marker: the decoder fills the rest with grey."""
    for tenth in range(3, 10):
        yield Hostile(f"{name}-cut-{tenth}0%-and-closed", data[: len(data) * tenth // 10] + make.EOI, "refused")


def _sizes(right: bytes) -> Iterator[Hostile]:
    yield Hostile("jpeg-65535-square", make.sized(right, 65_535, 65_535), "too large")
    yield Hostile("jpeg-65500x460", make.sized(right, 65_500, 460), "too large")
    yield Hostile("jpeg-no-width", make.sized(right, 0, 48), "refused")
    yield Hostile("jpeg-no-height", make.sized(right, 64, 0), "refused")
    yield Hostile("jpeg-1x1", make.sized(right, 1, 1), "refused")
    yield Hostile("jpeg-9x100", make.jpeg(rasters.colours(9, 100)), "refused")
    yield Hostile("jpeg-10x10", make.jpeg(rasters.colours(10, 10)), "picture")
    yield Hostile("jpeg-larger-than-its-data", make.sized(right, 640, 480), "refused")
    yield Hostile("jpeg-smaller-than-its-data", make.sized(right, 32, 24))
    yield Hostile("jpeg-10x65500", make.jpeg(rasters.grey(10, 65_500)), "picture")


def _frames(right: bytes) -> Iterator[Hostile]:
    for marker, name in SOF_NAMES.items():
        yield Hostile(f"jpeg-{name}", make.renamed(right, make.SOF0, marker), "refused")
    yield Hostile("jpeg-baseline-called-progressive", make.renamed(right, make.SOF0, make.SOF2))
    for bits in (0, 1, 7, 12, 16, 255):
        change = make.changed(right, make.SOF0, lambda frame, bits=bits: bytes([bits]) + frame[1:])  # type: ignore[misc]
        yield Hostile(f"jpeg-{bits}-bits", change, "refused")
    for count in (0, 2, 4, 5, 255):
        change = make.changed(right, make.SOF0, lambda frame, count=count: frame[:5] + bytes([count]) + frame[6:])  # type: ignore[misc]
        yield Hostile(f"jpeg-{count}-components", change)
    for sampling in (0x00, 0x01, 0x10, 0x41, 0x55, 0xFF):
        change = make.changed(right, make.SOF0, lambda frame, factor=sampling: frame[:7] + bytes([factor]) + frame[8:])  # type: ignore[misc]
        yield Hostile(f"jpeg-sampling-{sampling:02x}", change)
    segments, rest = make.split(right)
    frame = next(payload for marker, payload in segments if marker == make.SOF0)
    yield Hostile("jpeg-two-frames", make.with_segments(right, (make.SOF0, frame)), "refused")
    larger = frame[:1] + struct.pack(">HH", 5000, 5000) + frame[5:]
    yield Hostile("jpeg-two-frames-of-different-size", make.with_segments(right, (make.SOF0, larger)), "refused")
    behind = make.join(segments, rest[:-2]) + make.segment(make.SOF0, larger) + rest[-200:]
    yield Hostile("jpeg-second-frame-behind-the-scan", behind, "refused")
    without = [(marker, payload) for marker, payload in segments if marker != make.SOF0]
    yield Hostile("jpeg-no-frame", make.join(without, rest), "refused")
    yield Hostile("jpeg-short-frame", make.changed(right, make.SOF0, lambda frame: frame[:7]), "refused")


def _tables(right: bytes) -> Iterator[Hostile]:
    yield Hostile("jpeg-no-quantisation", make.changed(right, make.DQT, lambda _: None), "refused")
    yield Hostile("jpeg-no-huffman", make.changed(right, make.DHT, lambda _: None))
    yield Hostile("jpeg-huffman-all-ones", make.changed(right, make.DHT, lambda table: b"\xff" * len(table)), "refused")
    yield Hostile("jpeg-huffman-empty", make.changed(right, make.DHT, lambda table: table[:1] + bytes(16)), "refused")
    yield Hostile("jpeg-huffman-cut", make.changed(right, make.DHT, lambda table: table[:10]), "refused")
    yield Hostile("jpeg-quantisation-zero", make.changed(right, make.DQT, lambda table: table[:1] + bytes(64)))
    yield Hostile("jpeg-quantisation-cut", make.changed(right, make.DQT, lambda table: table[:20]), "refused")
    for interval in (0, 1, 7, 65_535):
        dri = make.with_segments(right, (make.DRI, struct.pack(">H", interval)))
        yield Hostile(f"jpeg-restart-interval-{interval}", dri)


def _segments(right: bytes) -> Iterator[Hostile]:
    for length in (0, 1, 65_535):
        expected: Expected = (
            "refused" if length > 1 else "picture"
        )  # decoders pass over one too short to hold its length
        yield Hostile(f"jpeg-app-of-length-{length}", make.SOI + make.segment(0xE5, b"", length) + right[2:], expected)
    yield Hostile("jpeg-comment-flood", make.SOI + make.segment(make.COM, b"") * 50_000 + right[2:], "refused")
    yield Hostile("jpeg-large-comments", make.SOI + make.segment(make.COM, bytes(65_000)) * 60 + right[2:], "picture")
    yield Hostile("jpeg-fill-flood", make.SOI + b"\xff" * 2_000_000 + right[2:], "picture")
    yield Hostile("jpeg-restart-flood", make.SOI + b"\xff\xd0" * 100_000 + right[2:])
    yield Hostile("jpeg-two-starts", make.SOI + right, "refused")
    yield Hostile("jpeg-only-start", make.SOI + b"\xff", "refused")
    yield Hostile("jpeg-start-and-end", make.SOI + make.EOI, "refused")
    yield Hostile("jpeg-no-scan", right[: right.index(b"\xff\xda")] + make.EOI, "refused")
    yield Hostile("jpeg-no-end", right[:-2], "refused")
    yield Hostile("jpeg-garbage-behind", right + bytes(range(256)) * 40, "picture")
    yield Hostile("jpeg-then-zip", right + b"PK\x03\x04" + bytes(400), "picture")
    yield Hostile("jpeg-then-html", right + b"<script>alert(1)</script>", "picture")
    yield Hostile("jpeg-in-jpeg", right + right, "picture")
    yield Hostile("jpeg-php-comment", make.with_segments(right, (make.COM, b"<?php system($_GET[0]); ?>")), "picture")


def _scans(right: bytes) -> Iterator[Hostile]:
    segments, rest = make.split(right)
    head = make.join(segments, b"")
    for name, body in {
        "zeros": bytes(5000), "ones": b"\xff\x00" * 5000, "markers": b"\xff\xd0\xff\xd1" * 2000,
        "wrong-restarts": rest[:200] + b"\xff\xd5" + rest[200:-2], "nothing": b"", "one-byte": b"\x55",
    }.items():  # fmt: skip
        yield Hostile(f"jpeg-scan-of-{name}", head + body + make.EOI)
    yield Hostile("jpeg-scan-20-mb-of-stuffing", head + b"\xff\x00" * 10_000_000 + make.EOI)
    scan = segments[-1][1]
    for name, header in {
        "no-components": b"\0" + scan[-3:], "five-components": b"\x05" + bytes(13), "unknown-component": b"\x01\x99" + scan[2:],
        "bad-tables": scan[:2] + b"\xff" + scan[3:], "bad-spectrum": scan[:-3] + b"\x3f\x00\xff", "empty": b"",
    }.items():  # fmt: skip
        yield Hostile(f"jpeg-scan-header-{name}", make.join([*segments[:-1], (make.SOS, header)], rest))
    yield Hostile("jpeg-scan-bomb-5000", make.scan_bomb(5000, 5000, 5000), "refused")
    yield Hostile("jpeg-scan-bomb-over-the-limit", make.scan_bomb(200, 200, 100), "refused")
    yield Hostile("jpeg-100-scans", make.scan_bomb(200, 200, 99), "picture")
    yield Hostile("jpeg-100-scans-30-mpx", make.scan_bomb(5400, 5400, 99))


def _metadata(right: bytes) -> Iterator[Hostile]:
    for orientation in (0, 9, 255, 65_535):
        block = make.exif(orientation)
        yield Hostile(f"jpeg-orientation-{orientation}", make.with_segments(right, (make.APP1, block)), "picture")
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + bytes(12) + struct.pack("<I", 8)
    blocks = {
        "loop": loop, "empty": b"Exif\0\0", "far": b"Exif\0\0II*\0\xff\xff\xff\xff", "cut": make.exif(6)[:12],
        "many": b"Exif\0\0II*\0\x08\0\0\0\xff\xff", "noise": b"Exif\0\0" + rasters.noise(100, 100).tobytes(),
    }  # fmt: skip
    for name, block in blocks.items():
        yield Hostile(f"jpeg-exif-{name}", make.with_segments(right, (make.APP1, block)), "picture")
    profile = b"ICC_PROFILE\0"
    for name, payload in {
        "one-of-255": profile + b"\x01\xff" + bytes(500), "zero-of-zero": profile + b"\0\0" + bytes(500),
        "noise": profile + b"\x01\x01" + rasters.noise(60, 60).tobytes(), "empty": profile,
    }.items():  # fmt: skip
        yield Hostile(f"jpeg-profile-{name}", make.with_segments(right, (make.APP2, payload)), "picture")
    adobe = b"Adobe\0\x64\0\0\0\0"
    for transform in (0, 1, 2, 255):
        payload = adobe + bytes([transform])
        yield Hostile(f"jpeg-adobe-transform-{transform}", make.with_segments(right, (make.APP14, payload)), "picture")
