"""JPEG with bytes where none belong: served where no pixel misses them, refused where they hide or show damage."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from gateway.pictures.headers import jpeg_blocks
from gateway.pictures.image_header import read_header
from shared.errors import BadImage
from tests.differential.odd_jpeg import joined, pieces
from tests.differential.oddity import Pixels, scene, spliced
from tests.hostile import make_jpeg
from tests.hostile.gallery import Gallery

PICTURE = scene(random.Random(7))
GREY = np.ascontiguousarray(PICTURE[:, :, 1])
STRAY = bytes(range(1, 120))
#: Restart markers stand between these pieces of picture data.
KINDS = {
    "baseline": make_jpeg.jpeg(PICTURE),
    "grey": make_jpeg.jpeg(GREY),
    "progressive": make_jpeg.jpeg(PICTURE, progressive=True),
    "progressive grey": make_jpeg.jpeg(GREY, progressive=True, quality=99),
    "restarts": make_jpeg.jpeg(PICTURE, restart_marker_blocks=4),
    "progressive restarts": make_jpeg.jpeg(PICTURE, restart_marker_blocks=4, progressive=True),
    "inks": make_jpeg.jpeg(np.dstack([PICTURE, GREY]), "CMYK"),
}
RESTARTS = range(0xD0, 0xD8)
DAMAGED = "part of its data cannot be read"


def seen(gallery: Gallery, data: bytes) -> Pixels:
    """The service's pixels, BGR."""
    pixels = cv2.imdecode(np.frombuffer(gallery.mask(data, [], format="png").data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels  # type: ignore[return-value]


def refusal(gallery: Gallery, data: bytes) -> str:
    outcome = gallery.outcome(data)
    assert outcome.status == 400
    return outcome.answer


def with_stray(data: bytes, markers: range, stray: bytes = STRAY) -> bytes:
    """Stray bytes before every one of these markers."""
    return joined([(0, stray + part if marker in markers else part) for marker, part in pieces(data)])


@pytest.mark.parametrize("stray", [b"\1", STRAY, bytes(700), b"\xff\0\xff\0", b"\xff" * 700, b"text " * 20])
@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_bytes_between_segments_change_no_pixel(gallery: Gallery, kind: str, stray: bytes) -> None:
    data = make_jpeg.with_segments(KINDS[kind], (0xE5, b"an application's"), (0xFE, b"a comment"))
    for markers in (range(0xC0, 0xC3), range(0xC4, 0xC5), range(0xDB, 0xDC), range(0xFE, 0xFF)):
        if kind == "progressive" and 0xC4 in markers:
            continue  # stands behind picture data as well
        assert (seen(gallery, with_stray(data, markers, stray)) == seen(gallery, data)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_behind_the_last_block_change_no_pixel(gallery: Gallery, kind: str) -> None:
    data = KINDS[kind]
    for stray in (b"\1", STRAY, bytes(300)):
        assert (seen(gallery, with_stray(data, range(0xD9, 0xDA), stray)) == seen(gallery, data)).all()


def test_bytes_before_restart_markers_change_no_pixel(gallery: Gallery) -> None:
    data = KINDS["restarts"]
    for stray in (b"\1", STRAY, b"\xff\xff\xff"):
        assert (seen(gallery, with_stray(data, RESTARTS, stray)) == seen(gallery, data)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_counted_to_the_last_bit(kind: str) -> None:
    data = memoryview(KINDS[kind])
    assert jpeg_blocks.without_left_over(data, read_header(data)) == data


def test_a_harmless_oddity_hides_no_damage(gallery: Gallery) -> None:
    data = KINDS["baseline"]
    cut = data[: len(data) * 2 // 3] + make_jpeg.EOI
    oddities = {
        "stray bytes": lambda right: spliced(right, right.index(b"\xff\xdb"), STRAY),
        "another version": lambda right: right.replace(b"JFIF\0\1", b"JFIF\0\7", 1),
        "odd scan header": lambda right: right.replace(b"\0\x3f\0", b"\0\0\0", 1),
        "unknown transform": lambda right: right[:2] + make_jpeg.segment(0xEE, b"Adobe\0\x64\0\0\0\0\7") + right[20:],
    }
    for name, oddity in oddities.items():
        assert (seen(gallery, oddity(data)) == seen(gallery, data)).all(), name
        assert DAMAGED in refusal(gallery, oddity(cut)), name


def test_blocks_left_over_show_that_data_were_damaged(gallery: Gallery) -> None:
    parts = pieces(KINDS["restarts"])
    place = next(index for index, part in enumerate(parts) if part[0] in RESTARTS)
    for damaged in (
        joined(parts[:place] + parts[place + 1 :]),
        joined(parts[:place] + parts[place + 2 :]),
        joined([(marker, b"\xff\xdd\0\4\0\3" if marker == 0xDD else part) for marker, part in parts]),
    ):
        assert DAMAGED in refusal(gallery, damaged)


def test_data_zeroed_to_the_end_are_refused_though_zeros_are_left_over(gallery: Gallery) -> None:
    data = KINDS["baseline"]
    half = data.index(b"\xff\xda") + (len(data) - data.index(b"\xff\xda")) // 2
    for size in (len(data), 40 * len(data)):
        assert DAMAGED in refusal(gallery, data[:half] + bytes(size) + make_jpeg.EOI)


def test_other_bytes_may_stand_where_the_end_marker_would_but_data_must_be_whole(gallery: Gallery) -> None:
    data = KINDS["baseline"]
    for tail in (bytes(300), STRAY):
        assert (seen(gallery, data[:-2] + tail) == seen(gallery, data)).all()
        assert gallery.outcome(data[: len(data) * 2 // 3] + tail).status == 400


def test_frames_of_films_have_no_tables_of_their_own(gallery: Gallery) -> None:
    data = make_jpeg.changed(KINDS["baseline"], make_jpeg.DHT, lambda _table: None)
    right = seen(gallery, KINDS["baseline"])
    assert (seen(gallery, data) == right).all()
    assert (seen(gallery, with_stray(data, range(0xD9, 0xDA))) == right).all()


def test_what_would_take_too_long_to_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = memoryview(KINDS["baseline"])
    monkeypatch.setattr(jpeg_blocks, "STEPS_MAX", 100)
    with pytest.raises(BadImage, match=DAMAGED):
        jpeg_blocks.without_left_over(data, read_header(data))
