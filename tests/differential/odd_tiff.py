"""TIFF stored oddly: directories out of order, tables missing or wrong, types and places that programs choose. TIFF 6.0."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.differential.oddity import Oddity, Pixels, damaged, noise, scene
from tests.hostile import make_tiff as make
from tests.hostile.make_exif import Field

_LETTERS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B"}
_PACKERS: dict[int, Callable[[bytes], bytes]] = {
    make.NONE: bytes, make.ADOBE_DEFLATE: zlib.compress, make.PACKBITS: make.packbits,
}  # fmt: skip


def files(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    picture = scene(source)
    for order, word in (("<", ""), (">", " big-endian")):
        for compression, packed in ((make.NONE, ""), (make.ADOBE_DEFLATE, " deflated"), (make.PACKBITS, " packed")):
            name = f"tiff{word}{packed}"
            entries, strips = parts(picture, compression, source.randint(5, 40))
            data = built(entries, strips, order)
            yield Oddity(f"{name}: plain", data)
            yield from _directories(name, entries, strips, order, source)
            yield from _tables(name, entries, strips, order)
            yield from damaged(name, data, source)
    yield from _kinds(picture, source)


def parts(picture: Pixels, compression: int, rows: int) -> tuple[list[Field], list[bytes]]:
    """Entries of a right directory but for where its strips are, and the strips."""
    height, width = picture.shape[:2]
    strips = [_PACKERS[compression](picture[top : top + rows].tobytes()) for top in range(0, height, rows)]
    return [
        (make.WIDTH, 3, [width]), (make.HEIGHT, 3, [height]), (make.BITS, 3, [8, 8, 8]), (make.COMPRESSION, 3, [compression]),
        (make.PHOTOMETRIC, 3, [2]), (make.SAMPLES, 3, [3]), (make.ROWS_PER_STRIP, 3, [rows]),
        (make.STRIP_COUNTS, 4, [len(strip) for strip in strips]),
    ], strips  # fmt: skip


def built(
    entries: list[Field], strips: list[bytes], order: str = "<", *, behind: bool = False, following: int = 0,
    gap: bytes = b"", shuffle: random.Random | None = None,
) -> bytes:  # fmt: skip
    """A file of these entries as they stand; behind: the directory comes after the strips. gap: before each strip."""
    told = [len(strip) for strip in strips]
    body = b"".join(gap + strip for strip in strips)
    where = [len(gap) * (index + 1) + sum(told[:index]) for index in range(len(strips))]
    count = len(entries) + 1
    table = 8 + (len(body) + len(body) % 2 if behind else 0)
    longs = sum(len(packed) for *_rest, packed in (_packed(each, order) for each in entries) if len(packed) > 4)
    longs += 4 * len(strips) if len(strips) > 1 else 0
    after = table + 2 + count * 12 + 4
    first = 8 if behind else after + longs + (after + longs) % 2
    offsets: Field = (make.STRIP_OFFSETS, 4, [first + place for place in where])
    ordered = sorted([*entries, offsets], key=lambda entry: entry[0])
    if shuffle:
        shuffle.shuffle(ordered)
    packed, tail = struct.pack(order + "H", count), b""
    for entry in ordered:
        tag, kind, number, value = _packed(entry, order)
        slot = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", after + len(tail))
        tail += value if len(value) > 4 else b""
        packed += struct.pack(order + "HHI", tag, kind, number) + slot
    directory = packed + struct.pack(order + "I", following) + tail
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, table)
    if behind:
        return head + body.ljust(table - 8, b"\0") + directory
    return head + directory.ljust(first - 8, b"\0") + body


def _packed(entry: Field, order: str) -> tuple[int, int, int, bytes]:
    tag, kind, values = entry
    letters = _LETTERS.get(kind, "H")
    number = len(values) // len(letters)
    return tag, kind, number, struct.pack(order + letters * number, *values)


def _directories(
    name: str, entries: list[Field], strips: list[bytes], order: str, source: random.Random
) -> Iterator[Oddity]:
    plain = built(entries, strips, order)

    def odd(what: str, changed: list[Field] | None = None, twin: bytes = plain, **options: object) -> Oddity:
        return Oddity(f"{name}: {what}", built(changed or entries, strips, order, **options), twin=twin)  # type: ignore[arg-type]

    yield odd("directory behind", behind=True)
    yield odd("entries in any order", shuffle=source)
    yield odd("gaps between the strips", gap=noise(source, 1, 9))
    yield odd("a next directory that is not there", following=0x7FFFFFF0, twin=b"")
    yield odd("a next directory in the middle of nothing", following=10, twin=b"")
    yield odd("unknown tags", [*entries, (65_000, 3, [7]), (65_001, 99, [1, 2, 3]), (40_000, 2, b"words\0")])
    yield odd("words", [*entries, (305, 2, b"a program"), (306, 2, b"2020:01:01 00:00:00\0"), (270, 2, b"")], twin=b"")
    yield odd("resolution", [*entries, (282, 5, [72, 1]), (283, 5, [72, 0]), (296, 3, [2])])
    yield odd("width twice", [*entries, (make.WIDTH, 3, entries[0][2])])
    yield odd("width twice, differing", [*entries, (make.WIDTH, 3, [7])], twin=b"")
    wider = [(tag, 4 if kind == 3 else kind, values) for tag, kind, values in entries]
    yield odd("LONG where SHORT is usual", wider)
    yield odd("planar told as 1", [*entries, (make.PLANAR, 3, [1])])
    yield odd("planar told as 0", [*entries, (make.PLANAR, 3, [0])])
    yield odd("predictor 1", [*entries, (make.PREDICTOR, 3, [1])])
    yield odd("sample format 1", [*entries, (make.SAMPLE_FORMAT, 3, [1, 1, 1])])
    yield odd("sample format told once", [*entries, (make.SAMPLE_FORMAT, 3, [1])], twin=b"")
    yield odd("fill order 1", [*entries, (266, 3, [1])])
    yield odd("page 0 of 1", [*entries, (297, 3, [0, 1])])
    yield odd("a subfile type", [*entries, (254, 4, [0])])
    yield Oddity(f"{name}: followed by zeros", plain + bytes(500), twin=plain)


def _tables(name: str, entries: list[Field], strips: list[bytes], order: str) -> Iterator[Oddity]:
    plain = built(entries, strips, order)
    table = {tag: (tag, kind, values) for tag, kind, values in entries}

    def odd(what: str, twin: bytes = b"", **changes: Sequence[int] | None) -> Oddity:
        tags = {getattr(make, tag): values for tag, values in changes.items()}
        kept = [
            (tag, kind, tags.get(tag, values)) for tag, kind, values in entries if tags.get(tag, values) is not None
        ]
        return Oddity(f"{name}: {what}", built(kept, strips, order), twin=twin)  # type: ignore[arg-type]

    counts = table[make.STRIP_COUNTS][2]
    yield odd("no counts of bytes", plain, STRIP_COUNTS=None)
    yield odd("counts of 0 bytes", plain, STRIP_COUNTS=[0] * len(counts))
    yield odd("one count of 0 bytes", plain, STRIP_COUNTS=[*counts[:-1], 0])
    yield odd("counts too large", STRIP_COUNTS=[count + 3 for count in counts])
    yield odd("last count too large", STRIP_COUNTS=[*counts[:-1], counts[-1] + 1000])
    yield odd("counts too small", STRIP_COUNTS=[max(1, count - 3) for count in counts])
    yield odd("one count too few", plain, STRIP_COUNTS=counts[:-1] or counts)
    yield odd("one count too many", plain, STRIP_COUNTS=[*counts, 9])
    yield odd("no bits told", BITS=None)
    yield odd("bits told once", BITS=[8])
    yield odd("no samples told", SAMPLES=None)
    yield odd("no compression told", COMPRESSION=None)
    yield odd("no colours told", PHOTOMETRIC=None)
    whole = [(make.ROWS_PER_STRIP, 4, [0xFFFFFFFF])] if len(strips) == 1 else []
    if whole:
        yield Oddity(
            f"{name}: endless rows a strip", built([*entries[:6], *whole, entries[7]], strips, order), twin=plain
        )
        yield odd("no rows a strip", ROWS_PER_STRIP=None, twin=plain)


def _kinds(picture: Pixels, source: random.Random) -> Iterator[Oddity]:
    """Ways of storing samples that viewers know."""
    grey = np.ascontiguousarray(picture[:, :, 0])
    deep = picture.astype(np.uint16) * 257
    sheer = np.dstack([picture, np.full_like(grey, 255)])
    planes = {make.PLANAR: [2]}
    rows = source.randint(1, 50)
    yield Oddity("tiff kinds: tiles", make.tiff(picture, tile=16))
    yield Oddity("tiff kinds: tiles, deflated", make.tiff(picture, tile=32, compression=make.ADOBE_DEFLATE))
    yield Oddity("tiff kinds: grey", make.tiff(grey, make.BLACK_IS_ZERO, rows=rows))
    yield Oddity("tiff kinds: white is zero", make.tiff(grey, make.WHITE_IS_ZERO))
    yield Oddity("tiff kinds: alpha", make.tiff(sheer, extra={make.EXTRA_SAMPLES: [2]}))
    yield Oddity("tiff kinds: alpha not told", make.tiff(sheer))
    yield Oddity("tiff kinds: premultiplied", make.tiff(sheer, extra={make.EXTRA_SAMPLES: [1]}))
    for order in "<>":
        yield Oddity(f"tiff kinds: 16 bits {order}", make.tiff(deep, order=order))
        yield Oddity(f"tiff kinds: big {order}", make.tiff(picture, order=order, big=True, rows=rows))
    stacked = np.concatenate([picture[:, :, band] for band in range(3)])
    page = make.page(stacked, make.BLACK_IS_ZERO, rows=picture.shape[0])
    page.tags = {**make.tags_of(picture, make.TRUE_COLOUR), **planes}
    yield Oddity("tiff kinds: planes", make.File([page]).bytes())
    for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"):
        yield Oddity(f"tiff kinds: {compression}", make.by_pillow(picture, compression))
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield Oddity(f"tiff kinds: {compression}", make.by_pillow(grey > 128, compression))
