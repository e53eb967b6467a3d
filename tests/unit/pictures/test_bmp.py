"""BMP of every header, every mask and every packing, read to the pixels that were stored."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from gateway.pictures.image_header import read_header
from shared.errors import BadImage
from tests.hostile import make_bmp as make
from tests.hostile import make_icc, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.reading import Pixels, read

RGB, GREY = rasters.colours(), rasters.grey()
BGR = np.ascontiguousarray(RGB[:, :, ::-1])
INDEXED, PALETTE = rasters.indexed()
#: Header sizes that can hold masks; 40 keeps them behind itself.
HEADERS = (40, 52, 56, 108, 124)


def packed(masks: tuple[int, ...], bits: int, *, top_down: bool = False) -> bytes:
    """Red, green, blue and what else of RGB and GREY as the masks have them."""
    channels = [RGB[:, :, 0], RGB[:, :, 1], RGB[:, :, 2], GREY]
    values = np.zeros(RGB.shape[:2], np.uint64)
    for mask, channel in zip(masks, channels, strict=False):
        if mask:
            low = (mask & -mask).bit_length() - 1
            values |= np.round(channel / 255 * (mask >> low)).astype(np.uint64) << np.uint64(low)
    rows = values.astype(f"<u{bits // 8}")
    return b"".join(row.tobytes().ljust(-(-row.nbytes // 4) * 4, b"\0") for row in (rows if top_down else rows[::-1]))


def steps(masks: tuple[int, ...]) -> int:
    """How far a channel of so few bits may be from what it was."""
    return 128 // min((mask >> (mask & -mask).bit_length() - 1) for mask in masks[:3]) + 1


MASKS_32 = {
    "xrgb": (0xFF0000, 0xFF00, 0xFF), "xbgr": (0xFF, 0xFF00, 0xFF0000), "rgbx": (0xFF000000, 0xFF0000, 0xFF00),
    "bgrx": (0xFF00, 0xFF0000, 0xFF000000), "grbx": (0xFF0000, 0xFF000000, 0xFF00), "10 bits": (0x3FF00000, 0xFFC00, 0x3FF),
    "11, 11, 10": (0xFFE00000, 0x1FFC00, 0x3FF), "5, 6, 5": (0xF800, 0x7E0, 0x1F),
}  # fmt: skip
MASKS_16 = {
    "5, 6, 5": (0xF800, 0x7E0, 0x1F), "5, 5, 5": (0x7C00, 0x3E0, 0x1F), "4, 4, 4": (0xF00, 0xF0, 0xF), "blue first": (0x1F, 0x7E0, 0xF800),
    "5, 5, 5 left": (0xF800, 0x7C0, 0x3E),
}  # fmt: skip


@pytest.mark.parametrize("header_bytes", HEADERS)
@pytest.mark.parametrize(("bits", "name"), [(32, name) for name in MASKS_32] + [(16, name) for name in MASKS_16])
def test_masks_in_any_order_are_read_under_any_header(header_bytes: int, bits: int, name: str) -> None:
    masks = MASKS_32[name] if bits == 32 else MASKS_16[name]
    for height in (48, -48):
        body = packed(masks, bits, top_down=height < 0)
        options = {"compression": make.BITFIELDS, "masks": masks, "header_bytes": header_bytes}
        pixels, alpha = read(make.bmp(64, height, bits, body, **options))  # type: ignore[arg-type]
        assert np.abs(pixels.astype(int) - RGB).max() <= steps(masks)
        assert alpha is None


@pytest.mark.parametrize("header_bytes", [56, 108, 124])
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
    ],
)
def test_a_mask_for_alpha_is_alpha_unless_nothing_would_be_seen(
    header_bytes: int, bits: int, masks: tuple[int, int, int, int]
) -> None:
    options = {"compression": make.BITFIELDS, "masks": masks, "header_bytes": header_bytes}
    pixels, alpha = read(make.bmp(64, 48, bits, packed(masks, bits), **options))  # type: ignore[arg-type]
    assert np.abs(pixels.astype(int) - RGB).max() <= steps(masks)
    assert alpha is not None
    assert np.abs(alpha.astype(int) - GREY).max() <= steps(masks)
    assert read(make.bmp(64, 48, bits, packed(masks[:3], bits), **options))[1] is None  # type: ignore[arg-type]


def test_sixteen_and_thirty_two_bits_without_masks_are_read_as_they_are_meant() -> None:
    for header_bytes in (40, 108, 124):
        five, _ = read(make.bmp(64, 48, 16, packed((0x7C00, 0x3E0, 0x1F), 16), header_bytes=header_bytes))
        assert np.abs(five.astype(int) - RGB).max() <= 5
        assert (five == 255).any()
        eight, alpha = read(make.bmp(64, 48, 32, packed((0xFF0000, 0xFF00, 0xFF, 0xFF000000), 32), header_bytes=header_bytes))  # fmt: skip
        assert (eight == RGB).all()
        assert alpha is None


@pytest.mark.parametrize("masks", [(0xFF, 0xFF, 0xFF), (0x0F0F_0F0F, 0, 1), (0xFF00FF, 0xFF00, 0)])
def test_masks_that_overlap_or_have_gaps_are_refused(masks: tuple[int, int, int]) -> None:
    with pytest.raises(BadImage, match="overlap or have gaps"):
        read(make.bmp(64, 48, 32, bytes(64 * 48 * 4), compression=make.BITFIELDS, masks=masks))


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("header_bytes", [12, 40, 64, 108, 124])
def test_palettes_of_any_size_are_read_under_any_header(bits: int, header_bytes: int) -> None:
    used = 1 << bits if bits < 8 else 16
    places = INDEXED % used
    for count in {used, used - 1, 3, 2} - {0, 1}:
        shown = np.vstack([PALETTE[:count], np.zeros((256, 3), np.uint8)])[places]
        data = make.bmp(64, 48, bits, make.rows(places, bits), palette=PALETTE[:count], header_bytes=header_bytes)
        assert (read(data)[0] == shown).all(), count


def test_what_the_header_says_of_sizes_is_not_needed() -> None:
    data = bytearray(make.bmp(64, 48, 24, make.rows(BGR, 24)))
    for place in (2, 34):  # of the file, of the pixels
        for size in (0, 1, 0xFFFF_FFFF):
            struct.pack_into("<I", data, place, size)
            assert (read(bytes(data))[0] == RGB).all()


def test_a_gap_before_the_pixels_and_bytes_behind_them_do_no_harm() -> None:
    data = make.bmp(64, 48, 24, bytes(100) + make.rows(BGR, 24) + bytes(77), offset=154)
    assert (read(data)[0] == RGB).all()


@pytest.mark.parametrize("bits", [8, 24])
def test_the_padding_of_the_last_row_may_be_missing_and_no_more(bits: int) -> None:
    for width in (61, 62, 63):
        picture = RGB[:, :width] if bits == 24 else PALETTE[INDEXED[:, :width]]
        body = make.rows(BGR[:, :width] if bits == 24 else INDEXED[:, :width], bits)
        padding = -(width * bits // 8) % 4
        data = make.bmp(width, 48, bits, body[:-padding], palette=PALETTE if bits == 8 else None)
        assert (read(data)[0] == picture).all()
        with pytest.raises(BadImage, match="truncated"):
            read(data[:-1])


def runs(places: Pixels, *, padded: int = 0) -> bytes:
    """Run-length data; padded: how many pixels each row goes on behind its end, as some programs write it."""
    return make.rle8(np.pad(places, ((0, 0), (0, padded))))


def rle(width: int, body: bytes, bits: int = 8) -> bytes:
    packing = make.RLE8 if bits == 8 else make.RLE4
    return make.bmp(width, 48, bits, body, palette=PALETTE, compression=packing)


def test_run_lengths_are_unpacked() -> None:
    for body in (runs(INDEXED), make.rle8_absolute(INDEXED), runs(INDEXED)[:-2]):
        assert (read(rle(64, body))[0] == PALETTE[INDEXED]).all()
    assert (read(rle(61, runs(INDEXED[:, :61], padded=3)))[0] == PALETTE[INDEXED[:, :61]]).all()


def test_what_run_lengths_leave_out_is_the_first_colour() -> None:
    body = b"\x40\x05\0\0" + b"\0\2\x10\x2e" + b"\x10\x07" + b"\0\1"
    expected = np.zeros((48, 64), np.uint8)
    expected[47], expected[0, 16:32] = 5, 7
    assert (read(rle(64, body))[0] == PALETTE[expected]).all()


@pytest.mark.parametrize(
    "body", [b"\x41\x05\0\1", b"\0\0" * 49 + b"\x01\x05\0\1", b"\0\2\x50\x2f\0\1", b"\0\2\0\x80\0\1"]
)
def test_run_lengths_that_leave_the_picture_are_refused(body: bytes) -> None:
    with pytest.raises(BadImage, match="leaves the picture"):
        read(rle(64, body))


@pytest.mark.parametrize("body", [b"\0\1", runs(INDEXED[24:]), runs(INDEXED)[:-3], runs(INDEXED)[:-6], b"\0\xff\1"])
def test_run_lengths_that_end_too_early_are_refused(body: bytes) -> None:
    with pytest.raises(BadImage, match="truncated"):
        read(rle(64, body))


def test_nibbles_run_too() -> None:
    row = b"\x40\x5a\0\0"
    expected = np.tile(np.array([5, 10], np.uint8), (48, 32))
    assert (read(rle(64, row * 48 + b"\0\1", 4))[0] == PALETTE[expected]).all()
    absolute = b"\0\x05\x12\x34\x50\0" + b"\x3b\0\0\0"
    expected = np.tile(np.array([1, 2, 3, 4, 5] + [0] * 59, np.uint8), (48, 1))
    assert (read(rle(64, absolute * 48 + b"\0\1", 4))[0] == PALETTE[expected]).all()


@pytest.mark.parametrize("bits", [1, 4, 8, 24, 32])
def test_ordinary_files_are_read_as_opencv_and_pillow_read_them(bits: int) -> None:
    samples = {24: BGR, 32: np.dstack([BGR, GREY])}.get(bits, INDEXED & np.uint8((1 << min(bits, 8)) - 1))
    data = make.bmp(64, 48, bits, make.rows(samples, bits), palette=PALETTE if bits <= 8 else None)
    reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert reference is not None
    pixels, _ = read(data)
    assert (pixels[:, :, ::-1] == reference).all()
    with Image.open(io.BytesIO(data)) as picture:
        assert (pixels == np.asarray(picture.convert("RGB"))).all()


def test_an_embedded_profile_is_applied(gallery: Gallery) -> None:
    profile = make_icc.swapped_rgb()
    head = bytearray(make.bmp(64, 48, 24, make.rows(BGR, 24) + profile, header_bytes=124))
    head[70:74] = b"DEBM"
    struct.pack_into("<II", head, 126, len(head) - 14 - len(profile), len(profile))
    data = bytes(head)
    assert read_header(memoryview(data)).icc == len(profile)
    answer = gallery.mask(data, [], format="png")
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert np.abs(np.asarray(picture).astype(int) - RGB[:, :, ::-1]).mean() < 12
    assert not answer.as_stored
