"""HEIC and AVIF files made to hurt: boxes that lie, tables without end, tiles of other files, coded pictures that swell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tests.hostile import make_heif as make
from tests.hostile import rasters
from tests.hostile.files import Hostile, cuts, flips


def files() -> Iterator[Hostile]:
    """All of them."""
    colours = rasters.colours()
    sheer = np.dstack([colours, rasters.grey()])
    stills = {"heic": make.parts(make.heic(colours)), "avif": make.parts(make.avif(colours))}
    for name, right in {"heic-alpha": make.heic(sheer), "avif-alpha": make.avif(sheer)}.items():
        yield Hostile(name, right, "picture")
        yield from cuts(name, right, 6)
        yield from flips(name, right, 8, seed=len(name))
    for name, still in stills.items():
        yield from flips(f"{name}-coded", make.still(still), 4, seed=3)
        yield from _coded(name, still)
        yield from _tables(name, still)
    square = rasters.colours(64, 64)
    yield from _grids("heic", make.parts(make.heic(square)))
    yield from _grids("avif", make.parts(make.avif(square)))
    yield Hostile("heic-coded-as-avif", make.still(replace(stills["heic"], kind=b"av01")), "refused")
    yield Hostile("avif-coded-as-heic", make.still(replace(stills["avif"], kind=b"hvc1")), "refused")


def _coded(name: str, still: make.Item) -> Iterator[Hostile]:
    noise = rasters.noise(40, 40).tobytes()
    half = len(still.data) // 2
    bodies = {
        "empty": b"", "zeros": bytes(len(still.data)), "noise": noise, "half": still.data[:half],
        "half-zeros": still.data[:half] + bytes(half), "ones": b"\xff" * 500, "noise-behind": still.data + noise,
    }  # fmt: skip
    for what, data in bodies.items():
        yield Hostile(f"{name}-coded-{what}", make.still(replace(still, data=data)), "refused")
    yield Hostile(f"{name}-coded-twice", make.still(replace(still, data=still.data * 2)))
    yield Hostile(f"{name}-coded-half-noise", make.still(replace(still, data=still.data[:half] + noise[:half])))
    set_up = next(each for each in still.properties if each[4:8] in (b"hvcC", b"av1C"))
    others = tuple(each for each in still.properties if each is not set_up)
    for length in (0, 3, len(set_up) - 20):
        short = make.box(set_up[4:8], set_up[8 : 8 + length])
        yield Hostile(f"{name}-set-up-of-{length}", make.still(replace(still, properties=(*others, short))))
    for seed in range(4):
        odd = set_up[:8] + rasters.noise(8, len(set_up), seed).tobytes()[: len(set_up) - 8]
        yield Hostile(f"{name}-set-up-noise-{seed}", make.still(replace(still, properties=(*others, odd))), "refused")


def _tables(name: str, still: make.Item) -> Iterator[Hostile]:
    endless = make.full(b"iloc", struct.pack(">BBH", 0x44, 0, 65_535), bytes(40))
    many = make.box(b"ipco", *[make.box(b"free")] * 9000)
    wide = make.full(b"ipma", struct.pack(">I", 0xFFFF_FFFF), struct.pack(">HB", 1, 0) * 50_000)
    refused = {
        "places-endless": {b"iloc": endless}, "no-places": {b"iloc": b""}, "no-items": {b"iinf": b""},
        "no-properties": {b"iprp": b""}, "no-handler": {b"hdlr": b""}, "too-many-properties": {b"iprp": make.box(b"iprp", many)},
        "associations-endless": {b"iprp": make.box(b"iprp", make.box(b"ipco"), wide)}, "no-primary": {b"pitm": b""},
        "places-of-odd-sizes": {b"iloc": make.full(b"iloc", b"\x37\x00\0\1" + bytes(30))},
    }  # fmt: skip
    for what, tables in refused.items():
        yield Hostile(f"{name}-{what}", make.still(still, tables=tables), "refused")
    for size in (0, 1, 7, 9, 0x7FFF_FFFF, 0xFFFF_FFFF):
        box = make.box(b"iref", bytes(4), size=size)
        yield Hostile(f"{name}-box-of-{size}", make.still(still, tables={b"iref": box}))
    nest = b""
    for _ in range(20_000):
        nest = make.box(b"iprp", nest)
    yield Hostile(f"{name}-nested", make.still(still, groups=nest), "picture")
    yield Hostile(f"{name}-nested-properties", make.still(still, tables={b"iprp": nest}), "refused")
    loop = ((b"dimg", 1, (1,)), (b"auxl", 1, (1,)), (b"thmb", 1, (1,)), (b"cdsc", 1, (1,)))
    yield Hostile(f"{name}-refers-to-itself", make.still(still, references=loop))
    yield Hostile(f"{name}-garbage-behind", make.still(still, behind=rasters.noise(50, 50).tobytes()), "picture")
    yield Hostile(f"{name}-starts-with-100000-boxes", make.still(still, before=make.box(b"free") * 100_000), "refused")
    yield Hostile(f"{name}-brand-alone", make.still(still)[:24], "refused")


def _grids(name: str, still: make.Item) -> Iterator[Hostile]:
    hidden = replace(still, hidden=True)

    def grid(rows: int, columns: int, width: int, height: int, tiles: tuple[int, ...]) -> bytes:
        told = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
        whole = make.Item(b"grid", told, (make.size(width, height),))
        return make.still(whole, hidden, hidden, references=((b"dimg", 1, tiles),))

    yield Hostile(f"{name}-grid", grid(1, 2, 128, 64, (2, 3)), "picture")
    yield Hostile(f"{name}-one-tile-900-times", grid(30, 30, 1920, 1920, (2,) * 900))
    yield Hostile(f"{name}-grid-of-itself", grid(1, 2, 128, 64, (1, 1)), "refused")
    yield Hostile(f"{name}-grid-too-wide", grid(1, 2, 12_800, 64, (2, 3)), "refused")
    yield Hostile(f"{name}-grid-too-large", grid(1, 2, 1 << 31, 1 << 31, (2, 3)), "refused")
    yield Hostile(f"{name}-grid-of-nothing", grid(1, 2, 128, 64, ()), "refused")
    yield Hostile(f"{name}-grid-of-strangers", grid(1, 2, 128, 64, (7, 8)), "refused")
    yield Hostile(f"{name}-65536-tiles", grid(256, 256, 16_384, 16_384, (2, 3)), "refused")
