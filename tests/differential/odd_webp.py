"""WebP stored oddly: sizes, flags, orders and chunks that no pixel needs. RFC 9649."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from tests.differential.oddity import Oddity, damaged, noise, scene
from tests.hostile import make_webp as make


def files(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    picture = scene(source)
    height, width = picture.shape[:2]
    sheer = np.dstack([picture, np.full((height, width), 255, np.uint8)])
    sheer[: height // 2, : width // 2, 3] = 250
    for name, data in {
        "webp": make.webp(picture),
        "webp lossless": make.webp(picture, lossless=True),
        "webp alpha": make.webp(sheer),
        "webp lossless alpha": make.webp(sheer, lossless=True, exact=True),
    }.items():
        parts = [part for part in make.chunks(data) if part[0] != b"VP8X"]
        yield Oddity(f"{name}: plain", data)
        yield from _chunks(name, parts, (width, height), data, source)
        yield from _sizes(name, data, source)
        yield from damaged(name, data, source)


def _chunks(
    name: str, parts: list[make.Chunk], size: tuple[int, int], data: bytes, source: random.Random
) -> Iterator[Oddity]:
    alpha = make.ALPHA if "alpha" in name else 0
    canvas = make.extended(alpha, *size)
    more = {
        b"EXIF": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
        b"XMP ": b"<x/>",
        b"ICCP": noise(source, 1, 99),
        b"junk": noise(source, 1, 99),
    }
    flags = {b"EXIF": make.EXIF, b"XMP ": make.XMP, b"ICCP": make.ICC, b"junk": 0}
    yield Oddity(f"{name}: extended", make.riff([canvas, *parts]), twin=data)
    if not alpha:
        yield Oddity(f"{name}: simple", make.riff(parts), twin=data)
    for kind, payload in more.items():
        word, told = kind.decode().strip(), make.extended(alpha | flags[kind], *size)
        yield Oddity(f"{name}: {word} behind", make.riff([told, *parts, (kind, payload)]), twin=data)
        yield Oddity(f"{name}: {word} before", make.riff([told, (kind, payload), *parts]), twin=data)
        yield Oddity(f"{name}: {word} without its flag", make.riff([canvas, *parts, (kind, payload)]), twin=data)
        yield Oddity(f"{name}: {word} twice", make.riff([told, *parts, (kind, payload), (kind, payload)]), twin=data)
        yield Oddity(f"{name}: {word} in a simple file", make.riff([*parts, (kind, payload)]))
    for flag, word in ((make.EXIF, "EXIF"), (make.XMP, "XMP"), (make.ICC, "profile"), (0xC1, "reserved")):
        yield Oddity(
            f"{name}: flag of {word} alone", make.riff([make.extended(alpha | flag, *size), *parts]), twin=data
        )
    yield Oddity(f"{name}: flag of alpha turned round", make.riff([make.extended(alpha ^ make.ALPHA, *size), *parts]))
    yield Oddity(f"{name}: flag of animation", make.riff([make.extended(alpha | make.ANIMATION, *size), *parts]))
    wider = make.extended(alpha, size[0] + 1, size[1])
    yield Oddity(f"{name}: another canvas", make.riff([wider, *parts]))
    yield Oddity(f"{name}: two pictures", make.riff([canvas, *parts, *parts]))
    yield Oddity(f"{name}: canvas twice", make.riff([canvas, canvas, *parts]))


def _sizes(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    def sized(size: int) -> bytes:
        return data[:4] + size.to_bytes(4, "little") + data[8:]

    right = len(data) - 8
    yield Oddity(f"{name}: told larger by some bytes", sized(right + source.randint(1, 40)))
    yield Oddity(f"{name}: told smaller by some bytes", sized(right - source.randint(1, 40)))
    yield Oddity(f"{name}: told with odd size", sized(right - 1))
    yield Oddity(f"{name}: told of size 0", sized(0))
    yield Oddity(f"{name}: told endless", sized(0xFFFFFFFE))
    yield Oddity(f"{name}: told smaller and followed", sized(right - 2) + bytes(9))
    yield Oddity(f"{name}: told larger and followed", sized(right + 10) + noise(source, 10, 10))
    if data[-1:] == b"\0":
        yield Oddity(f"{name}: without the last byte of padding", data[:-1])
