"""WebP files made to hurt: sizes that disagree, chunks that lie, frames outside the canvas."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from tests.hostile import make_webp as make
from tests.hostile import rasters
from tests.hostile.files import Hostile, cuts, flips


def files() -> Iterator[Hostile]:
    """All of them."""
    colours = rasters.colours()
    lossy, lossless = make.webp(colours), make.webp(colours, lossless=True)
    see_through = make.webp(np.dstack([colours, rasters.grey()]))
    for name, right in {"webp-lossy": lossy, "webp-lossless": lossless, "webp-alpha": see_through}.items():
        yield from cuts(name, right, 6)
        yield from flips(name, right, 8, seed=len(name))
        yield from _cut_and_resized(name, right)
    yield from _sizes(make.chunks(lossy)[0], make.chunks(lossless)[0])
    yield from _containers(make.chunks(lossy)[0], make.chunks(lossless)[0])
    yield from _animations(make.chunks(lossy)[0])


def _cut_and_resized(name: str, right: bytes) -> Iterator[Hostile]:
    """Cut, and every length made to agree with the cut."""
    parts = make.chunks(right)
    for part in (1, 2, 3):
        kind, payload = parts[-1]
        yield Hostile(f"{name}-resized-{part}4", make.riff([*parts[:-1], (kind, payload[: len(payload) * part // 4])]))


def _sizes(lossy: make.Chunk, lossless: make.Chunk) -> Iterator[Hostile]:
    for size in (0, 4, 100, 0x7FFF_FFFF, 0xFFFF_FFFF):
        yield Hostile(f"webp-riff-size-{size}", make.riff([lossy], size=size), "refused")
    for length in (0, 1, 9, 0x7FFF_FFFF, 0xFFFF_FFFF):
        yield Hostile(f"webp-chunk-length-{length}", make.riff([lossy], lengths={b"VP8 ": length}), "refused")
        yield Hostile(f"webp-lossless-length-{length}", make.riff([lossless], lengths={b"VP8L": length}), "refused")
    for width, height in ((0, 48), (64, 0), (1, 1), (16_383, 16_383), (640, 480)):
        frame = lossy[1][:6] + struct.pack("<HH", width, height) + lossy[1][10:]
        yield Hostile(f"webp-lossy-{width}x{height}", make.riff([(b"VP8 ", frame)]))
    packed = struct.unpack_from("<I", lossless[1], 1)[0] & ~0x0FFF_FFFF
    for width, height in ((1, 1), (16_384, 16_384), (640, 480), (5000, 6000)):
        frame = lossless[1][:1] + struct.pack("<I", packed | width - 1 | (height - 1) << 14) + lossless[1][5:]
        yield Hostile(f"webp-lossless-{width}x{height}", make.riff([(b"VP8L", frame)]))
    for width, height in ((63, 48), (1, 1), (1 << 24, 1 << 24), (16_383, 1000)):
        yield Hostile(f"webp-canvas-{width}x{height}", make.riff([make.extended(0, width, height), lossy]), "refused")


def _containers(lossy: make.Chunk, lossless: make.Chunk) -> Iterator[Hostile]:
    canvas = make.extended(make.EXIF | make.ICC | make.XMP, 64, 48)
    noise = rasters.noise(40, 40).tobytes()
    files = {
        "nothing": [], "only-canvas": [canvas], "no-picture": [canvas, (b"EXIF", b"")], "unknown": [(b"VP9 ", noise)],
        "wrong-signature": [(b"VP8L", b"\x2e" + lossless[1][1:])], "wrong-start": [(b"VP8 ", lossy[1][:3] + b"abc" + lossy[1][6:])],
        "interframe": [(b"VP8 ", bytes([lossy[1][0] | 1]) + lossy[1][1:])], "lossy-called-lossless": [(b"VP8L", lossy[1])],
        "lossless-called-lossy": [(b"VP8 ", lossless[1])], "empty-picture": [(b"VP8 ", b"")],
        "short-canvas": [(b"VP8X", b"\0\0"), lossy],
    }  # fmt: skip
    for name, parts in files.items():
        yield Hostile(f"webp-{name}", make.riff(parts), "refused")
    accepted = {
        "two-pictures": [lossy, lossy], "profile-noise": [canvas, (b"ICCP", noise), lossy], "exif-noise": [canvas, lossy, (b"EXIF", noise)],
        "xmp-noise": [canvas, lossy, (b"XMP ", noise)], "all-flags": [make.extended(0xFF & ~make.ANIMATION, 64, 48), lossy],
        "alpha-noise": [make.extended(make.ALPHA, 64, 48), (b"ALPH", noise), lossy], "alpha-empty": [make.extended(make.ALPHA, 64, 48), (b"ALPH", b""), lossy],
        "alpha-missing": [make.extended(make.ALPHA, 64, 48), lossy], "picture-twice-with-canvas": [canvas, lossy, lossless],
    }  # fmt: skip
    for name, parts in accepted.items():
        yield Hostile(f"webp-{name}", make.riff(parts))
    yield Hostile("webp-chunk-flood", make.riff([canvas, *[(b"abcd", b"")] * 100_000, lossy]), "refused")
    yield Hostile("webp-garbage-behind", make.riff([lossy]) + noise, "picture")
    yield Hostile("webp-partitions", make.riff([(b"VP8 ", lossy[1][:10] + b"\xff" * 8 + lossy[1][18:])]))
    yield Hostile("webp-looks-like-svg", make.riff([lossy, (b"svg ", b"<svg onload=alert(1)>")]), "picture")
    yield Hostile("webp-noise", make.riff([(b"VP8 ", lossy[1][:10] + rasters.noise(30, 30).tobytes())]))
    yield Hostile("webp-lossless-noise", make.riff([(b"VP8L", lossless[1][:5] + noise)]))


def _animations(lossy: make.Chunk) -> Iterator[Hostile]:
    canvas, control = make.extended(make.ANIMATION, 64, 48), (b"ANIM", bytes(6))
    yield Hostile("webp-animated", make.animated([rasters.colours(), 255 - rasters.colours()]))
    inside = make.animation_frame(0, 0, 64, 48, lossy)
    files = {
        "no-frames": [canvas, control], "no-control": [canvas, inside], "one-frame": [canvas, control, inside],
        "frame-outside": [canvas, control, make.animation_frame(10_000, 10_000, 64, 48, lossy)],
        "frame-of-other-size": [canvas, control, make.animation_frame(0, 0, 640, 480, lossy)],
        "empty-frame": [canvas, control, (b"ANMF", b"")], "short-frame": [canvas, control, (b"ANMF", bytes(16))],
        "frame-noise": [canvas, control, (b"ANMF", rasters.noise(30, 30).tobytes())],
        "huge-canvas": [make.extended(make.ANIMATION, 1 << 24, 1 << 24), control, inside],
        "many-frames": [canvas, control, *[inside] * 2000], "still-with-animation-flag": [canvas, lossy],
    }  # fmt: skip
    for name, parts in files.items():
        yield Hostile(f"webp-animation-{name}", make.riff(parts))
