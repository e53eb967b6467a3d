"""HEIC and AVIF stored oddly: boxes in other places, other pictures beside, told colours and turns. ISO/IEC 23008-12."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tests.differential.oddity import Oddity, Pixels, damaged, noise, scene
from tests.hostile import make_heif as make
from tests.hostile import make_jpeg


def heic(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    picture = scene(source)
    yield from _stored("heic", make.heic, picture, source)
    yield from _stored(
        "heic 10 bits", lambda each: make.heic(each.astype(np.uint16) * 257, chroma=444), picture, source
    )
    tiles = make.heic(picture, tile_size=64)
    yield Oddity("heic tiles: plain", tiles)
    yield from damaged("heic tiles", tiles, source)


def avif(source: random.Random) -> Iterator[Oddity]:
    """One example of each kind."""
    picture = scene(source)
    yield from _stored("avif", make.avif, picture, source)
    yield from _stored("avif 4:4:4", lambda each: make.avif(each, subsampling="4:4:4"), picture, source)


def _stored(name: str, encoded: Callable[[Pixels], bytes], picture: Pixels, source: random.Random) -> Iterator[Oddity]:
    data = encoded(picture)
    item, other = make.parts(data), make.parts(encoded(255 - picture))
    twin = make.still(item)
    yield Oddity(f"{name}: plain", data)
    yield Oddity(f"{name}: written anew", twin)
    for word, changed in {**_places(item, source), **_beside(item, other, source)}.items():
        yield Oddity(f"{name}: {word}", changed, twin=twin)
    for word, about in _told().items():
        yield Oddity(f"{name}: {word}", make.still(item.having(*about)))
    yield from damaged(name, data, source)


def _places(item: make.Item, source: random.Random) -> dict[str, bytes]:
    """The same picture, its boxes elsewhere."""
    free = make.box(b"free", noise(source, 1, 99))
    swapped = replace(item, properties=item.properties[::-1])
    return {
        "inside its tables": make.still(replace(item, inside=True)),
        "gap before": make.still(item, before=free),
        "box without a meaning behind": make.still(item, behind=free),
        "another box of data behind": make.still(item, behind=make.box(b"mdat", noise(source, 1, 99))),
        "properties turned round": make.still(swapped),
        "without its depth": make.still(
            replace(item, properties=tuple(each for each in item.properties if each[4:8] != b"pixi"))
        ),
        "unknown property": make.still(item.having(make.box(b"wxyz", noise(source, 1, 99)))),
        "groups": make.still(item, groups=make.box(b"grpl")),
    }


def _beside(item: make.Item, other: make.Item, source: random.Random) -> dict[str, bytes]:
    """The same picture, and what no viewer shows."""
    exif = make.Item(b"Exif", b"\0\0\0\6" + make_jpeg.exif(1), hidden=True)
    words = make.Item(b"mime", b"<x/>", hidden=True, content=b"application/rdf+xml")
    return {
        "with EXIF": make.still(item, exif, references=((b"cdsc", 2, (1,)),)),
        "with XMP": make.still(item, words, references=((b"cdsc", 2, (1,)),)),
        "with a thumbnail": make.still(item, other, references=((b"thmb", 2, (1,)),)),
        "with a hidden picture": make.still(item, replace(other, hidden=True)),
        "as the second picture": make.still(other, item, primary=2),
        "with an item of no kind": make.still(item, make.Item(b"wxyz", noise(source, 1, 99), hidden=True)),
    }


def _told() -> dict[str, tuple[bytes, ...]]:
    """How it is shown, in properties."""
    return {
        "colours told": (make.numbers(),),
        "colours of films": (make.numbers(matrix=1, whole=False),),
        **{f"turned {turns}": (make.turned(turns),) for turns in range(4)},
        **{f"mirrored {axis}": (make.mirrored(axis),) for axis in range(2)},
        "turned and mirrored": (make.turned(1), make.mirrored(0)),
    }
