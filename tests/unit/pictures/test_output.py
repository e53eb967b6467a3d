"""The picture that goes out: its format, its colours, its transparency, and nothing that came in beside the pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures.encode import encode
from shared.errors import BadImage, BadParameter
from tests.hostile import make_icc, make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.reading import seen_upright
from tests.unit.pictures.test_colours import SMOOTH, saved

SHEER = np.dstack([SMOOTH, rasters.grey(160, 120)])
SECRET = b"the place was 52.5200 N 13.4050 E"


def seen(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3 or 4) as an ordinary viewer reads it."""
    with Image.open(io.BytesIO(data)) as picture:
        assert not picture.getexif()
        assert "icc_profile" not in picture.info
        return np.asarray(picture)


def masked(gallery: Gallery, data: bytes, boxes: list[list[float]] | None = None, **options: object) -> bytes:
    return bytes(gallery.mask(data, boxes or [], **{"format": "png", **options}).data)


@pytest.mark.parametrize(
    ("output", "media"), [("jpeg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp"), ("avif", "image/avif")]
)
def test_each_format_is_what_it_says(gallery: Gallery, output: str, media: str) -> None:
    answer = gallery.mask(make_png.png(SMOOTH), [[20, 20, 60, 60]], format=output)
    with Image.open(io.BytesIO(answer.data)) as picture:
        assert picture.get_format_mimetype() == answer.media_type == media
        assert picture.size == (160, 120)
        assert getattr(picture, "n_frames", 1) == 1


def test_without_a_face_the_picture_comes_back_as_it_was(gallery: Gallery) -> None:
    assert (seen(masked(gallery, make_png.png(SMOOTH))) == SMOOTH).all()


def test_outside_the_face_a_lossless_answer_is_untouched(gallery: Gallery) -> None:
    answer = seen(masked(gallery, make_png.png(SMOOTH), [[40, 30, 80, 70]], padding=0.25))
    changed = (answer != SMOOTH).any(axis=2)
    assert changed[20:80, 30:90].mean() > 0.9
    changed[20:80, 30:90] = False
    assert not changed.any()


def test_more_quality_takes_more_bytes(gallery: Gallery) -> None:
    for output in ("jpeg", "webp", "avif"):
        sizes = [len(masked(gallery, make_png.png(SMOOTH), format=output, quality=quality)) for quality in (1, 50, 95)]
        assert sizes[0] < sizes[1] < sizes[2]


def test_a_picture_longer_than_a_format_can_hold_is_refused_with_words(gallery: Gallery) -> None:
    longest, longer = make_png.zeros(16_383, 10, make_png.RGB, 8), make_png.zeros(16_384, 10, make_png.RGB, 8)
    assert seen(masked(gallery, longest, format="webp")).shape[:2] == (10, 16_383)
    with pytest.raises(BadParameter, match="webp holds at most 16,383 pixels a side and the picture is 16384×10"):
        masked(gallery, longer, format="webp")
    assert seen(masked(gallery, longer, format="png")).shape[:2] == (10, 16_384)
    with pytest.raises(BadParameter, match="65,500"):
        masked(gallery, make_png.zeros(65_501, 10, make_png.GREY, 8), format="jpeg")


@pytest.mark.parametrize(
    "data",
    [
        make_png.png(SHEER, make_png.RGBA),
        make_webp.webp(SHEER, lossless=True, exact=True),
        make_tiff.tiff(SHEER, extra={make_tiff.EXTRA_SAMPLES: [2]}),
    ],
    ids=["png", "webp", "tiff"],
)
def test_alpha_is_kept_for_png_and_webp_and_composed_on_white_for_jpeg(gallery: Gallery, data: bytes) -> None:
    assert (seen(masked(gallery, data)) == SHEER).all()
    webp = seen(masked(gallery, data, format="webp", quality=100))
    assert (webp[:, :, 3] == SHEER[:, :, 3]).all()
    on_white = SMOOTH * (SHEER[:, :, 3:] / 255) + 255 * (1 - SHEER[:, :, 3:] / 255)
    jpeg = seen(masked(gallery, data, format="jpeg", quality=100))
    assert jpeg.shape == (120, 160, 3)
    assert np.abs(jpeg - on_white).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_into_the_pixels(gallery: Gallery, orientation: int) -> None:
    block = make_jpeg.exif(orientation)[6:]
    answer = seen(masked(gallery, make_png.png(SMOOTH, before=make_png.chunk(b"eXIf", block))))
    assert (answer == seen_upright(SMOOTH, orientation)).all()


def with_everything() -> dict[str, bytes]:
    """The secret in every corner where programs put things that are no pixels."""
    jpeg = make_jpeg.jpeg(SMOOTH)
    thumbnail = make_jpeg.with_segments(make_jpeg.jpeg(SMOOTH[::4, ::4]), (make_jpeg.COM, SECRET))
    xmp, iptc = b"http://ns.adobe.com/xap/1.0/\0" + SECRET, b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + SECRET
    text, block = make_png.chunk(b"tEXt", b"Comment\0" + SECRET), make_jpeg.exif(1, thumbnail=SECRET)[6:]
    canvas = make_webp.extended(make_webp.EXIF | make_webp.XMP | make_webp.ICC, 160, 120)
    picture = make_webp.chunks(make_webp.webp(SMOOTH))[0]
    return {
        "jpeg": make_jpeg.with_segments(
            jpeg,
            (make_jpeg.APP1, make_jpeg.exif(1, thumbnail=thumbnail, gps=True)),
            (make_jpeg.APP1, xmp),
            (make_jpeg.APP0, b"JFXX\0\x10" + thumbnail),
            (make_jpeg.APP2, b"MPF\0" + SECRET),
            (make_jpeg.APP13, iptc),
            (make_jpeg.COM, SECRET),
            (0xE5, SECRET),
        )
        + make_jpeg.with_segments(jpeg, (make_jpeg.COM, SECRET)) + SECRET,
        "png": make_png.png(SMOOTH, before=text + make_png.chunk(b"eXIf", block), after=text) + SECRET,
        "webp": make_webp.riff([canvas, (b"ICCP", SECRET), picture, (b"EXIF", block + SECRET), (b"XMP ", SECRET)]) + SECRET,
        "tiff": make_tiff.tiff(SMOOTH, extra={270: list(SECRET)}) + SECRET,
    }  # fmt: skip


@pytest.mark.parametrize("stored_as", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("output", ["jpeg", "png", "webp"])
def test_nothing_but_pixels_goes_out(gallery: Gallery, stored_as: str, output: str) -> None:
    answer = masked(gallery, with_everything()[stored_as], format=output)
    assert SECRET not in answer
    assert SECRET[:12] not in answer
    if output == "jpeg":
        segments, rest = make_jpeg.split(answer)
        assert {marker for marker, _payload in segments} <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
        assert rest.endswith(make_jpeg.EOI)
        assert rest.count(make_jpeg.SOI) == 0
    elif output == "png":
        assert {kind for kind, _payload in make_png.parts(answer)} == {b"IHDR", b"IDAT", b"IEND"}
    else:
        assert {kind for kind, _payload in make_webp.chunks(answer)} <= {b"VP8 ", b"VP8X", b"ALPH"}
        assert struct.unpack_from("<I", answer, 4)[0] + 8 == len(answer)


def test_a_colour_profile_becomes_srgb_in_the_answer_alone(gallery: Gallery) -> None:
    profile = make_icc.swapped_rgb()
    files = {
        "jpeg": make_jpeg.jpeg(SMOOTH, quality=100, subsampling=0, icc_profile=profile),
        "png": saved("PNG", profile),
        "webp": saved("WEBP", profile, lossless=True),
        "tiff": saved("TIFF", profile),
    }
    for name, data in files.items():
        answer = seen(masked(gallery, data)).astype(int)
        assert np.abs(answer - SMOOTH[:, :, ::-1]).mean() < 12, name
        picture = gallery.open(data, sides=(160,))
        assert np.abs(picture.crops[0].pixels[:, :, ::-1].astype(int) - SMOOTH).mean() < 3, name
        picture.close()


def test_a_grey_profile_is_applied_to_grey(gallery: Gallery) -> None:
    grey = rasters.grey(160, 120)
    answer = seen(masked(gallery, make_jpeg.jpeg(grey, icc_profile=make_icc.dark_grey(), quality=100)))
    middle = (grey > 100) & (grey < 160)
    assert answer[middle].mean() < grey[middle].mean() - 25


def test_inks_go_through_their_profile(gallery: Gallery) -> None:
    inks = np.zeros((120, 160, 4), np.uint8)
    inks[:, 80:, 0] = 255
    data = make_jpeg.jpeg(inks, "CMYK", icc_profile=make_icc.red_cyan(), quality=100)
    answer = seen(masked(gallery, data))
    assert (answer[60, 20] > 240).all()
    assert answer[60, 140, 0] > 200
    assert answer[60, 140, 2] < 80


@pytest.mark.parametrize("profile", [b"x" * 3000, b"", make_icc.swapped_rgb()[:200], make_icc.red_cyan()])
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(gallery: Gallery, profile: bytes) -> None:
    assert (seen(masked(gallery, saved("PNG", profile))) == SMOOTH).all()


def test_a_solid_colour_is_exact_whatever_the_profile(gallery: Gallery) -> None:
    data = saved("PNG", make_icc.swapped_rgb())
    answer = seen(masked(gallery, data, [[40, 30, 80, 70]], method="solid", color="#1080f0"))
    assert (answer[35:65, 45:75] == (0x10, 0x80, 0xF0)).all()


@pytest.mark.parametrize(
    "data",
    [
        make_png.animated([SMOOTH, SMOOTH]),
        make_webp.animated([SMOOTH, 255 - SMOOTH]),
        make_tiff.File([make_tiff.page(SMOOTH)] * 2).bytes(),
    ],
    ids=["png", "webp", "tiff"],
)
def test_files_of_several_pictures_are_refused_for_masking_and_read_for_detection(
    gallery: Gallery, data: bytes
) -> None:
    with pytest.raises(BadImage, match="holds 2 pictures"):
        gallery.open(data, to_mask=True)
    picture = gallery.open(data)
    assert picture.facts.frames == 2
    picture.close()


def test_a_partly_transparent_picture_is_looked_at_twice_for_masking(gallery: Gallery) -> None:
    drawn_by_alpha = np.dstack([np.zeros_like(SMOOTH), rasters.grey(160, 120)])
    picture = gallery.open(make_png.png(drawn_by_alpha, make_png.RGBA), sides=(160, 64), to_mask=True)
    assert [crop.side for crop in picture.crops] == [160, 64, 160, 64]
    assert not picture.crops[0].pixels.any()
    assert np.abs(picture.crops[2].pixels[:, :, 0].astype(int) - (255 - rasters.grey(160, 120))).max() <= 1
    picture.close()
    opaque = np.dstack([SMOOTH, np.full(SMOOTH.shape[:2], 255, np.uint8)])
    picture = gallery.open(make_png.png(opaque, make_png.RGBA), sides=(160, 64), to_mask=True)
    assert len(picture.crops) == 2
    picture.close()


def test_a_weak_mask_says_so_and_can_be_refused() -> None:
    with_header, strict = Gallery(), Gallery(refuse_weak_masks=True)
    try:
        data, face = make_png.png(SMOOTH), [[10.0, 10.0, 110.0, 110.0]]
        assert with_header.mask(data, face, strength=21).weak
        assert not with_header.mask(data, face).weak
        with pytest.raises(BadParameter, match="strength=21 is weak"):
            strict.mask(data, face, strength=21)
        assert not strict.mask(data, face, strength=199).weak
    finally:
        with_header.close()
        strict.close()


def test_composing_rounds_to_the_nearest() -> None:
    colours = np.zeros((1, 256, 3), np.uint8)
    alpha = np.arange(256, dtype=np.uint8)[None]
    flat = encode(colours, alpha, "jpeg", 100)
    with Image.open(io.BytesIO(flat)) as picture:
        assert np.abs(np.asarray(picture.convert("L"))[0].astype(int) - (255 - np.arange(256))).max() <= 2
