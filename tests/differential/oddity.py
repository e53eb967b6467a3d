"""One file that is stored oddly or damaged, and the bases that the generators change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
#: Yields one example of each of its kinds, drawn from the source.
Maker = Callable[[random.Random], "Iterator[Oddity]"]


@dataclass(frozen=True, slots=True)
class Oddity:
    """kind: what was done to a right file, in words that stay the same whatever the source drew.

    damaged: pixels may be lost, so that it may be refused even where nobody notices. twin: the same without an oddity
    that changes no pixel; whatever becomes of it must become of this.
    """

    kind: str
    data: bytes
    damaged: bool = False
    twin: bytes = b""


def scene(source: random.Random) -> Pixels:
    """(H, W, 3) uint8 RGB: smooth ramps and two discs, of a size that seldom fills whole blocks."""
    width, height = source.randint(40, 120), source.randint(40, 120)
    y, x = np.mgrid[:height, :width]
    ramps = [x * source.uniform(0.3, 2.5) + y * source.uniform(0.3, 2.5) + source.uniform(0, 90) for _ in range(3)]
    picture = np.stack(ramps, axis=-1) % 256
    for _ in range(2):
        left, top, radius = source.uniform(0, width), source.uniform(0, height), source.uniform(5, 30)
        picture[(x - left) ** 2 + (y - top) ** 2 < radius**2] = [source.uniform(0, 255) for _ in range(3)]
    return picture.astype(np.uint8)


def noise(source: random.Random, least: int, most: int) -> bytes:
    """Between `least` and `most` random bytes."""
    return source.randbytes(source.randint(least, most))


def spliced(data: bytes, place: int, extra: bytes) -> bytes:
    """`extra` put in before the byte at `place`."""
    return data[:place] + extra + data[place:]


def damaged(name: str, data: bytes, source: random.Random) -> Iterator[Oddity]:
    """What disks and networks do to any file: cuts, flipped bits, lost, zeroed, doubled and swapped stretches."""
    size = len(data)

    def stretch() -> tuple[int, int]:
        start = source.randrange(12, size - 8)
        return start, min(size, start + source.randint(1, max(2, size // 3)))

    def bad(what: str, changed: bytes) -> Oddity:
        return Oddity(f"{name}: {what}", changed, damaged=True)

    yield bad("cut", data[: source.randrange(12, size)])
    yield bad("some last bytes gone", data[: size - source.randint(1, 40)])
    flipped = bytearray(data)
    flipped[source.randrange(12, size)] ^= 1 << source.randrange(8)
    yield bad("one bit flipped", bytes(flipped))
    start, stop = stretch()
    yield bad("stretch lost", data[:start] + data[stop:])
    yield bad("stretch zeroed", data[:start] + bytes(stop - start) + data[stop:])
    yield bad("stretch of noise", data[:start] + source.randbytes(stop - start) + data[stop:])
    yield bad("stretch doubled", data[:stop] + data[start:])
    yield Oddity(f"{name}: followed by other bytes", data + noise(source, 1, 3000), twin=data)
    yield Oddity(f"{name}: followed by itself", data + data, twin=data)
