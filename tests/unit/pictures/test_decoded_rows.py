"""For detection only the rows of a large JPEG are decoded that it looks at: the same crops, the same refusals."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.pictures import image_decode
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import decode, decode_rows, reads_rows
from gateway.pictures.image_header import check_complete, read_header
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.picture_work import open_picture
from shared.errors import BadImage
from shared.settings import MEBIBYTE, Settings
from tests import in_rows
from tests.hostile import make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.children import ROOT
from tests.unit.pictures.test_kept_jpeg import FILES, PICTURE, SAMPLINGS, by_opencv

SETTINGS = Settings()
MANY_SCANS = [name for name in FILES if name.startswith("progressive")]
#: Sizes at which blocks and groups of blocks end in different places.
SIZES = [(16, 10), (17, 33), (31, 64), (40, 129), (203, 149), (64, 2000)]


def rows_of(data: bytes, seed: int = 1) -> Iterator[bool]:
    """For every pattern, whether its rows were read alone; they are compared."""
    header = read_header(memoryview(data))
    for rows in in_rows.patterns(header.height, seed):
        yield in_rows.check(memoryview(data), header, rows)


@pytest.mark.parametrize("seed", range(40))
def test_a_fit_looks_at_no_other_row_than_it_says(seed: int) -> None:
    source = random.Random(seed)
    width, height, side = source.randint(10, 1200), source.randint(10, 4000), source.choice([640, 256, 64, 31])
    fit, noise = Letterbox.fit(width, height, side), np.random.default_rng(seed)
    rows, pixels = fit.rows_read(height), noise.integers(0, 256, (height, width, 3), np.uint8)
    crop = fit.apply(pixels)
    pixels[~rows] = noise.integers(0, 256, (int((~rows).sum()), width, 3), np.uint8)
    assert (fit.apply(pixels) == crop).all()
    assert rows.sum() <= 2.2 * fit.rows + 2


@pytest.mark.parametrize("name", [name for name in FILES if name not in MANY_SCANS])
def test_rows_are_those_of_the_whole_picture(name: str) -> None:
    assert all(rows_of(FILES[name]))


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_rows_are_those_of_the_whole_picture_at_every_size(width: int, height: int, sampling: int) -> None:
    pixels = rasters.colours(width, height)
    for quality in (30, 97):
        assert all(rows_of(by_opencv(pixels, sampling, quality), quality + width))
    restarting = make_jpeg.jpeg(pixels, restart_marker_blocks=1 + width % 5)
    assert all(rows_of(restarting, height))


@pytest.mark.parametrize("name", MANY_SCANS)
def test_files_of_several_scans_are_left_to_the_whole_decoder(name: str) -> None:
    assert not any(rows_of(FILES[name]))


@pytest.mark.parametrize("factors", [0x12, 0x22, 0x24, 0x44])
def test_so_is_grey_in_groups_of_rows(factors: int) -> None:
    """libjpeg-turbo 3.2 skips an even number of them, from the middle of a group on, to the wrong row."""
    data = make_jpeg.changed(FILES["grey"], make_jpeg.SOF0, lambda frame: frame[:7] + bytes([factors]) + frame[8:])
    assert not any(rows_of(data))


def test_so_are_inks_and_files_of_another_size() -> None:
    inks = make_jpeg.jpeg(np.dstack([PICTURE, PICTURE[:, :, 0]]), "CMYK")
    assert not any(rows_of(inks))
    data = memoryview(FILES["4:2:0"])
    smaller = read_header(memoryview(make_jpeg.jpeg(PICTURE[:-1])))
    with pytest.raises(LibjpegError):
        decode_rows(data, smaller, np.ones(smaller.height, np.bool_))


def damages(data: bytes) -> Iterator[bytes]:
    scan = data.index(b"\xff\xda") + 14
    for place in np.linspace(scan, len(data) - 3, 25).astype(int):
        yield data[:place]
        yield data[:place] + make_jpeg.EOI
        yield data[:place] + bytes(40) + data[place + 40 :]
        yield data[:place] + data[place + 7 :]
    yield data[:-2]
    yield data[:-2] + b"\1\2\3" + make_jpeg.EOI
    yield data[:-2] + data[scan:]
    yield data[:-2] + data[data.index(b"\xff\xda") :]


@pytest.mark.parametrize("name", ["4:2:0", "4:4:4", "grey", "restarts"])
def test_whatever_is_to_be_said_of_a_file_leaves_it_to_the_whole_decoder(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where the damage lies behind the last row that is wanted."""
    left, complaints = 0, lambda: capfd.readouterr().err
    for data in damages(FILES[name]):
        view = memoryview(data)
        try:
            check_complete(view, header := read_header(view), SETTINGS)
        except BadImage:
            continue
        for rows in in_rows.patterns(header.height, len(data)):
            left += not in_rows.check(view, header, rows, complaints)
    assert left > 300


def test_four_hundred_mutations_end_no_process(capfd: pytest.CaptureFixture[str]) -> None:
    kinds = [FILES[name] for name in ("4:2:0", "4:4:4", "grey", "rgb", "restarts", "optimised")]
    tried = mutated(kinds, 400, lambda: capfd.readouterr().err)
    assert tried["in rows"] > 20
    assert tried["left"] > 100


def mutated(files: list[bytes], count: int, complaints: Callable[[], str]) -> dict[str, int]:
    """Files with some bytes changed: how many went which way. Raises AssertionError where the two ways differ."""
    tried = {"in rows": 0, "left": 0, "refused": 0}
    for seed in range(count):
        source = random.Random(seed)
        data = bytearray(files[seed % len(files)])
        for _ in range(source.choice([1, 1, 2, 8])):
            data[source.randrange(2, len(data))] = source.choice([0, 0xFF, source.randrange(256)])
        view = memoryview(bytes(data))
        try:
            check_complete(view, header := read_header(view), SETTINGS)
        except BadImage:
            tried["refused"] += 1
            continue
        rows = next(in_rows.patterns(header.height, seed))
        tried["in rows" if in_rows.check(view, header, rows, complaints) else "left"] += 1
    return tried


def large(sampling: int = SAMPLINGS["4:2:0"], width: int = 1600, height: int = 1200) -> bytes:
    return by_opencv(cv2.resize(PICTURE, (width, height), interpolation=cv2.INTER_CUBIC), sampling)


@pytest.mark.parametrize("sides", [(300,), (300, 128), (128, 300)])
@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_the_crops_are_those_of_the_picture_decoded_whole(sampling: int, sides: tuple[int, ...]) -> None:
    data = memoryview(large(sampling))
    in_some, in_all = in_rows.opened(data, read_header(data), sides, SETTINGS)
    assert in_some.pixels.size == 0
    assert in_all.pixels.shape == (1200, 1600, 3)
    for ours, whole in zip(in_some.crops, in_all.crops, strict=True):
        assert (ours.side, ours.scale) == (whole.side, whole.scale)
        assert (ours.pixels == whole.pixels).all()


@pytest.mark.parametrize(
    ("data", "sides", "options"),
    [
        (large(), (700,), {}),  # all rows but a few are looked at
        (large(), (300,), {"tiles": 4}),
        (large(), (300,), {"reach": 600}),
        (large(width=1000), (300,), {}),  # rows so short are read as quickly
        (make_jpeg.with_segments(large(), (make_jpeg.APP1, make_jpeg.exif(3))), (300,), {}),
        (make_png.png(cv2.resize(PICTURE, (1600, 1200))), (300,), {}),
        (make_jpeg.jpeg(cv2.resize(PICTURE, (1600, 1200)), progressive=True), (300,), {}),
    ],
)
def test_everything_else_is_decoded_whole(data: bytes, sides: tuple[int, ...], options: dict[str, int]) -> None:
    view = memoryview(data)
    picture = open_picture(view, read_header(view), sides, SETTINGS, to_mask=False, **options)
    assert picture.pixels.size > 0


def test_a_large_file_is_refused_or_served_as_a_small_one_would_be(gallery: Gallery) -> None:
    """In a child, behind its closed door: cut short; with stray bytes, which no pixel misses."""
    whole = large(width=3000, height=2000)
    half = len(whole) // 2
    pids = gallery.pictures.crew.pids()
    for cut in (whole[:half] + make_jpeg.EOI, whole[:half] + whole[half + 900 :], whole[:-40] + make_jpeg.EOI):
        outcome = gallery.outcome(cut)
        assert outcome.status == 400
        assert "part of its data cannot be read" in outcome.answer
    right = Letterbox.fit(3000, 2000, 640).apply(decode(memoryview(whole), read_header(memoryview(whole)))[0])
    between = whole.index(b"\xff\xdb")
    strays = whole[:between] + b"stray" + whole[between:], whole[:-2] + b"stray" + make_jpeg.EOI, whole + b"more"
    for odd in (whole, *strays):
        picture = gallery.open(odd)
        assert (picture.crops[0].pixels == right).all()
        picture.close()
    assert gallery.pictures.crew.pids() == pids


_BEHIND_THE_DOOR = """
from gateway.pictures.image_header import read_header
from gateway.pictures.picture_work import open_picture
from gateway.pictures.rehearsal import rehearse
from gateway.pictures.sandbox.door import close_door
from shared.settings import Settings
from tests.unit.pictures.test_decoded_rows import large

data = memoryview(large())
rehearse(Settings())
close_door()
print(open_picture(data, read_header(data), (300,), Settings(), to_mask=False).pixels.size)
"""


def test_rows_are_read_alone_behind_the_closed_door_too() -> None:
    command = [sys.executable, "-c", _BEHIND_THE_DOOR]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "0\n"


def test_where_libjpeg_cannot_be_called_the_picture_is_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise LibjpegError("no libjpeg.so.62")

    data = memoryview(large())
    right, _ = in_rows.opened(data, read_header(data), (300,), SETTINGS)
    monkeypatch.setattr(image_decode, "read_rows", cannot)
    whole = open_picture(data, read_header(data), (300,), SETTINGS, to_mask=False)
    assert whole.pixels.size > 0
    assert (whole.crops[0].pixels == right.crops[0].pixels).all()


def test_nothing_is_left_in_memory(capfd: pytest.CaptureFixture[str]) -> None:
    data = large()
    broken = data[: len(data) // 2] + make_jpeg.EOI
    header = read_header(memoryview(data))
    rows = Letterbox.fit(1600, 1200, 300).rows_read(1200)

    def often(count: int) -> int:
        for turn in range(count):
            in_rows.check(memoryview(broken if turn % 2 else data), header, rows, lambda: capfd.readouterr().err)
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    before = often(10)
    assert often(40) < before + 8 * MEBIBYTE


def test_jpeg_alone_has_rows_that_can_be_read_alone() -> None:
    assert reads_rows(Header("jpeg", 2000, 2000))
    for header in (
        Header("jpeg", 1000, 2000),
        Header("jpeg", 2000, 2000, cmyk=True),
        Header("jpeg", 2000, 2000, progressive=True),
        Header("jpeg", 2000, 2000, orientation=6),
        Header("jpeg", 2000, 2000, decoder="pillow"),
        Header("webp", 2000, 2000),
    ):
        assert not reads_rows(header)
