"""`make verify`: HEIC and AVIF twins of photographs give their faces. Damaged 2,000 times each is a picture or a refusal
with words, and no process ends but its child.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from tests.hostile import make_heif, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.hiding import detectors, photographs
from tests.unit.pictures.test_same_faces import pixels_of, same

MUTATIONS = 2_000
COLOURS = rasters.colours(128, 96)


def bases() -> list[bytes]:
    sheer = np.dstack([COLOURS, rasters.grey(128, 96)])
    tile = make_heif.heic(COLOURS, tile_size=64)
    deep = make_heif.heic(COLOURS.astype(np.uint16) * 257, chroma=444)
    return [make_heif.heic(COLOURS), make_heif.heic(sheer), tile, deep, make_heif.avif(COLOURS), make_heif.avif(sheer)]


def mutations(data: bytes, source: random.Random) -> Iterator[bytes]:
    """Bits and bytes changed, in the tables or anywhere; stretches lost, zeroed, doubled; cuts."""
    while True:
        changed = bytearray(data)
        reach = len(data) if source.random() < 0.5 else data.index(b"mdat")
        for _ in range(source.choice((1, 1, 2, 5, 20))):
            changed[source.randrange(reach)] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        yield bytes(changed)
        start = source.randrange(reach)
        stop = min(len(data), start + source.randint(1, 400))
        yield data[:start] + data[stop:]
        yield data[:start] + bytes(stop - start) + data[stop:]
        yield data[:stop] + data[start:]
        yield data[:start]


@pytest.fixture
def gallery() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=2)
    yield gallery
    gallery.close()


def test_two_thousand_mutations_end_no_process_and_each_has_words(gallery: Gallery) -> None:
    source, begun = random.Random(23), bases()
    damaged = [mutations(data, source) for data in begun]
    answers = {200: 0, 400: 0, 413: 0}
    for number in range(MUTATIONS):
        outcome = gallery.outcome(next(damaged[number % len(damaged)]), to_mask=number % 2 == 0)
        answers[outcome.status] += 1
        assert not outcome.crashed, number
        assert outcome.status == 200 or (len(outcome.answer) > 20 and outcome.answer[0].isupper()), outcome.answer
    assert answers[400] > MUTATIONS / 2
    assert gallery.nothing_is_counted()
    assert gallery.resident_bytes() - gallery.resident_at_start < 160 * 1024 * 1024
    assert all(gallery.outcome(data).status == 200 for data in begun)


def test_twins_of_photographs_give_the_same_sure_faces() -> None:
    """Every third JPEG, encoded anew by libheif and by libavif; no face is invented, and no sure one is lost."""
    detector, wrong = next(iter(detectors().values())), []
    for photograph in list(photographs(detector, "*.jpg"))[::3]:
        rgb = np.ascontiguousarray(photograph.pixels[:, :, ::-1])
        for name, data in {"heic": make_heif.heic(rgb, quality=95), "avif": make_heif.avif(rgb, quality=95)}.items():
            pixels = pixels_of(data)
            kept = same(photograph.faces, detector.faces(pixels, 0.3))
            if not (kept and same(detector.faces(pixels), photograph.known)):
                wrong.append(f"{name} of {photograph.name}")
    assert wrong == []
