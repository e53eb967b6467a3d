"""BMP files made to hurt: sizes and offsets that lie, palettes that are missing, runs that leave the picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile import make_bmp as make
from tests.hostile import rasters
from tests.hostile.files import Hostile, cuts, flips


def files() -> Iterator[Hostile]:
    """All of them."""
    bgr = rasters.colours()[:, :, ::-1]
    indexed, palette = rasters.indexed()
    plain = make.bmp(64, 48, 24, make.rows(bgr, 24))
    packed = make.bmp(64, 48, 8, make.rle8(indexed), palette=palette, compression=make.RLE8)
    yield from cuts("bmp", plain)
    yield from cuts("bmp-rle8", packed)
    yield from flips("bmp", plain, 8, seed=6)
    yield from flips("bmp-rle8", packed, 15, seed=7)
    yield from _sizes()
    yield from _headers(plain)
    yield from _palettes()
    yield from _runs()


def _sizes() -> Iterator[Hostile]:
    pixels = bytes(64 * 48 * 3)
    sizes = ((0, 48), (64, 0), (-64, 48), (1, 1), (-(1 << 31), 48))
    for width, height in sizes:
        yield Hostile(f"bmp-{width}x{height}", make.bmp(width, height, 24, pixels), "refused")
    for width, height in ((0x7FFF_FFFF, 0x7FFF_FFFF), (65_536, 65_536), (30_000, -30_000), (64, -(1 << 31))):
        yield Hostile(f"bmp-{width}x{height}", make.bmp(width, height, 24, pixels), "too large")
    yield Hostile("bmp-larger-than-its-data", make.bmp(640, 480, 24, pixels), "refused")
    yield Hostile("bmp-smaller-than-its-data", make.bmp(32, 24, 24, pixels), "picture")
    yield Hostile("bmp-core-0x0", make.bmp(0, 0, 24, pixels, header_bytes=12), "refused")
    yield Hostile("bmp-core-65535", make.bmp(65_535, 65_535, 24, pixels, header_bytes=12), "too large")
    yield Hostile(
        "bmp-rle8-30-mpx", make.bmp(5477, 5477, 8, b"\0\x01", palette=rasters.indexed()[1], compression=make.RLE8)
    )


def _headers(plain: bytes) -> Iterator[Hostile]:
    pixels = bytes(64 * 48 * 4)
    for bits in (0, 2, 3, 5, 7, 9, 15, 31, 33, 64, 65_535):
        yield Hostile(f"bmp-{bits}-bits", make.bmp(64, 48, bits, pixels), "refused")
    for compression in (4, 5, 7, 11, 99, 0xFFFF_FFFF):
        body = make.bmp(64, 48, 24, pixels, compression=compression)
        yield Hostile(f"bmp-compression-{compression}", body, "refused")
    for bits, compression in ((24, make.RLE8), (8, make.RLE4), (4, make.RLE8), (24, make.BITFIELDS)):
        yield Hostile(
            f"bmp-{bits}-bits-{compression}", make.bmp(64, 48, bits, pixels, compression=compression), "refused"
        )
    for size in (0, 1, 11, 13, 39, 41, 200, 0xFFFF_FFFF):
        body = plain[:14] + struct.pack("<I", size) + plain[18:]
        yield Hostile(f"bmp-header-of-{size}", body, "refused")
    for offset in (0, 1, 13, 100_000, 0xFFFF_FFFF):
        yield Hostile(f"bmp-offset-{offset}", make.bmp(64, 48, 24, pixels, offset=offset), "refused")
    yield Hostile("bmp-offset-20", make.bmp(64, 48, 24, pixels, offset=20))
    masks = ((0, 0, 0), (0xFFFF_FFFF,) * 3, (0xFF, 0xFF, 0xFF), (0x0F0F_0F0F, 0, 1), (1, 2, 4))
    for mask in masks:
        body = make.bmp(64, 48, 32, pixels, compression=make.BITFIELDS, masks=mask)
        yield Hostile(f"bmp-masks-{'-'.join(f'{each:x}' for each in mask)}", body)
    yield Hostile("bmp-header-alone", plain[:54], "refused")
    yield Hostile("bmp-magic-alone", b"BM", "refused")
    yield Hostile("bmp-garbage-behind", plain + bytes(1000), "picture")


def _palettes() -> Iterator[Hostile]:
    indexed, palette = rasters.indexed()
    rows = make.rows(indexed, 8)
    yield Hostile("bmp-no-palette", make.bmp(64, 48, 8, rows))
    yield Hostile("bmp-short-palette", make.bmp(64, 48, 8, rows, palette=palette[:2]))
    yield Hostile("bmp-index-outside", make.bmp(64, 48, 8, b"\xff" * len(rows), palette=palette))
    for used in (1, 257, 65_536, 0xFFFF_FFFF):
        yield Hostile(f"bmp-{used}-colours", make.bmp(64, 48, 8, rows, palette=palette, colours_used=used))


def _runs() -> Iterator[Hostile]:
    indexed, palette = rasters.indexed()
    right = make.rle8(indexed)
    bodies = {
        "empty": b"", "end-at-once": b"\0\x01", "no-end": right[:-2], "line-too-long": b"\xff\x01" * 2000 + b"\0\x01",
        "too-many-lines": b"\0\0" * 5000 + b"\0\x01", "delta-outside": b"\0\x02\xff\xff" * 50 + b"\0\x01",
        "delta-alone": b"\0\x02", "absolute-cut": b"\0\xff\x01", "absolute-outside": (b"\0\xfe" + bytes(254)) * 200 + b"\0\x01",
        "zero-runs": b"\0\x03\x01\x02\x03\0" * 3000 + b"\0\x01", "noise": rasters.noise(40, 40).tobytes() + b"\0\x01",
        "behind-the-end": b"\0\x01" + b"\xff\x05" * 3000, "delta-then-run": b"\0\x02\x3f\x2f" + b"\xff\x07" * 100 + b"\0\x01",
    }  # fmt: skip
    for name, body in bodies.items():
        yield Hostile(f"bmp-rle8-{name}", make.bmp(64, 48, 8, body, palette=palette, compression=make.RLE8))
        yield Hostile(f"bmp-rle4-{name}", make.bmp(64, 48, 4, body, palette=palette, compression=make.RLE4))
    yield Hostile("bmp-rle8-top-down", make.bmp(64, -48, 8, right, palette=palette, compression=make.RLE8))
    flood = b"\0\x02\0\0" * 2_000_000 + b"\0\x01"
    yield Hostile("bmp-rle8-8-mb-of-deltas", make.bmp(64, 48, 8, flood, palette=palette, compression=make.RLE8))
