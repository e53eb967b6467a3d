"""JPEG stored oddly: stray bytes, odd orders, odd lengths, odd scans; and oddness that hides damage. ITU T.81."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator

import numpy as np

from tests.differential.oddity import Oddity, Pixels, damaged, noise, scene, spliced
from tests.hostile import make_jpeg as make

#: A marker and the bytes up to the next: segments whole, picture data behind its scan header or restart marker.
Piece = tuple[int, bytes]
_NAMES = {0xDB: "DQT", 0xC4: "DHT", 0xC0: "SOF", 0xC2: "SOF", 0xDA: "SOS", 0xDD: "DRI", 0xD9: "EOI", 0xFE: "COM"}
_DATA = 0
_RESTART_OR_NEXT = re.compile(rb"\xff[\x01-\xfe]", re.DOTALL)


def files(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    for name, data in bases(source):
        yield Oddity(f"{name}: plain", data)
        yield from _strays(name, data, source)
        yield from _orders(name, data, source)
        yield from _lengths(name, data, source)
        yield from _tails(name, data, source)
        yield from damaged(name, data, source)
        yield from _hiding(name, data, source)
    yield from _scans(source)
    yield from _restarts(source)


def bases(source: random.Random) -> list[tuple[str, bytes]]:
    picture = scene(source)
    quality = source.randint(30, 98)
    inks = np.dstack([picture, 255 - picture[:, :, 0]])
    return [
        ("jpeg", make.jpeg(picture, quality=quality)),
        ("jpeg 4:4:4 optimised", make.jpeg(picture, quality=quality, subsampling=0, optimize=True)),
        ("jpeg grey", make.jpeg(np.ascontiguousarray(picture[:, :, 0]), quality=quality)),
        ("jpeg progressive", make.jpeg(picture, quality=quality, progressive=True)),
        ("jpeg restarts", make.jpeg(picture, quality=quality, restart_marker_blocks=source.randint(1, 9))),
        ("jpeg inks", make.jpeg(inks, "CMYK", quality=quality)),
    ]


def pieces(data: bytes) -> list[Piece]:
    """A right file from behind its start to its end, in pieces that `joined` puts together again."""
    found: list[Piece] = []
    position = 2
    while position < len(data):
        marker = data[position + 1]
        stop = position + 2
        if marker not in (*range(0xD0, 0xD8), 0xD9):
            stop += struct.unpack_from(">H", data, stop)[0]
        found.append((marker, data[position:stop]))
        position = stop
        if marker == 0xD9:
            return found
        if marker in (0xDA, *range(0xD0, 0xD8)):
            following = _RESTART_OR_NEXT.search(data, position)
            assert following is not None
            found.append((_DATA, data[position : following.start()]))
            position = following.start()
    return found


def joined(parts: list[Piece]) -> bytes:
    return make.SOI + b"".join(part for _marker, part in parts)


def name_of(marker: int) -> str:
    return _NAMES.get(marker, "RST" if 0xD0 <= marker < 0xD8 else f"APP{marker - 0xE0}")


def stray(source: random.Random) -> Iterator[tuple[str, bytes]]:
    """Bytes that are no marker."""
    yield "one stray byte", bytes([source.randrange(1, 255)])
    yield "stray bytes", noise(source, 2, 40).replace(b"\xff", b"\xfe")
    yield "zeros", bytes(source.randint(1, 600))
    yield "FF00", b"\xff\0" * source.randint(1, 5)
    yield "fill bytes", b"\xff" * source.randint(1, 600)
    yield "text", b"MADE BY A CAMERA " * source.randint(1, 30)


def _strays(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    parts = pieces(data)
    for marker in sorted({marker for marker, _ in parts} - {_DATA}):
        places = [index for index, part in enumerate(parts) if part[0] == marker]
        for what, extra in stray(source):
            place = source.choice(places)
            changed = [*parts[:place], (_DATA, extra), *parts[place:]]
            yield Oddity(f"{name}: {what} before {name_of(marker)}", joined(changed), twin=data)
    everywhere = [(_DATA, b"\xff" * 3 + part if marker else part) for marker, part in parts]
    yield Oddity(f"{name}: fill bytes before every marker", joined(everywhere), twin=data)


def _orders(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    parts = pieces(data)
    frame = next(index for index, part in enumerate(parts) if part[0] in (0xC0, 0xC2))
    without = [part for part in parts if part[0] != 0xE0]
    yield Oddity(f"{name}: without JFIF", joined(without))
    extras = [
        (0xFE, make.segment(0xFE, b"a comment")), (0xE1, make.segment(0xE1, make.exif(1, thumbnail=data[:9000]))),
        (0xE5, make.segment(0xE5, noise(source, 0, 99))), (0xED, make.segment(0xED, b"Photoshop 3.0\0")),
        (0xE2, make.segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0")), (0xDD, make.segment(0xDD, b"\0\0")) ,
    ]  # fmt: skip
    for marker, extra in extras:
        place = source.randrange(frame + 1)
        if marker == 0xDD and any(part[0] == 0xDD for part in parts):
            continue
        yield Oddity(
            f"{name}: with {name_of(marker)} somewhere",
            joined([*parts[:place], (marker, extra), *parts[place:]]),
            twin=data,
        )
        yield Oddity(
            f"{name}: with {name_of(marker)} last", joined([*parts[:-1], (marker, extra), parts[-1]]), twin=data
        )
    head = parts[:frame]
    source.shuffle(head)
    yield Oddity(f"{name}: headers in any order", joined([*head, *parts[frame:]]), twin=data)
    for marker, what in (
        (b"\xff\xd3", "RST"),
        (b"\xff\x01", "TEM"),
        (b"\xff\xd8", "SOI"),
        (b"\xff\x03", "RES"),
        (b"\xff\xf7", "JPG7"),
    ):
        place = source.randrange(frame + 1)
        yield Oddity(f"{name}: {what} between segments", joined([*parts[:place], (_DATA, marker), *parts[place:]]))
    (height,) = struct.unpack_from(">H", parts[frame][1], 5)
    lines = make.segment(0xDC, struct.pack(">H", height))
    yield Oddity(f"{name}: DNL repeats the height", joined([*parts[:-1], (0xDC, lines), parts[-1]]), twin=data)
    unknown = parts[frame][1][:5] + b"\0\0" + parts[frame][1][7:]
    yield Oddity(
        f"{name}: DNL alone has the height",
        joined([*parts[:frame], (0, unknown), *parts[frame + 1 : -1], (0xDC, lines), parts[-1]]),
    )


def _lengths(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    """A comment, profile or EXIF segment whose length is wrong by some bytes."""
    body = noise(source, 60, 200).replace(b"\xff", b"\0")
    for marker in (0xFE, 0xE1, 0xE2, 0xEE):
        short = make.segment(marker, body, len(body) + 2 - source.randint(1, 50))
        yield Oddity(f"{name}: {name_of(marker)} longer than it says", make.SOI + short + data[2:], twin=data)
        least = make.segment(marker, b"", source.randrange(2))
        yield Oddity(f"{name}: {name_of(marker)} too short to hold its length", make.SOI + least + data[2:], twin=data)
        long = make.segment(marker, body, len(body) + 2 + source.randint(1, 30))
        yield Oddity(f"{name}: {name_of(marker)} shorter than it says", make.SOI + long + data[2:])


def _tails(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    yield Oddity(f"{name}: without its end marker", data[:-2])
    yield Oddity(f"{name}: zeros in place of its end marker", data[:-2] + bytes(source.randint(1, 4000)))
    yield Oddity(f"{name}: noise in place of its end marker", data[:-2] + noise(source, 1, 40).replace(b"\xff", b"\1"))
    yield Oddity(f"{name}: two end markers", data + make.EOI, twin=data)
    yield Oddity(f"{name}: a second picture and its index", data + make.jpeg(scene(source)), twin=data)


def _hiding(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    """libjpeg speaks of the first oddity alone: a harmless one may hide damage behind it."""
    scan = data.index(b"\xff\xda") + 20
    body = scan + (len(data) - scan) * source.randint(30, 90) // 100
    broken = {
        "cut and closed": data[:body] + make.EOI,
        "zeroed": data[:body] + bytes(len(data) - body - 2) + make.EOI,
        "with a hole": data[:body] + data[min(len(data) - 3, body + source.randint(20, 200)) :],
        "whole": data,
    }
    for what, twin in broken.items():
        bad = what != "whole"
        yield Oddity(f"{name}: {what}", twin, damaged=bad)
        for oddity, hidden in _harmless(twin):
            yield Oddity(f"{name}: {what}, {oddity}", hidden, damaged=bad, twin=twin)


def _harmless(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What libjpeg speaks of and passes over."""
    yield "stray bytes before DQT", spliced(data, data.index(b"\xff\xdb"), b"\1\2\3")
    yield "another JFIF version", data.replace(b"JFIF\0\1", b"JFIF\0\7", 1)
    yield "unknown Adobe transform", _other_transform(data)
    yield "odd scan header", _odd_scan_header(data)
    yield "bad profile marker", spliced(data, 2, make.segment(0xE2, b"ICC_PROFILE\0\0\1abc"))


def _other_transform(data: bytes) -> bytes:
    """An Adobe segment that names a transform nobody knows, where there is none yet and no JFIF."""
    if b"Adobe" in data[:200] or b"JFIF" not in data[:200]:
        return data
    segments, rest = make.split(data)
    return make.join([(0xEE, b"Adobe\0\x64\0\0\0\0\x63"), *segments[1:]], rest)


def _odd_scan_header(data: bytes) -> bytes:
    """A sequential scan that names no spectrum, as some cameras write it."""
    place = data.index(b"\xff\xda")
    (length,) = struct.unpack_from(">H", data, place + 2)
    end = place + 2 + length
    return data[: end - 3] + bytes(3) + data[end:] if b"\xff\xc0" in data else data


def _scans(source: random.Random) -> Iterator[Oddity]:
    """Progressive scans repeated, missing, in another order, with tables and comments between them."""
    picture: Pixels = scene(source)
    parts = pieces(make.jpeg(picture, quality=source.randint(30, 98), progressive=True))
    starts = [index for index, part in enumerate(parts) if part[0] == 0xDA]
    which = source.choice(starts[1:])
    scan = parts[which : which + 2]
    yield Oddity("jpeg scans: one twice", joined([*parts[:which], *scan, *parts[which:]]), damaged=True)
    yield Oddity("jpeg scans: one missing", joined(parts[:which] + parts[which + 2 :]), damaged=True)
    yield Oddity("jpeg scans: the last missing", joined([*parts[: starts[-1]], parts[-1]]))
    yield Oddity("jpeg scans: the first alone", joined([*parts[: starts[0] + 2], parts[-1]]))
    commented = [
        each
        for index, part in enumerate(parts)
        for each in ((0xFE, make.segment(0xFE, b"scan")), part)[index not in starts :]
    ]
    yield Oddity("jpeg scans: comments between", joined(commented), twin=joined(parts))
    other = source.choice(starts[1:])
    swapped = dict(zip((which, other), (parts[other : other + 2], scan), strict=True))
    order = [
        each for index, part in enumerate(parts) if index - 1 not in swapped for each in swapped.get(index, [part])
    ]
    yield Oddity("jpeg scans: two swapped", joined(order), damaged=True)


def _restarts(source: random.Random) -> Iterator[Oddity]:
    """Restart markers missing, doubled, misnumbered; intervals of another length; bytes before them."""
    name = "jpeg restart markers"
    parts = pieces(make.jpeg(scene(source), quality=source.randint(60, 98), restart_marker_blocks=source.randint(1, 4)))
    places = [index for index, part in enumerate(parts) if 0xD0 <= part[0] < 0xD8]
    place = source.choice(places)
    yield Oddity(f"{name}: one missing", joined(parts[:place] + parts[place + 1 :]), damaged=True)
    yield Oddity(f"{name}: one and its data missing", joined(parts[:place] + parts[place + 2 :]), damaged=True)
    yield Oddity(f"{name}: one doubled", joined([*parts[:place], parts[place], *parts[place:]]))
    yield Oddity(
        f"{name}: one misnumbered",
        joined([*parts[:place], (0, bytes([0xFF, parts[place][0] ^ 5])), *parts[place + 1 :]]),
        damaged=True,
    )
    everywhere = [
        (0, noise(source, 1, 9).replace(b"\xff", b"\2") + part if index in places else part)
        for index, (_, part) in enumerate(parts)
    ]
    yield Oddity(f"{name}: bytes before each", joined(everywhere), twin=joined(parts))
    filled = [(0, b"\xff\xff" + part if index in places else part) for index, (_, part) in enumerate(parts)]
    yield Oddity(f"{name}: fill bytes before each", joined(filled), twin=joined(parts))
    zeros = [(0, b"\0\0" + part if index in places else part) for index, (_, part) in enumerate(parts)]
    yield Oddity(f"{name}: zeros before each", joined(zeros), twin=joined(parts))
    for step in (-1, 1):
        other = [
            (
                0,
                part[:4] + struct.pack(">H", max(1, struct.unpack(">H", part[4:6])[0] + step))
                if marker == 0xDD
                else part,
            )
            for marker, part in parts
        ]
        yield Oddity(f"{name}: interval {step:+d}", joined(other), damaged=True)
    yield Oddity(f"{name}: interval not told", joined([part for part in parts if part[0] != 0xDD]), damaged=True)
    if len(places) > 1:
        first, second = sorted(source.sample(places, 2))
        data = dict(zip((first + 1, second + 1), (parts[second + 1], parts[first + 1]), strict=True))
        yield Oddity(
            f"{name}: data of two swapped",
            joined([data.get(index, part) for index, part in enumerate(parts)]),
            damaged=True,
        )
