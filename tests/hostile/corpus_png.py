"""PNG files made to hurt: bombs of legal and illegal size, wrong checksums, missing and repeated chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.hostile import make_png as make
from tests.hostile import rasters
from tests.hostile.files import Hostile, cuts, flips

END = make.chunk(b"IEND", b"")


def files() -> Iterator[Hostile]:
    """All of them."""
    right = make.png(rasters.colours())
    yield from cuts("png", right)
    yield from cuts("png-16-bit", make.png(rasters.colours().astype(np.uint16) * 257, bits=16), 5)
    yield from flips("png", right, 15, seed=3)
    yield from _sizes()
    yield from _headers()
    yield from _chunks(right)
    yield from _data()
    yield from _floods(right)
    yield from _animations()


def _data_chunk(body: bytes) -> bytes:
    return make.chunk(b"IDAT", zlib.compress(body))


def _sizes() -> Iterator[Hostile]:
    yield Hostile("png-30000-square-1-bit", make.zeros(30_000, 30_000, make.GREY, 1), "too large")
    yield Hostile("png-30-mpx-16-bit-alpha", make.zeros(5477, 5477, make.RGBA, 16), "picture")
    yield Hostile("png-30-mpx-8-bit", make.zeros(5477, 5477, make.RGB, 8), "picture")
    yield Hostile("png-one-pixel-over", make.zeros(5478, 5478, make.GREY, 1), "too large")
    for width, height in ((0, 48), (64, 0), (1 << 31, 48), (64, 0xFFFF_FFFF)):
        body = make.file(make.header(width, height), _data_chunk(bytes(1000)), END)
        yield Hostile(f"png-{width}x{height}", body, "refused")
    for width, height in ((0x7FFF_FFFF, 0x7FFF_FFFF), (65_536, 65_536), (100_000, 301)):
        body = make.file(make.header(width, height), _data_chunk(bytes(1000)), END)
        yield Hostile(f"png-{width}x{height}", body, "too large")
    yield Hostile("png-3000000x10", make.zeros(3_000_000, 10, make.GREY, 1), "too large")
    yield Hostile("png-10x3000000", make.zeros(10, 3_000_000, make.GREY, 1), "too large")
    yield Hostile("png-9x9", make.png(rasters.colours(9, 9)), "refused")
    yield Hostile("png-10x10", make.png(rasters.colours(10, 10)), "picture")


def _headers() -> Iterator[Hostile]:
    rows = make.rows(rasters.colours(), 8)
    for bits in (0, 3, 5, 7, 9, 12, 17, 32, 255):
        yield Hostile(f"png-{bits}-bits", make.file(make.header(64, 48, bits), _data_chunk(rows), END), "refused")
    for colour in (1, 5, 7, 8, 255):
        body = make.file(make.header(64, 48, 8, colour), _data_chunk(rows), END)
        yield Hostile(f"png-colour-type-{colour}", body, "refused")
    for bits, colour in ((1, make.RGB), (4, make.RGBA), (16, make.PALETTE), (2, make.GREY_ALPHA)):
        body = make.file(make.header(64, 48, bits, colour), _data_chunk(rows), END)
        yield Hostile(f"png-{bits}-bits-of-type-{colour}", body, "refused")
    for tail in ((1, 0, 0), (0, 1, 0), (0, 0, 2), (0, 0, 255), (255, 255, 255)):
        body = make.file(make.header(64, 48, tail=tail), _data_chunk(rows), END)
        yield Hostile(f"png-methods-{'-'.join(map(str, tail))}", body, "refused")


def _chunks(right: bytes) -> Iterator[Hostile]:
    header, data = make.header(64, 48), _data_chunk(make.rows(rasters.colours(), 8))
    for kind, payload in make.parts(right):
        wrong = right.replace(make.chunk(kind, payload), make.chunk(kind, payload, crc=1))
        expected = "picture" if kind == b"IEND" else "refused"  # the end holds nothing that could be damaged
        yield Hostile(f"png-wrong-checksum-{kind.decode()}", wrong, expected)
    orders = {
        "no-header": [data, END], "no-data": [header, END], "no-end": [header, data], "nothing": [],
        "only-header": [header], "end-first": [END, header, data], "data-first": [data, header, END],
        "two-headers": [header, make.header(5000, 5000), data, END], "two-datas": [header, data, data, END],
        "header-behind-data": [header, data, make.header(6000, 6000), END],
    }  # fmt: skip
    for name, parts in orders.items():
        expected = "refused" if name.startswith(("no-", "only", "end", "data", "nothing")) else "any"
        yield Hostile(f"png-{name}", make.file(*parts), expected)
    for length in (0x7FFF_FFFF, 0xFFFF_FFFF, 1000):
        body = make.file(header, make.chunk(b"tEXt", b"a\0b", length=length), data, END)
        yield Hostile(f"png-chunk-of-length-{length}", body, "refused")
    unknown = make.file(header, make.chunk(b"ABCD", b"critical"), data, END)
    yield Hostile("png-unknown-critical-chunk", unknown)
    yield Hostile("png-unknown-chunk", make.file(header, make.chunk(b"abCd", b"x"), data, END), "picture")
    yield Hostile("png-then-zip", right + b"PK\x03\x04" + bytes(300), "picture")
    yield Hostile("png-with-script", make.file(header, make.chunk(b"tEXt", b"a\0<script>"), data, END), "picture")
    indexed, palette = rasters.indexed()
    start, body = make.header(64, 48, 8, make.PALETTE), _data_chunk(make.rows(indexed, 8))
    yield Hostile("png-no-palette", make.file(start, body, END), "refused")
    yield Hostile("png-short-palette", make.file(start, make.palette(palette[:3]), body, END))
    yield Hostile("png-odd-palette", make.file(start, make.chunk(b"PLTE", bytes(7)), body, END), "refused")
    yield Hostile("png-long-palette", make.file(start, make.chunk(b"PLTE", bytes(3 * 300)), body, END))
    yield Hostile("png-late-palette", make.file(start, body, make.palette(palette), END))
    see_through = make.chunk(b"tRNS", bytes(300))
    yield Hostile("png-long-transparency", make.file(start, make.palette(palette), see_through, body, END))


def _data() -> Iterator[Hostile]:
    header, rows = make.header(64, 48), make.rows(rasters.colours(), 8)
    packed = zlib.compress(rows)
    bodies = {
        "short": zlib.compress(rows[:-500]), "empty": zlib.compress(b""), "not-packed": rows, "cut": packed[:-100],
        "wrong-sum": packed[:-4] + b"\0\0\0\0", "noise": rasters.noise(50, 50).tobytes(), "none": b"",
        "filter-5": zlib.compress(b"\x05" + rows[1:]), "filter-255": zlib.compress(b"\xff" + rows[1:]),
    }  # fmt: skip
    for name, body in bodies.items():
        whole = make.file(header, make.chunk(b"IDAT", body), END)
        yield Hostile(f"png-data-{name}", whole, "any" if name == "wrong-sum" else "refused")
    yield Hostile("png-data-long", make.file(header, _data_chunk(rows + bytes(10_000_000)), END))
    yield Hostile(
        "png-interlaced-called-plain", make.file(header, _data_chunk(make.interlaced_rows(rasters.colours(), 8)), END)
    )
    interlaced = make.file(make.header(64, 48, tail=(0, 0, 1)), make.chunk(b"IDAT", packed), END)
    yield Hostile("png-plain-called-interlaced", interlaced, "refused")


def _floods(right: bytes) -> Iterator[Hostile]:
    header, data = make.header(64, 48), _data_chunk(make.rows(rasters.colours(), 8))
    bomb = zlib.compress(bytes(200_000_000), 9)
    yield Hostile("png-profile-bomb", make.file(header, make.chunk(b"iCCP", b"p\0\0" + bomb), data, END))
    yield Hostile("png-text-bomb", make.file(header, make.chunk(b"zTXt", b"t\0\0" + bomb), data, END))
    yield Hostile("png-itext-bomb", make.file(header, make.chunk(b"iTXt", b"t\0\x01\0\0\0" + bomb), data, END))
    yield Hostile("png-chunk-flood", make.file(header, make.chunk(b"tEXt", b"") * 100_000, data, END), "refused")
    yield Hostile("png-ten-thousand-chunks", make.file(header, make.chunk(b"tEXt", b"a\0b") * 10_000, data, END))
    yield Hostile("png-empty-data-flood", make.file(header, make.chunk(b"IDAT", b"") * 50_000, data, END), "refused")
    exif = make.chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + bytes(100))
    yield Hostile("png-exif-lies", make.file(header, exif, data, END), "picture")
    yield Hostile("png-large-text", make.file(header, make.chunk(b"tEXt", b"a\0" + bytes(5_000_000)), data, END))
    del right


def _animations() -> Iterator[Hostile]:
    frames = [rasters.colours(), 255 - rasters.colours()]
    yield Hostile("png-animated", make.animated(frames), "picture")
    for count in (0, 1, 0xFFFF_FFFF):
        yield Hostile(f"png-animated-says-{count}", make.animated(frames, count=count))
    broken = make.animated(frames)
    control = struct.pack(">IIIIIHHBB", 0, 64, 48, 0, 0, 1, 10, 0, 0)
    larger = struct.pack(">IIIIIHHBB", 0, 640, 480, 0, 0, 1, 10, 0, 0)
    yield Hostile("png-frame-outside", broken.replace(make.chunk(b"fcTL", control), make.chunk(b"fcTL", larger)))
    yield from _broken_animations(make.animated(frames))
    header, data = make.header(64, 48), _data_chunk(make.rows(rasters.colours(), 8))
    lone = make.file(header, make.chunk(b"fdAT", b"\0\0\0\0noise"), data, END)
    yield Hostile("png-frame-data-without-control", lone)


def _broken_animations(right: bytes) -> Iterator[Hostile]:
    """The first picture not part of the animation, the second damaged: OpenCV 5.0.0 ends with SIGSEGV on most."""
    chunks = make.parts(right)
    first = next(index for index, (kind, _payload) in enumerate(chunks) if kind == b"fcTL")
    chunks[first] = (b"fcTH", chunks[first][1])
    length = next(len(payload) for kind, payload in chunks if kind == b"fdAT")
    for place in range(100, length, length // 12):
        parts = []
        for kind, payload in chunks:
            if kind == b"fdAT":
                payload = payload[:place] + bytes([payload[place] ^ 0xFF]) + payload[place + 1 :]  # noqa: PLW2901
            parts.append(make.chunk(kind, payload))
        yield Hostile(f"png-broken-animation-at-{place}", make.file(*parts), "picture")
