"""TIFF as scanners, cameras and Photoshop write it: what the file's own counts, order and samples come to."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.pictures import tiff_rewrite
from shared.errors import BadImage
from tests.hostile import make_tiff as make
from tests.hostile import rasters
from tests.unit.pictures.reading import Pixels, header_of, read

RGB, GREY = rasters.colours(), rasters.grey()
DEEP, DEEP_GREY = RGB.astype(np.uint16) * 257, GREY.astype(np.uint16) * 257
SMOOTH = cv2.GaussianBlur(RGB, (0, 0), 2.0)
PACKED = (make.NONE, make.ADOBE_DEFLATE, make.PACKBITS)
SUBIFDS, LARGEST, SUBSAMPLING, FILL_ORDER, OLD_SUBFILE = 330, 281, 530, 266, 255
SPOT, ALPHA, MULTIPLIED = {make.EXTRA_SAMPLES: [0]}, {make.EXTRA_SAMPLES: [2]}, {make.EXTRA_SAMPLES: [1]}
CIE_LAB, ICC_LAB, LUMA = 8, 9, 6


def three(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def without(page: make.Page, tag: int, *, order: str = "<", big: bool = False) -> bytes:
    """The file with an unknown tag in the place of one that is needed."""
    data = make.File([page], order, big).bytes()
    return data.replace(struct.pack(order + "H", tag), struct.pack(order + "H", 65_000), 1)


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("shape", [{}, {"rows": 8}, {"tile": 16}], ids=["one strip", "strips", "tiles"])
def test_strips_and_tiles_without_their_byte_counts_are_read(compression: int, shape: dict[str, int]) -> None:
    counts = make.TILE_COUNTS if "tile" in shape else make.STRIP_COUNTS
    for order, big in (("<", False), (">", False), ("<", True), (">", True)):
        page = make.page(RGB, compression=compression, order=order, **shape)  # type: ignore[arg-type]
        assert (read(without(page, counts, order=order, big=big))[0] == RGB).all()
        nothing = make.page(RGB, compression=compression, order=order, extra={counts: [0] * len(page.strips)}, **shape)  # type: ignore[arg-type]
        assert (read(make.File([nothing], order, big).bytes())[0] == RGB).all()


@pytest.mark.parametrize("count", [1, 100, 1 << 20, 0xFFFF_FFFF])
def test_a_wrong_count_of_raw_bytes_does_no_harm_where_all_of_them_are_there(count: int) -> None:
    assert (read(make.tiff(RGB, extra={make.STRIP_COUNTS: [count]}))[0] == RGB).all()
    assert (read(make.tiff(RGB, rows=8, extra={make.STRIP_COUNTS: [count] * 6}))[0] == RGB).all()


def test_raw_strips_that_run_into_one_another_are_refused() -> None:
    short = make.page(RGB, rows=8)
    short.strips = [strip[:500] for strip in short.strips]
    with pytest.raises(BadImage, match="truncated"):
        read(make.File([short]).bytes())


def test_rows_per_strip_may_be_missing_or_without_end() -> None:
    assert (read(without(make.page(RGB), make.ROWS_PER_STRIP))[0] == RGB).all()
    assert (read(make.tiff(RGB, extra={make.ROWS_PER_STRIP: [0xFFFF_FFFF]}))[0] == RGB).all()


def test_entries_are_read_in_any_order_and_of_any_type() -> None:
    page = make.page(RGB, rows=8)
    page.kinds = dict.fromkeys((make.WIDTH, make.HEIGHT, make.ROWS_PER_STRIP, make.BITS, make.STRIP_OFFSETS, make.STRIP_COUNTS), make.SHORT)  # fmt: skip
    assert (read(make.File([page]).bytes())[0] == RGB).all()
    data = bytearray(make.tiff(RGB))
    (count,) = struct.unpack_from("<H", data, 8)
    entries = [bytes(data[10 + 12 * index : 22 + 12 * index]) for index in range(count)]
    data[10 : 10 + 12 * count] = b"".join(reversed(entries))
    assert (read(bytes(data))[0] == RGB).all()


def subsampled(rgb: Pixels, across: int, down: int) -> bytes:
    """Blocks of lumas with the mean of their chromas (TIFF 6.0, section 21)."""
    luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))[:, :, [0, 2, 1]].astype(int)
    height, width = luma.shape[:2]
    full = np.pad(luma, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    blocks = full.reshape(full.shape[0] // down, down, full.shape[1] // across, across, 3).transpose(0, 2, 1, 3, 4)
    lumas = blocks[..., 0].reshape(*blocks.shape[:2], -1)
    return np.concatenate([lumas, blocks[..., 1:].mean(axis=(2, 3)).round()], axis=2).astype(np.uint8).tobytes()


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 2), (4, 4)])
@pytest.mark.parametrize("compression", [make.NONE, make.ADOBE_DEFLATE])
def test_subsampled_colours_are_counted_as_they_are_stored(across: int, down: int, compression: int) -> None:
    for picture in (SMOOTH, SMOOTH[:45, :61]):
        for rows in (len(picture), 16):
            pieces = [subsampled(picture[top : top + rows], across, down) for top in range(0, len(picture), rows)]
            tags = make.tags_of(picture, LUMA, compression) | {SUBSAMPLING: [across, down], make.ROWS_PER_STRIP: [rows]}
            packed = [zlib.compress(piece) if compression != make.NONE else piece for piece in pieces]
            data = make.File([make.Page(tags, packed)]).bytes()
            assert np.abs(read(data)[0].astype(int) - picture).mean() < 6
            with pytest.raises(BadImage):
                read(data[: -len(packed[-1]) // 4])


def apart(samples: NDArray[np.generic], photometric: int, compression: int, order: str, extra: dict[int, list[int]]) -> bytes:  # fmt: skip
    planes = [make.page(samples[:, :, index], make.BLACK_IS_ZERO, compression, order=order).strips[0] for index in range(samples.shape[2])]  # fmt: skip
    tags = {**make.tags_of(samples, photometric, compression), make.PLANAR: [2], **extra}
    return make.File([make.Page(tags, planes)], order).bytes()


INKS = np.dstack([255 - RGB, np.zeros_like(GREY)])
SAMPLES = {
    "rgb": (RGB, make.TRUE_COLOUR, {}, RGB),
    "rgb and one more": (np.dstack([RGB, GREY]), make.TRUE_COLOUR, SPOT, RGB),
    "rgb and two more": (np.dstack([RGB, GREY, GREY]), make.TRUE_COLOUR, {make.EXTRA_SAMPLES: [0, 0]}, RGB),
    "rgb and alpha": (np.dstack([RGB, GREY]), make.TRUE_COLOUR, ALPHA, RGB),
    "rgb, alpha and one more": (np.dstack([RGB, GREY, RGB[:, :, 0]]), make.TRUE_COLOUR, {make.EXTRA_SAMPLES: [2, 0]}, RGB),
    "rgb, one more and alpha": (np.dstack([RGB, RGB[:, :, 0], GREY]), make.TRUE_COLOUR, {make.EXTRA_SAMPLES: [0, 2]}, RGB),
    "grey and alpha": (np.dstack([GREY, GREY]), make.BLACK_IS_ZERO, ALPHA, three(GREY)),
    "white is zero": (np.dstack([255 - GREY, GREY]), make.WHITE_IS_ZERO, SPOT, three(GREY)),
    "inks": (INKS, make.CMYK, {}, RGB),
    "inks and a spot": (np.dstack([INKS, GREY]), make.CMYK, SPOT, RGB),
    "inks and two spots": (np.dstack([INKS, GREY, GREY]), make.CMYK, {make.EXTRA_SAMPLES: [0, 0]}, RGB),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("bits", [8, 16])
def test_samples_are_put_together_however_they_lie(name: str, compression: int, bits: int) -> None:
    eight, photometric, extra, expected = SAMPLES[name]
    samples = eight if bits == 8 else eight.astype(np.uint16) * 257
    for order in "<>":
        for shape in ({"rows": 7}, {"tile": 16}):
            data = make.tiff(samples, photometric, compression, order=order, extra=extra, **shape)
            pixels, alpha = read(data)
            assert (pixels == expected).all(), (order, shape)
            assert (alpha is not None and (alpha == GREY).all()) if "alpha" in name else alpha is None
        assert (read(apart(samples, photometric, compression, order, extra))[0] == expected).all(), order


def test_a_plane_that_is_no_colour_need_not_be_there() -> None:
    whole = make.page(GREY, make.BLACK_IS_ZERO)
    tags = {**make.tags_of(np.dstack([GREY, GREY]), make.BLACK_IS_ZERO), make.PLANAR: [2], **SPOT}
    assert (read(make.File([make.Page(tags, [*whole.strips, b""])]).bytes())[0] == three(GREY)).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_that_were_multiplied_with_their_alpha_are_divided_again(bits: int) -> None:
    most = (1 << bits) - 1
    share = GREY[:, :, None] / 255
    samples = np.dstack([(RGB * share / 255 * most).round(), GREY / 255 * most]).astype(f"u{bits // 8}")
    pixels, alpha = read(make.tiff(samples, extra=MULTIPLIED))
    seen = GREY > 30
    assert np.abs(pixels[seen].astype(int) - RGB[seen]).max() <= 255 // 30
    assert alpha is not None
    assert (alpha == GREY).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_are_added_up(dtype: type[np.unsignedinteger], order: str) -> None:
    samples = np.dstack([RGB, GREY]).astype(dtype) * dtype(257 if dtype is np.uint16 else 1)
    stored = np.diff(samples, axis=1, prepend=samples[:, :1] * dtype(0))
    data = make.tiff(stored, compression=make.ADOBE_DEFLATE, order=order, extra={**ALPHA, make.PREDICTOR: [2]})
    assert (read(data)[0] == RGB).all()


def twelve(levels: NDArray[np.integer]) -> bytes:
    flat = levels.reshape(levels.shape[0], -1)
    each = (flat[:, :, None] >> np.arange(12)[::-1]) & 1
    return np.packbits(each.reshape(len(flat), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("picture", [GREY, RGB, GREY[:, :61], RGB[:, :61]], ids=["grey", "rgb", "odd grey", "odd rgb"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_bits_a_sample_are_read(picture: Pixels, order: str) -> None:
    photometric = make.BLACK_IS_ZERO if picture.ndim == 2 else make.TRUE_COLOUR
    tags = {**make.tags_of(picture, photometric), make.BITS: [12] * (1 if picture.ndim == 2 else 3)}
    pixels, _ = read(make.File([make.Page(tags, [twelve(picture.astype(int) * 4095 // 255)])], order).bytes())
    assert np.abs(pixels.astype(int) - (three(picture) if picture.ndim == 2 else picture)).max() <= 1


def test_twelve_bits_a_sample_are_read_from_tiles() -> None:
    right = make.page(RGB, compression=make.ADOBE_DEFLATE, tile=16)
    tiles = [np.frombuffer(zlib.decompress(tile), np.uint8).reshape(16, 16, 3) for tile in right.strips]
    packed = [zlib.compress(twelve(tile.astype(int) << 4)) for tile in tiles]
    data = make.File([make.Page({**right.tags, make.BITS: [12] * 3}, packed)]).bytes()
    assert (read(data)[0] == RGB).all()


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("photometric", [make.BLACK_IS_ZERO, make.WHITE_IS_ZERO, make.TRUE_COLOUR])
def test_few_bits_in_sixteen_keep_their_look(bits: int, photometric: int) -> None:
    stored = RGB if photometric == make.TRUE_COLOUR else GREY
    most = (1 << bits) - 1
    levels = np.round(stored / 255 * most).astype(np.uint16)
    levels = most - levels if photometric == make.WHITE_IS_ZERO else levels
    pixels, _ = read(make.tiff(levels, photometric))
    assert np.abs(pixels.astype(int) - (RGB if photometric == make.TRUE_COLOUR else three(GREY))).max() <= 1


def test_fourteen_bits_in_sixteen_are_believed_where_the_file_says_so() -> None:
    levels = np.round(GREY / 255 * 16_383).astype(np.uint16)
    told, _ = read(make.tiff(levels, make.BLACK_IS_ZERO, extra={LARGEST: [16_383]}))
    assert np.abs(told.astype(int) - three(GREY)).max() <= 1
    for extra in ({}, {LARGEST: [65_535]}, {LARGEST: [9_000]}, {LARGEST: [4_095]}):
        dark, _ = read(make.tiff(levels, make.BLACK_IS_ZERO, extra=extra))
        assert np.abs(dark.astype(int) - three(GREY) // 4).max() <= 1


@pytest.mark.parametrize("photometric", [CIE_LAB, ICC_LAB])
@pytest.mark.parametrize("bits", [8, 16])
def test_lab_becomes_the_colours_it_means(photometric: int, bits: int) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    converted = ImageCms.applyTransform(Image.fromarray(SMOOTH), to_lab)
    assert converted is not None
    lab = np.frombuffer(converted.tobytes(), np.uint8).reshape(SMOOTH.shape)
    lab = lab ^ np.array([0, 128, 128], np.uint8) if photometric == ICC_LAB else lab
    data = make.tiff(lab if bits == 8 else lab.astype(np.uint16) << 8, photometric)
    assert np.abs(read(data)[0].astype(int) - SMOOTH).mean() < 1.5
    file = io.BytesIO()
    converted.save(file, "TIFF", compression="tiff_lzw")
    assert np.abs(read(file.getvalue())[0].astype(int) - SMOOTH).mean() < 1.5


def test_bits_in_the_other_order_are_turned_round() -> None:
    turned = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]
    for samples, extra in ((RGB, {}), (np.dstack([RGB, GREY]), ALPHA)):
        assert (read(make.tiff(turned[samples], extra={FILL_ORDER: [2], **extra}))[0] == RGB).all()


def test_signed_samples_are_read_where_none_is_below_zero() -> None:
    signed = {make.SAMPLE_FORMAT: [2]}
    assert (read(make.tiff(GREY, make.BLACK_IS_ZERO, extra=signed))[0] == three(GREY)).all()
    half, _ = read(make.tiff(DEEP_GREY // 2, make.BLACK_IS_ZERO, extra=signed))
    assert (half == three(GREY // 2)).all()
    with pytest.raises(BadImage, match="below zero"):
        read(make.tiff(DEEP_GREY, make.BLACK_IS_ZERO, extra=signed))


SMALL = rasters.colours(16, 12)


@pytest.mark.parametrize("flag", [{make.SUBFILE: [1]}, {OLD_SUBFILE: [2]}, {make.SUBFILE: [5]}])
def test_a_thumbnail_before_the_picture_is_passed_over(flag: dict[int, list[int]]) -> None:
    for order, big in (("<", False), (">", True)):
        pages = [make.page(SMALL, order=order, extra=flag), make.page(RGB, order=order, extra={make.ORIENTATION: [6]})]
        data = make.File(pages, order, big).bytes()
        header = header_of(data)
        assert (header.frames, header.orientation, header.upright_size) == (1, 6, (48, 64))
        assert (read(data)[0] == np.rot90(RGB, -1)).all()


def test_a_picture_behind_its_thumbnail_is_found_in_a_sub_directory() -> None:
    both = make.File([make.page(SMALL, extra={make.SUBFILE: [1], SUBIFDS: [0]}), make.page(RGB)])
    both.following = {0: 0}
    data = bytearray(both.bytes())
    second = data.rindex(struct.pack("<HHII", make.WIDTH, make.LONG, 1, 64)) - 2
    struct.pack_into("<I", data, data.index(struct.pack("<HHI", SUBIFDS, make.LONG, 1)) + 8, second)
    assert (read(bytes(data))[0] == RGB).all()


def test_a_picture_that_is_alone_is_read_though_it_calls_itself_small() -> None:
    assert (read(make.tiff(RGB, extra={make.SUBFILE: [1]}))[0] == RGB).all()


def test_pages_are_counted_without_their_thumbnails() -> None:
    thumbnail = make.page(SMALL, extra={make.SUBFILE: [1]})
    assert header_of(make.File([thumbnail, make.page(RGB), thumbnail, make.page(RGB)]).bytes()).frames == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make.tiff(RGB.astype(np.float32), extra={make.SAMPLE_FORMAT: [3] * 3}), "floating-point"),
        (make.tiff(np.dstack([INKS, GREY]), make.CMYK, extra=ALPHA), "channel for alpha"),
        (make.tiff(INKS, make.CMYK, extra={332: [2]}), "inks other than CMYK"),
        (make.tiff(RGB, 32_803), "rare kind"),
        (without(make.page(RGB), make.PHOTOMETRIC), "what its values mean"),
        (make.tiff(RGB, extra={make.BITS: [8, 16, 8]}), "different sizes"),
        (make.tiff(RGB, compression=make.ADOBE_DEFLATE, extra={make.PREDICTOR: [3]}), "predictor"),
        (make.tiff(RGB, make.CMYK), "fewer samples"),
    ],
)
def test_what_no_two_readers_show_alike_is_refused_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(BadImage, match=words):
        read(data)


def test_a_decoder_sees_one_page_and_nothing_that_is_no_pixel() -> None:
    pages = [
        make.page(SMALL, extra={make.SUBFILE: [1]}),
        make.page(RGB, rows=8, extra={make.ORIENTATION: [3], 270: [65]}),
    ]
    for order, big in (("<", False), (">", True)):
        with Image.open(io.BytesIO(tiff_rewrite.plain(memoryview(make.File(pages, order, big).bytes())))) as plain:
            assert plain.n_frames == 1  # type: ignore[attr-defined]
            assert set(plain.tag_v2) == {256, 257, 258, 259, 262, 273, 277, 278, 279, 284}  # type: ignore[attr-defined]
