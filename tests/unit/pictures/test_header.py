"""What the header walk finds, and what it refuses before anything is decoded."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import SIDE_MAX, read_header
from shared.errors import BadImage, TooLarge
from tests.hostile import make_bmp, make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.unit.pictures.reading import header_of, read

COLOURS = rasters.colours()
RIGHT = {
    "jpeg": make_jpeg.jpeg(COLOURS),
    "png": make_png.png(COLOURS),
    "webp": make_webp.webp(COLOURS),
    "bmp": make_bmp.bmp(64, 48, 24, make_bmp.rows(COLOURS[:, :, ::-1], 24)),
    "tiff": make_tiff.tiff(COLOURS),
}


@pytest.mark.parametrize("stored_as", RIGHT)
def test_the_format_comes_from_the_bytes_and_the_size_from_the_header(stored_as: str) -> None:
    header = header_of(RIGHT[stored_as])
    assert (header.format, header.width, header.height) == (stored_as, 64, 48)
    assert (header.frames, header.orientation, header.bits) == (1, 1, 8)


@pytest.mark.parametrize("other", [b"", b"GIF89a" + bytes(100), b"not a picture", bytes(1000)])
def test_any_other_format_is_refused_and_the_accepted_ones_are_named(other: bytes) -> None:
    with pytest.raises(BadImage, match="JPEG, PNG, WebP, BMP, TIFF, HEIC or AVIF"):
        read_header(memoryview(other))


def test_the_pixel_limit_holds_at_the_limit_and_one_past_it() -> None:
    at, past = make_png.zeros(100, 50, make_png.GREY, 1), make_png.zeros(100, 51, make_png.GREY, 1)
    header_of(at, max_pixels=5000)
    with pytest.raises(TooLarge, match="100×51 pixels; at most 5,000"):
        header_of(past, max_pixels=5000)


@pytest.mark.parametrize("turned", [False, True])
def test_no_side_is_longer_than_decoders_read(*, turned: bool) -> None:
    for side, accepted in ((SIDE_MAX, True), (SIDE_MAX + 1, False)):
        data = make_png.zeros(*((10, side) if turned else (side, 10)), make_png.GREY, 1)
        if accepted:
            header = header_of(data)
            assert decode(memoryview(data), header)[0].shape == (header.height, header.width, 3)
        else:
            with pytest.raises(TooLarge, match="at most 1,000,000 a side"):
                header_of(data)


def test_the_least_side_holds_at_the_limit_and_one_below_it() -> None:
    header_of(make_png.png(rasters.colours(10, 10)))
    for size in ((9, 10), (10, 9)):
        with pytest.raises(BadImage, match="at least 10×10"):
            header_of(make_png.png(rasters.colours(*size)))


def test_decoded_bytes_are_counted_not_only_pixels() -> None:
    deep = make_png.zeros(1000, 1000, make_png.RGBA, 16)
    assert header_of(deep).decoded_bytes == 8_000_000
    header_of(make_png.zeros(362, 362, make_png.RGBA, 16), max_decoded_bytes=1 << 20)
    with pytest.raises(TooLarge, match="8 bits per sample"):
        header_of(make_png.zeros(363, 363, make_png.RGBA, 16), max_decoded_bytes=1 << 20)


def test_tiles_count_with_all_they_cover() -> None:
    huge = make_tiff.tiff(COLOURS, tile=16, extra={make_tiff.TILE_WIDTH: [1 << 16], make_tiff.TILE_HEIGHT: [1 << 16]})
    with pytest.raises(TooLarge):
        header_of(huge)


@pytest.mark.parametrize(("scans", "accepted"), [(99, True), (100, False)])
def test_a_jpeg_may_have_a_hundred_scans_and_no_more(scans: int, accepted: bool) -> None:  # and one for DC
    bomb = make_jpeg.scan_bomb(64, 64, scans)
    if accepted:
        read(bomb)
    else:
        with pytest.raises(BadImage, match="more than 100 scans"):
            read(bomb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_in_both_byte_orders(orientation: int, order: str) -> None:
    block = make_jpeg.exif(orientation, order)
    header = header_of(make_jpeg.with_segments(RIGHT["jpeg"], (make_jpeg.APP1, block)))
    assert header.orientation == orientation
    assert header.upright_size == ((48, 64) if orientation >= 5 else (64, 48))


def test_limits_of_the_sides_hold_for_stored_and_upright_alike() -> None:
    tall = make_jpeg.with_segments(make_jpeg.jpeg(rasters.colours(9, 100)), (make_jpeg.APP1, make_jpeg.exif(6)))
    with pytest.raises(BadImage, match="at least"):
        header_of(tall)


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (make_png.animated([COLOURS, 255 - COLOURS]), 2),
        (make_png.animated([COLOURS, 255 - COLOURS, COLOURS], count=1), 3),
        (make_png.animated([COLOURS]), 1),
        (make_png.animated([COLOURS, COLOURS], hidden_default=True), 2),
        (make_webp.animated([COLOURS, 255 - COLOURS]), 2),
        (make_tiff.File([make_tiff.page(COLOURS)] * 3).bytes(), 3),
        (make_tiff.File([make_tiff.page(COLOURS)] * 2, big=True).bytes(), 2),
    ],
)
def test_animations_and_pages_are_counted(data: bytes, frames: int) -> None:
    assert header_of(data).frames == frames


def test_a_smaller_version_of_the_same_picture_is_no_page() -> None:
    thumbnail = make_tiff.page(rasters.colours(16, 12), extra={make_tiff.SUBFILE: [1]})
    assert header_of(make_tiff.File([make_tiff.page(COLOURS), thumbnail]).bytes()).frames == 1


def test_the_second_picture_of_a_phones_jpeg_is_no_frame() -> None:
    assert header_of(RIGHT["jpeg"] + RIGHT["jpeg"]).frames == 1


def test_a_webp_whose_sizes_disagree_is_refused() -> None:
    picture = make_webp.chunks(RIGHT["webp"])[0]
    with pytest.raises(BadImage, match="two different sizes"):
        header_of(make_webp.riff([make_webp.extended(0, 63, 48), picture]))


def test_a_webp_of_two_pictures_or_two_sizes_is_refused() -> None:
    canvas, picture = make_webp.extended(0, 64, 48), make_webp.chunks(RIGHT["webp"])[0]
    for parts, words in (([canvas, picture, picture], "two pictures"), ([canvas, canvas, picture], "size twice")):
        with pytest.raises(BadImage, match=words):
            header_of(make_webp.riff(parts))


def test_what_lies_behind_a_webp_does_not_fill_its_gaps() -> None:
    kind, payload = make_webp.chunks(make_webp.webp(rasters.noise(64, 48)))[0]
    for missing in range(10, 1000, 100):
        with pytest.raises(BadImage):
            read(make_webp.riff([(kind, payload[:-missing])]) + payload[-missing:])


def test_a_tiff_whose_directories_run_in_a_circle_is_refused() -> None:
    with pytest.raises(BadImage, match="circle"):
        header_of(make_tiff.File([make_tiff.page(COLOURS)], following={0: 8}).bytes())


@pytest.mark.parametrize("stored_as", RIGHT)
def test_a_file_cut_anywhere_is_refused(stored_as: str) -> None:
    data = RIGHT[stored_as]
    for place in np.linspace(1, len(data) - 1, 60).astype(int):
        with pytest.raises((BadImage, TooLarge)):
            read(data[:place])


def test_a_checksum_that_does_not_fit_is_refused() -> None:
    data = bytearray(RIGHT["png"])
    data[60] ^= 1
    with pytest.raises(BadImage, match="checksum"):
        read(bytes(data))


ANCILLARY = (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"bKGD", b"sBIT", b"hIST", b"eXIf",
             b"sPLT", b"tRNS", b"prIv", b"acTL")  # fmt: skip


@pytest.mark.parametrize("kind", ANCILLARY)
def test_a_png_is_read_whatever_the_checksum_of_a_chunk_without_pixels(kind: bytes) -> None:
    wrong = make_png.chunk(kind, b"\0\0\0\1\0\0", crc=1)
    for data in (make_png.png(COLOURS, before=wrong), make_png.png(COLOURS, after=wrong)):
        pixels, alpha = read(data)
        assert (pixels == COLOURS).all()
        assert alpha is None


@pytest.mark.parametrize("crc", [None, 1])
def test_a_png_is_turned_by_its_exif_whatever_its_checksum(crc: int | None) -> None:
    block = make_png.chunk(b"eXIf", make_jpeg.exif(6)[6:], crc=crc)
    assert header_of(make_png.png(COLOURS, before=block)).orientation == 6


def test_a_png_whose_picture_data_is_interrupted_is_refused() -> None:
    body = make_png.parts(RIGHT["png"])[1][1]
    parts = (body[:500], body[500:])
    text = make_png.chunk(b"tEXt", b"a\0b")
    first, second = (make_png.chunk(b"IDAT", part) for part in parts)
    with pytest.raises(BadImage, match="interrupted"):
        read(make_png.file(make_png.header(64, 48), first, text, second, make_png.chunk(b"IEND", b"")))
    empty = make_png.chunk(b"IDAT", b"")
    read(make_png.file(make_png.header(64, 48), empty, first, empty, second, empty, text, make_png.chunk(b"IEND", b"")))


def test_a_bmp_without_all_its_rows_is_refused() -> None:
    short = RIGHT["bmp"][:-1]
    with pytest.raises(BadImage, match="truncated"):
        read(short)


def test_huge_offsets_are_refused_not_an_overflow() -> None:
    far = struct.pack("<2sHHHQ", b"II", 43, 8, 0, (1 << 64) - 1)
    with pytest.raises(BadImage):
        read_header(memoryview(far))
