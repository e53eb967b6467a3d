"""Masked pictures keep the colours that a viewer shows, however the file tells them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from gateway.pictures.headers.matrix_profile import Colours, is_nearly_srgb, matrix_profile
from tests.hostile import make_icc, make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.hostile.gallery import Gallery

SMOOTH = cv2.GaussianBlur(rasters.colours(160, 120), (0, 0), 2.0)
TEXT = make_png.chunk(b"tEXt", b"Comment\0" + bytes(2_000_000)) + make_png.chunk(b"zTXt", b"a\0\0not packed")
P3 = Colours(red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06))


def light(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """sRGB of values that are light itself (IEC 61966-2-1)."""
    value = levels / 255
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(curve * 255).astype(np.uint8)


def iccp(profile: bytes, crc: int | None = None) -> bytes:
    return make_png.chunk(b"iCCP", b"any\0\0" + zlib.compress(profile), crc=crc)


def saved(stored_as: str, profile: bytes, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, stored_as, icc_profile=profile, **options)  # type: ignore[arg-type]
    return file.getvalue()


def in_every_container(profile: bytes) -> dict[str, bytes]:
    canvas = make_webp.extended(make_webp.ICC, 160, 120)
    picture = make_webp.chunks(make_webp.webp(SMOOTH, lossless=True))[0]
    text = (make_jpeg.COM, bytes(60_000))
    return {
        "jpeg": make_jpeg.with_segments(
            make_jpeg.jpeg(SMOOTH, quality=100, subsampling=0, icc_profile=profile), *[text] * 40
        ),
        "png": make_png.png(SMOOTH, before=TEXT + iccp(profile) + TEXT, after=TEXT),
        "webp": make_webp.riff([canvas, (b"ICCP", profile), picture, (b"XMP ", bytes(2_000_000))]),
        "tiff": saved("TIFF", profile),
    }


def masked(gallery: Gallery, data: bytes) -> tuple[NDArray[np.uint8], bool]:
    """The answer's pixels, and whether its colours are those that were stored for want of a usable profile."""
    answer = gallery.mask(data, [], format="png")
    with Image.open(io.BytesIO(answer.data)) as picture:
        return np.asarray(picture), answer.as_stored


def far(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("padding", [0, 1_500_000, 6_000_000])
def test_a_profile_of_any_size_is_applied_whatever_text_stands_beside_it(gallery: Gallery, padding: int) -> None:
    for name, data in in_every_container(make_icc.linear_rgb(padding=padding)).items():
        pixels, as_stored = masked(gallery, data)
        assert far(pixels, light(SMOOTH)) < 1, name
        assert not as_stored


@pytest.mark.parametrize("words", [b"sRGB", b"sRGB IEC61966-2.1", b"Linear sRGB"])
def test_a_profile_is_judged_by_what_it_does_not_by_its_name(gallery: Gallery, words: bytes) -> None:
    pixels, _ = masked(gallery, make_png.png(SMOOTH, before=iccp(make_icc.linear_rgb(words))))
    assert far(pixels, light(SMOOTH)) < 1


def test_a_profile_that_is_srgb_moves_no_pixel(gallery: Gallery) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, data in in_every_container(profile).items():
        if name != "jpeg":
            assert (masked(gallery, data)[0] == SMOOTH).all(), name


def test_a_profile_is_read_whose_chunk_has_a_wrong_sum_since_it_has_one_of_its_own(gallery: Gallery) -> None:
    pixels, _ = masked(gallery, make_png.png(SMOOTH, before=iccp(make_icc.linear_rgb(), crc=1)))
    assert far(pixels, light(SMOOTH)) < 1


@pytest.mark.parametrize(
    "profile",
    [make_icc.linear_rgb()[:200], b"x" * 3000, make_icc.red_cyan(), make_icc.dark_grey(), make_icc.linear_rgb(padding=1 << 24)],
    ids=["cut", "noise", "inks", "grey", "beyond 16 MB"],
)  # fmt: skip
def test_a_profile_that_cannot_be_used_leaves_the_colours_and_the_answer_says_so(
    gallery: Gallery, profile: bytes
) -> None:
    pixels, as_stored = masked(gallery, make_png.png(SMOOTH, before=iccp(profile)))
    assert (pixels == SMOOTH).all()
    assert as_stored


@pytest.mark.parametrize("chunk", [b"", b"name", b"name\0\0noise", b"name\0\x01" + bytes(200)])
def test_a_profile_that_cannot_be_unpacked_leaves_the_colours_and_the_answer_says_so(
    gallery: Gallery, chunk: bytes
) -> None:
    pixels, as_stored = masked(gallery, make_png.png(SMOOTH, before=make_png.chunk(b"iCCP", chunk)))
    assert (pixels == SMOOTH).all()
    assert as_stored


def gama(gamma: float) -> bytes:
    return make_png.chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma)))


def chrm(colours: Colours) -> bytes:
    points = [colours.white, colours.red, colours.green, colours.blue]
    return make_png.chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for point in points for value in point)))


def test_gamma_and_primaries_in_numbers_are_applied_as_browsers_do(gallery: Gallery) -> None:
    linear, _ = masked(gallery, make_png.png(SMOOTH, before=gama(1.0)))
    assert far(linear, light(SMOOTH)) < 1
    wide, _ = masked(gallery, make_png.png(SMOOTH, before=gama(2.2) + chrm(P3)))
    by_profile, _ = masked(gallery, make_png.png(SMOOTH, before=iccp(matrix_profile(P3))))
    assert far(wide, SMOOTH) > 2
    assert (wide == by_profile).all()


def cicp(*codes: int) -> bytes:
    return make_png.chunk(b"cICP", bytes(codes))


def test_colours_named_by_code_points_come_before_all_else(gallery: Gallery) -> None:
    other = make_png.chunk(b"sRGB", b"\0") + gama(1.0)
    coded, _ = masked(gallery, make_png.png(SMOOTH, before=cicp(12, 13, 0, 1) + other))
    by_profile, _ = masked(gallery, make_png.png(SMOOTH, before=iccp(matrix_profile(replace(P3, gamma=None)))))
    assert far(coded, SMOOTH) > 2
    assert (coded == by_profile).all()
    plain, as_stored = masked(gallery, make_png.png(SMOOTH, before=cicp(1, 13, 0, 1) + gama(1.0)))
    assert (plain == SMOOTH).all()
    assert not as_stored


@pytest.mark.parametrize(
    "codes", [(9, 16, 0, 1), (9, 18, 0, 1), (1, 13, 1, 1), (1, 13, 0, 0), (12, 13), (200, 13, 0, 1)]
)
def test_code_points_that_srgb_cannot_show_leave_the_colours_and_the_answer_says_so(
    gallery: Gallery, codes: tuple[int, ...]
) -> None:
    pixels, as_stored = masked(gallery, make_png.png(SMOOTH, before=cicp(*codes)))
    assert (pixels == SMOOTH).all()
    assert as_stored


@pytest.mark.parametrize(
    "before",
    [
        gama(2.2),
        gama(2.2) + chrm(Colours()),
        make_png.chunk(b"sRGB", b"\0") + gama(1.0),
        make_png.chunk(b"gAMA", struct.pack(">I", 100_000), crc=1),
        make_png.chunk(b"gAMA", bytes(4)),
        make_png.chunk(b"cHRM", b"short"),
    ],
    ids=["gamma of sRGB", "all of sRGB", "said to be sRGB", "wrong sum", "zero", "short"],
)
def test_numbers_that_are_srgbs_or_none_move_no_pixel(gallery: Gallery, before: bytes) -> None:
    pixels, as_stored = masked(gallery, make_png.png(SMOOTH, before=before))
    assert (pixels == SMOOTH).all()
    assert not as_stored


def test_numbers_that_are_no_colours_make_no_profile() -> None:
    flat = Colours(red=(0.3, 0.3), green=(0.3, 0.3), blue=(0.3, 0.3))
    for colours in (flat, Colours(white=(0.3, 0.0)), Colours(gamma=1000), Colours(gamma=0.001)):
        assert matrix_profile(colours) == b""
    assert is_nearly_srgb(Colours())
    assert not is_nearly_srgb(P3)


def test_grey_with_a_profile_for_colours_goes_through_it(gallery: Gallery) -> None:
    grey = rasters.grey(160, 120)
    pixels, _ = masked(gallery, make_png.png(grey, make_png.GREY, before=iccp(make_icc.linear_rgb())))
    assert far(pixels, light(np.repeat(grey[:, :, None], 3, axis=2))) < 1


def test_inks_with_a_profile_for_colours_keep_their_plain_colours(gallery: Gallery) -> None:
    inks = np.dstack([255 - SMOOTH, np.zeros_like(SMOOTH[:, :, 0])])
    plain, _ = masked(gallery, make_tiff.tiff(inks, make_tiff.CMYK))
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "TIFF", icc_profile=make_icc.linear_rgb())
    pixels, as_stored = masked(gallery, file.getvalue())
    assert (pixels == plain).all()
    assert as_stored
