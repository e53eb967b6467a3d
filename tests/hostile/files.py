"""What a hostile file is, and what may be answered to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: any: a picture or a refusal, both are fine. refused: 400. too large: 413. picture: must be opened.
Expected = Literal["any", "refused", "too large", "picture"]


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file of the corpus."""

    name: str
    data: bytes
    expected: Expected = "any"


def cuts(name: str, data: bytes, count: int = 10) -> list[Hostile]:
    """A right file cut off at `count` points from its tenth byte to one before its end: none may be opened."""
    places = [10 + (len(data) - 11) * index // (count - 1) for index in range(count)]
    return [Hostile(f"{name}-cut-at-{place}", data[:place], "refused") for place in places]


def flips(name: str, data: bytes, count: int, seed: int) -> list[Hostile]:
    """A right file with a few of its bytes changed, differently each time."""
    import random

    source = random.Random(seed)
    changed = []
    for index in range(count):
        body = bytearray(data)
        for _ in range(source.randint(1, 12)):
            body[source.randrange(len(body))] = source.randrange(256)
        changed.append(Hostile(f"{name}-flipped-{index}", bytes(body)))
    return changed
