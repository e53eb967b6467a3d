"""TIFF files made to hurt: directories in circles, strips outside the file, tiles larger than any memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from tests.hostile import make_tiff as make
from tests.hostile import rasters
from tests.hostile.files import Hostile, cuts, flips


def files() -> Iterator[Hostile]:
    """All of them."""
    colours = rasters.colours()
    # Directories come before their strips here: every cut loses pixels.
    yield from cuts("tiff", make.tiff(colours))
    yield from cuts("tiff-deflate", make.tiff(colours, compression=make.ADOBE_DEFLATE, rows=8))
    yield from cuts("bigtiff", make.tiff(colours, big=True, order=">"), 5)
    yield from flips("tiff", make.tiff(colours, rows=8), 12, seed=8)
    yield from flips("tiff-lzw", make.by_pillow(colours, "tiff_lzw"), 12, seed=9)
    yield from flips("tiff-jpeg", make.by_pillow(colours, "jpeg"), 12, seed=10)
    yield from flips("tiff-group4", make.by_pillow((rasters.grey() > 120).astype(bool), "group4"), 8, seed=11)
    yield from _directories()
    yield from _tags()
    yield from _strips()
    yield from _tiles()
    yield from _data()


def _with(extra: dict[int, Sequence[int]], **options: object) -> bytes:
    return make.tiff(rasters.colours(), extra=extra, **options)


def _directories() -> Iterator[Hostile]:
    page = make.page(rasters.colours())
    length = len(make.File([page]).bytes())
    yield Hostile("tiff-loop", make.File([page], following={0: 8}).bytes(), "refused")
    two = make.File([page, page], following={1: 8}).bytes()
    yield Hostile("tiff-loop-of-two", two, "refused")
    for offset in (1, length - 1, length, 0x7FFF_FFFF, 0xFFFF_FFFF):
        yield Hostile(f"tiff-next-at-{offset}", make.File([page], following={0: offset}).bytes(), "refused")
    for offset in (0, 1, 4, 0xFFFF_FFFF):
        yield Hostile(f"tiff-first-at-{offset}", b"II*\0" + struct.pack("<I", offset) + bytes(200), "refused")
    for count in (0, 5000, 65_535):
        yield Hostile(f"tiff-{count}-entries", b"II*\0\x08\0\0\0" + struct.pack("<H", count) + bytes(70_000), "refused")
    big = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    for count in (0, 1 << 32, (1 << 64) - 1):
        yield Hostile(f"bigtiff-{count}-entries", big + struct.pack("<Q", count) + bytes(500), "refused")
    yield Hostile("bigtiff-first-far", struct.pack("<2sHHHQ", b"II", 43, 8, 0, (1 << 64) - 1), "refused")
    small = make.page(rasters.colours(16, 16))
    yield Hostile("tiff-1000-pages", make.File([small] * 1000).bytes(), "picture")
    yield Hostile(
        "tiff-5000-pages", make.File([make.page(rasters.grey(10, 10), make.BLACK_IS_ZERO)] * 5000).bytes(), "refused"
    )
    yield Hostile(
        "tiff-second-page-far-larger",
        make.File([page, make.Page({**page.tags, make.WIDTH: [1 << 30]}, page.strips)]).bytes(),
    )
    empty = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 64) + bytes(4)
    yield Hostile("tiff-one-tag", empty, "refused")


def _tags() -> Iterator[Hostile]:
    for width, height in ((0, 48), (64, 0)):
        yield Hostile(f"tiff-{width}x{height}", _with({make.WIDTH: [width], make.HEIGHT: [height]}), "refused")
    for width, height in ((0xFFFF_FFFF, 0xFFFF_FFFF), (1 << 31, 48), (65_536, 65_536)):
        yield Hostile(f"tiff-{width}x{height}", _with({make.WIDTH: [width], make.HEIGHT: [height]}), "too large")
    yield Hostile("tiff-larger-than-its-data", _with({make.WIDTH: [640], make.HEIGHT: [480]}))
    for samples in (0, 2, 5, 64, 65, 65_535):
        yield Hostile(f"tiff-{samples}-samples", _with({make.SAMPLES: [samples]}))
    for bits in (0, 1, 2, 3, 7, 12, 24, 33, 64, 65, 65_535):
        yield Hostile(f"tiff-{bits}-bits", _with({make.BITS: [bits] * 3}))
    yield Hostile("tiff-mixed-bits", _with({make.BITS: [8, 16, 8]}))
    for compression in (0, 6, 9, 99, 34_925, 34_712, 50_000, 50_001, 65_535):
        yield Hostile(f"tiff-compression-{compression}", _with({make.COMPRESSION: [compression]}), "refused")
    for compression in (2, 3, 4, 5, 7, 8, 32_773, 32_946):
        yield Hostile(f"tiff-plain-called-{compression}", _with({make.COMPRESSION: [compression]}))
    for photometric in (0, 1, 3, 4, 5, 6, 8, 9, 32_803, 32_844, 32_845, 65_535):
        yield Hostile(f"tiff-photometric-{photometric}", _with({make.PHOTOMETRIC: [photometric]}))
    for orientation in (0, 9, 65_535):
        yield Hostile(f"tiff-orientation-{orientation}", _with({make.ORIENTATION: [orientation]}))
    for kind in (2, 3, 4, 6):
        yield Hostile(f"tiff-sample-format-{kind}", _with({make.SAMPLE_FORMAT: [kind] * 3}))
    for predictor in (0, 2, 3, 99):
        for compression in (make.NONE, make.ADOBE_DEFLATE):
            body = _with({make.PREDICTOR: [predictor]}, compression=compression)
            yield Hostile(f"tiff-predictor-{predictor}-of-{compression}", body)
    indexed, _palette = rasters.indexed()
    yield Hostile("tiff-no-colormap", make.tiff(indexed, make.INDEXED))
    yield Hostile("tiff-short-colormap", make.tiff(indexed, make.INDEXED, extra={make.COLORMAP: [1, 2, 3]}))
    floats = rasters.colours().astype(np.float64)
    yield Hostile("tiff-float64", make.tiff(floats, extra={make.SAMPLE_FORMAT: [3] * 3}))
    yield Hostile("tiff-uint32", make.tiff(rasters.colours().astype(np.uint32)))
    many = {make.WIDTH: [5000], make.HEIGHT: [5000], make.SAMPLES: [64], make.BITS: [64] * 64}
    yield Hostile("tiff-64-samples-of-64-bits", _with(many), "too large")


def _strips() -> Iterator[Hostile]:
    for offset in (0, 1, 1 << 20, 0x7FFF_FFFF, 0xFFFF_FFFF):
        yield Hostile(f"tiff-strip-at-{offset}", _with({make.STRIP_OFFSETS: [offset]}))
    for count in (0, 1, 1 << 20, 0xFFFF_FFFF):
        yield Hostile(f"tiff-strip-of-{count}", _with({make.STRIP_COUNTS: [count]}), "picture")
        packed = _with({make.STRIP_COUNTS: [count]}, compression=make.ADOBE_DEFLATE)
        yield Hostile(f"tiff-packed-strip-of-{count}", packed, "refused" if count else "picture")
    for rows in (0, 1, 7, 0x7FFF_FFFF, 0xFFFF_FFFF):
        yield Hostile(f"tiff-{rows}-rows-per-strip", _with({make.ROWS_PER_STRIP: [rows]}))
    yield Hostile("tiff-more-offsets-than-counts", _with({make.STRIP_OFFSETS: [200, 300, 400]}), "refused")
    yield Hostile(
        "tiff-70000-strips", _with({make.STRIP_OFFSETS: [8] * 70_000, make.STRIP_COUNTS: [9] * 70_000}), "refused"
    )
    overlapping = _with({make.STRIP_OFFSETS: [8] * 48, make.STRIP_COUNTS: [192] * 48, make.ROWS_PER_STRIP: [1]})
    yield Hostile("tiff-strips-on-each-other", overlapping)
    for planar in (0, 2, 3, 65_535):
        yield Hostile(f"tiff-planar-{planar}", _with({make.PLANAR: [planar]}))


def _tiles() -> Iterator[Hostile]:
    for side in (1, 15, 17):
        sides = {make.TILE_WIDTH: [side], make.TILE_HEIGHT: [side]}
        yield Hostile(f"tiff-tile-{side}", _with(sides, tile=16))
    for side in (0, 1 << 16, 1 << 20, 0xFFFF_FFF0):
        sides = {make.TILE_WIDTH: [side], make.TILE_HEIGHT: [side]}
        yield Hostile(f"tiff-tile-{side}", _with(sides, tile=16), "too large" if side else "any")
    yield Hostile(
        "tiff-missing-tiles", _with({make.TILE_OFFSETS: [300, 400], make.TILE_COUNTS: [9, 9]}, tile=16), "refused"
    )
    yield Hostile("tiff-tile-outside", _with({make.TILE_OFFSETS: [1 << 30] * 12}, tile=16), "refused")


def _data() -> Iterator[Hostile]:
    page = make.page(rasters.colours())
    noise = rasters.noise(60, 40).tobytes()
    for compression in (2, 3, 4, 5, 7, 8, 32_773):
        body = make.File([make.Page({**page.tags, make.COMPRESSION: [compression]}, [noise])]).bytes()
        yield Hostile(f"tiff-noise-as-{compression}", body)
    bomb = zlib.compress(bytes(300_000_000), 9)
    body = make.File([make.Page({**page.tags, make.COMPRESSION: [8]}, [bomb])]).bytes()
    yield Hostile("tiff-deflate-bomb", body)
    bits = {
        **make.tags_of(rasters.grey(), make.BLACK_IS_ZERO, 4),
        make.BITS: [1],
        make.WIDTH: [5400],
        make.HEIGHT: [5400],
    }
    bits[make.ROWS_PER_STRIP] = [5400]
    yield Hostile("tiff-group4-30-mpx-of-noise", make.File([make.Page(bits, [noise * 100])]).bytes())
