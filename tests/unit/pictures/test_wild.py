"""Every way an ordinary program stores a picture is read to the same pixels: one documented conversion each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.pictures.image_header import read_header
from shared.errors import BadImage
from tests.hostile import make_bmp, make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.unit.pictures.reading import Pixels, read, seen_upright

PHOTOS = Path(__file__).resolve().parents[4] / "shared" / "photos"

RGB, GREY = rasters.colours(), rasters.grey()
BGR = np.ascontiguousarray(RGB[:, :, ::-1])
DEEP, DEEP_GREY = RGB.astype(np.uint16) * 257, GREY.astype(np.uint16) * 257
SHEER = np.dstack([RGB, GREY])
INDEXED, PALETTE = rasters.indexed()
COLORMAP = (np.pad(PALETTE, ((0, 240), (0, 0))).T.astype(int) * 257).ravel().tolist()
BLACK_WHITE = (GREY > 120).astype(np.uint8)


def three(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def grey_png(bits: int) -> tuple[bytes, Pixels]:
    levels = GREY >> (8 - bits)
    return make_png.png(levels, make_png.GREY, bits), three(levels * (255 // ((1 << bits) - 1)))


def indexed_bmp(bits: int, body: bytes, **options: object) -> bytes:
    return make_bmp.bmp(64, 48, bits, body, palette=PALETTE, **options)  # type: ignore[arg-type]


def packed_tiff(levels: Pixels, bits: int, photometric: int, extra: dict[int, list[int]] | None = None) -> bytes:
    """A TIFF of 2 or 4 bits a sample, two or four samples to a byte."""
    parts = [(levels[:, index :: 8 // bits] << (8 - bits * (index + 1))).astype(np.uint8) for index in range(8 // bits)]
    tags = {**make_tiff.tags_of(levels, photometric), make_tiff.BITS: [bits], **(extra or {})}
    return make_tiff.File([make_tiff.Page(tags, [np.bitwise_or.reduce(parts).tobytes()])]).bytes()


def grey_tiff(bits: int, *, white_first: bool = False) -> tuple[bytes, Pixels]:
    levels, most = GREY >> (8 - bits), (1 << bits) - 1
    stored = most - levels if white_first else levels
    return packed_tiff(stored, bits, int(not white_first)), three(levels * (255 // most))


def through(mask: int, shift: int) -> Pixels:
    return (RGB[:, :, 0] & mask) >> shift


DEEP_SHEER = np.dstack([DEEP, DEEP_GREY])
NO_ALPHA_MEANT = {make_tiff.EXTRA_SAMPLES: [0]}
APART = {make_tiff.EXTRA_SAMPLES: [2]}
LOSSLESS: dict[str, tuple[bytes, Pixels]] = {
    "png-rgb": (make_png.png(RGB), RGB),
    "png-rgb-interlaced": (make_png.png(RGB, interlaced=True), RGB),
    "png-rgb-16": (make_png.png(DEEP, bits=16), RGB),
    "png-rgb-16-interlaced": (make_png.png(DEEP, bits=16, interlaced=True), RGB),
    "png-rgba": (make_png.png(SHEER, make_png.RGBA), RGB),
    "png-rgba-16": (make_png.png(DEEP_SHEER, make_png.RGBA, 16), RGB),
    "png-many-chunks": (make_png.png(RGB, idat_bytes=50), RGB),
    "png-grey-1": grey_png(1),
    "png-grey-2": grey_png(2),
    "png-grey-4": grey_png(4),
    "png-grey-8": (make_png.png(GREY, make_png.GREY), three(GREY)),
    "png-grey-16": (make_png.png(DEEP_GREY, make_png.GREY, 16), three(GREY)),
    "png-grey-alpha": (make_png.png(np.dstack([GREY, GREY]), make_png.GREY_ALPHA), three(GREY)),
    "png-palette-4": (make_png.png(INDEXED, make_png.PALETTE, 4, before=make_png.palette(PALETTE)), PALETTE[INDEXED]),
    "png-palette-8": (make_png.png(INDEXED, make_png.PALETTE, 8, before=make_png.palette(PALETTE)), PALETTE[INDEXED]),
    "png-transparent-palette": (
        make_png.png(
            INDEXED, make_png.PALETTE, before=make_png.palette(PALETTE) + make_png.chunk(b"tRNS", bytes(range(0, 160, 10)))
        ),
        PALETTE[INDEXED],
    ),
    "png-other-chunks": (
        make_png.png(
            RGB,
            before=make_png.chunk(b"gAMA", b"\0\0\x20\0")
            + make_png.chunk(b"cHRM", bytes(range(32)))
            + make_png.chunk(b"bKGD", b"\0\xff\0\0\0\0")
            + make_png.chunk(b"sBIT", b"\5\6\5")
            + make_png.chunk(b"tEXt", b"a\0b"),
        ),
        RGB,
    ),
    "png-transparent-colour": (make_png.png(RGB, before=make_png.chunk(b"tRNS", b"\0\1\0\2\0\3")), RGB),
    "bmp-24": (make_bmp.bmp(64, 48, 24, make_bmp.rows(BGR, 24)), RGB),
    "bmp-24-top-down": (make_bmp.bmp(64, -48, 24, make_bmp.rows(BGR, 24, top_down=True)), RGB),
    "bmp-32": (make_bmp.bmp(64, 48, 32, make_bmp.rows(np.dstack([BGR, GREY]), 32)), RGB),
    "bmp-32-masks": (
        make_bmp.bmp(
            64, 48, 32, make_bmp.rows(np.dstack([BGR, GREY]), 32),
            header_bytes=108, compression=make_bmp.BITFIELDS, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        ),
        RGB,
    ),
    "bmp-8": (indexed_bmp(8, make_bmp.rows(INDEXED, 8)), PALETTE[INDEXED]),
    "bmp-4": (indexed_bmp(4, make_bmp.rows(INDEXED, 4)), PALETTE[INDEXED]),
    "bmp-1": (make_bmp.bmp(64, 48, 1, make_bmp.rows(BLACK_WHITE, 1), palette=PALETTE[:2]), PALETTE[BLACK_WHITE]),
    "bmp-rle8": (indexed_bmp(8, make_bmp.rle8(INDEXED), compression=make_bmp.RLE8), PALETTE[INDEXED]),
    "bmp-rle8-absolute": (indexed_bmp(8, make_bmp.rle8_absolute(INDEXED), compression=make_bmp.RLE8), PALETTE[INDEXED]),
    "bmp-rle4": (indexed_bmp(4, make_bmp.rle4(INDEXED), compression=make_bmp.RLE4), PALETTE[INDEXED]),
    "bmp-os2": (make_bmp.bmp(64, 48, 24, make_bmp.rows(BGR, 24), header_bytes=12), RGB),
    "bmp-v5": (make_bmp.bmp(64, 48, 24, make_bmp.rows(BGR, 24), header_bytes=124), RGB),
    "webp-lossless": (make_webp.webp(RGB, lossless=True), RGB),
    "webp-lossless-alpha": (make_webp.webp(SHEER, lossless=True, exact=True), RGB),
    "tiff": (make_tiff.tiff(RGB), RGB),
    "tiff-strips": (make_tiff.tiff(RGB, rows=7), RGB),
    "tiff-big-endian": (make_tiff.tiff(RGB, order=">"), RGB),
    "tiff-lzw": (make_tiff.by_pillow(RGB, "tiff_lzw"), RGB),
    "tiff-deflate": (make_tiff.tiff(RGB, compression=make_tiff.ADOBE_DEFLATE, rows=5), RGB),
    "tiff-old-deflate": (make_tiff.tiff(RGB, compression=make_tiff.DEFLATE), RGB),
    "tiff-grey-2": grey_tiff(2),
    "tiff-grey-4": grey_tiff(4),
    "tiff-grey-2-white-first": grey_tiff(2, white_first=True),
    "tiff-grey-4-white-first": grey_tiff(4, white_first=True),
    "tiff-palette-4": (
        packed_tiff(INDEXED, 4, make_tiff.INDEXED, {make_tiff.COLORMAP: (PALETTE.T.astype(int) * 257).ravel().tolist()}),
        PALETTE[INDEXED],
    ),
    "tiff-packbits": (make_tiff.tiff(RGB, compression=make_tiff.PACKBITS, rows=1), RGB),
    "tiff-tiled-16": (make_tiff.tiff(RGB, tile=16), RGB),
    "tiff-tiled-32": (make_tiff.tiff(RGB, tile=32), RGB),
    "tiff-tiled-deflate": (make_tiff.tiff(RGB, tile=16, compression=make_tiff.ADOBE_DEFLATE), RGB),
    "tiff-tiled-grey": (make_tiff.tiff(GREY, make_tiff.BLACK_IS_ZERO, tile=16), three(GREY)),
    "tiff-16": (make_tiff.tiff(DEEP), RGB),
    "tiff-16-big-endian": (make_tiff.tiff(DEEP, order=">"), RGB),
    "tiff-grey": (make_tiff.tiff(GREY, make_tiff.BLACK_IS_ZERO), three(GREY)),
    "tiff-white-is-zero": (make_tiff.tiff(255 - GREY, make_tiff.WHITE_IS_ZERO), three(GREY)),
    "tiff-palette": (make_tiff.tiff(INDEXED, make_tiff.INDEXED, extra={make_tiff.COLORMAP: COLORMAP}), PALETTE[INDEXED]),
    "tiff-palette-alpha": (
        make_tiff.tiff(np.dstack([INDEXED, GREY]), make_tiff.INDEXED, extra={make_tiff.COLORMAP: COLORMAP} | APART),
        PALETTE[INDEXED],
    ),
    "tiff-cmyk": (make_tiff.tiff(np.dstack([255 - RGB, np.zeros_like(GREY)]), make_tiff.CMYK), RGB),
    "tiff-alpha": (make_tiff.tiff(SHEER, extra=APART), RGB),
    "tiff-alpha-16": (make_tiff.tiff(DEEP_SHEER, extra=APART), RGB),
    "tiff-grey-alpha": (make_tiff.tiff(np.dstack([GREY, GREY]), make_tiff.BLACK_IS_ZERO, extra=APART), three(GREY)),
    "tiff-extra-sample": (make_tiff.tiff(SHEER, extra=NO_ALPHA_MEANT), RGB),
    "tiff-group4": (make_tiff.by_pillow(BLACK_WHITE.astype(bool), "group4"), three(BLACK_WHITE * 255)),
    "tiff-group3": (make_tiff.by_pillow(BLACK_WHITE.astype(bool), "group3"), three(BLACK_WHITE * 255)),
    "bigtiff": (make_tiff.tiff(RGB, big=True), RGB),
    "bigtiff-tiled-deflate": (make_tiff.tiff(RGB, big=True, order=">", tile=32, compression=8), RGB),
    "bigtiff-two-pages": (make_tiff.File([make_tiff.page(RGB), make_tiff.page(255 - RGB)], big=True).bytes(), RGB),
    "apng": (make_png.animated([RGB, 255 - RGB]), RGB),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_file_gives_its_raster_back(name: str) -> None:
    data, expected = LOSSLESS[name]
    pixels, _alpha = read(data)
    assert (pixels == expected).all()


_END, _TEXT = make_png.chunk(b"IEND", b""), make_png.chunk(b"tEXt", b"a\0b")
_DATA = make_png.parts(make_png.png(RGB))[1][1]
_LOSSLESS_WEBP = make_webp.webp(RGB, lossless=True)
ODD: dict[str, tuple[bytes, Pixels]] = {
    "png, chunks behind its end": (make_png.png(RGB) + _TEXT, RGB),
    "png, bytes behind its end": (make_png.png(RGB) + b"PK\3\4" + bytes(99), RGB),
    "png, an end with bytes in it": (make_png.file(make_png.header(64, 48), make_png.chunk(b"IDAT", _DATA), make_png.chunk(b"IEND", b"xx")), RGB),
    "png, more rows than it needs": (make_png.file(make_png.header(64, 48), make_png.chunk(b"IDAT", _DATA + b"junk"), _END), RGB),
    "png, a palette beside colours": (make_png.png(RGB, before=make_png.palette(PALETTE)), RGB),
    "png, a palette beside grey": (make_png.png(GREY, make_png.GREY, before=make_png.palette(PALETTE)), three(GREY)),
    "png, transparency of few colours": (make_png.png(INDEXED, make_png.PALETTE, before=make_png.palette(PALETTE) + make_png.chunk(b"tRNS", b"\0\5")), PALETTE[INDEXED]),
    "png, transparency of too many": (make_png.png(INDEXED, make_png.PALETTE, before=make_png.palette(PALETTE) + make_png.chunk(b"tRNS", bytes(300))), PALETTE[INDEXED]),
    "png, transparency behind": (make_png.png(INDEXED, make_png.PALETTE, before=make_png.palette(PALETTE), after=make_png.chunk(b"tRNS", b"\0\5")), PALETTE[INDEXED]),
    "webp, bytes behind it": (_LOSSLESS_WEBP + bytes(77), RGB),
    "webp, unknown chunks": (make_webp.riff([*make_webp.chunks(_LOSSLESS_WEBP), (b"ABCD", b"xyz")]), RGB),
    "webp, flags for what is not there": (
        make_webp.riff([make_webp.extended(make_webp.EXIF | make_webp.ICC | make_webp.XMP, 64, 48), *make_webp.chunks(_LOSSLESS_WEBP)]), RGB
    ),
    "webp, a profile without its flag": (
        make_webp.riff([make_webp.extended(0, 64, 48), (b"ICCP", bytes(99)), *make_webp.chunks(_LOSSLESS_WEBP)]), RGB
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_beside_the_pixels_changes_none(name: str) -> None:
    data, expected = ODD[name]
    assert (read(data)[0] == expected).all()


SMOOTH = cv2.GaussianBlur(rasters.colours(160, 120), (0, 0), 2.0)
SMOOTH_INKS = np.dstack([255 - SMOOTH, np.zeros(SMOOTH.shape[:2], np.uint8)]).astype(np.uint8)


def ycck() -> bytes:
    """A CMYK file whose inks are stored as luma and chroma, as Photoshop does: Adobe transform 2."""
    luma = np.asarray(cv2.cvtColor(SMOOTH, cv2.COLOR_RGB2YCrCb))[:, :, [0, 2, 1]]
    stored = np.dstack([luma, np.zeros(SMOOTH.shape[:2], np.uint8)])
    data = make_jpeg.jpeg(np.ascontiguousarray(stored), "CMYK", subsampling=0)
    return make_jpeg.changed(data, make_jpeg.APP14, lambda adobe: adobe[:-1] + b"\x02")


LOSSY = {
    "jpeg": make_jpeg.jpeg(SMOOTH),
    "jpeg-progressive": make_jpeg.jpeg(SMOOTH, progressive=True),
    "jpeg-444": make_jpeg.jpeg(SMOOTH, subsampling=0),
    "jpeg-restarts": make_jpeg.jpeg(SMOOTH, restart_marker_blocks=3),
    "jpeg-optimised": make_jpeg.jpeg(SMOOTH, optimize=True),
    "jpeg-cmyk": make_jpeg.jpeg(SMOOTH_INKS, "CMYK"),
    "jpeg-ycck": ycck(),
    "webp-lossy": make_webp.webp(SMOOTH),
    "webp-lossy-alpha": make_webp.webp(np.dstack([SMOOTH, np.full(SMOOTH.shape[:2], 200, np.uint8)])),
    "tiff-jpeg": make_tiff.by_pillow(SMOOTH, "jpeg", quality=95),
}


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_file_gives_nearly_its_raster_back(name: str) -> None:
    pixels, _alpha = read(LOSSY[name])
    assert pixels.shape == SMOOTH.shape
    assert np.abs(pixels.astype(int) - SMOOTH).mean() < 4


def test_a_tiff_of_a_kind_that_is_not_read_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadImage, match=r"floating-point or complex samples is not accepted; save it with 8 or 16 bits"):
        read(make_tiff.tiff(RGB.astype(np.float32), extra={make_tiff.SAMPLE_FORMAT: [3] * 3}))


def test_a_grey_jpeg_has_three_equal_channels() -> None:
    pixels, _alpha = read(make_jpeg.jpeg(GREY))
    assert (pixels[:, :, 0] == pixels[:, :, 1]).all()
    assert (pixels[:, :, 1] == pixels[:, :, 2]).all()
    assert np.abs(pixels[:, :, 0].astype(int) - GREY).mean() < 12


@pytest.mark.parametrize(
    "name", ["png-rgba", "png-rgba-16", "png-grey-alpha", "webp-lossless-alpha", "tiff-alpha", "tiff-alpha-16", "tiff-grey-alpha", "tiff-palette-alpha"]
)  # fmt: skip
def test_alpha_is_kept_beside_the_colours(name: str) -> None:
    _pixels, alpha = read(LOSSLESS[name][0])
    assert alpha is not None
    assert (alpha == GREY).all()


def stored_with(orientation: int) -> dict[str, bytes]:
    block = make_jpeg.exif(orientation)
    canvas = make_webp.extended(make_webp.EXIF, 64, 48)
    picture = make_webp.chunks(make_webp.webp(RGB, lossless=True))[0]
    turned = {make_tiff.ORIENTATION: [orientation]}
    return {
        "jpeg": make_jpeg.with_segments(make_jpeg.jpeg(RGB, subsampling=0), (make_jpeg.APP1, block)),
        "png": make_png.png(RGB, before=make_png.chunk(b"eXIf", block[6:])),
        "png-behind": make_png.png(RGB, after=make_png.chunk(b"eXIf", block[6:])),
        "png-alpha": make_png.png(SHEER, make_png.RGBA, before=make_png.chunk(b"eXIf", block[6:])),
        "webp": make_webp.riff([canvas, picture, (b"EXIF", block[6:])]),
        "webp-prefixed": make_webp.riff([canvas, picture, (b"EXIF", block)]),
        "tiff": make_tiff.tiff(RGB, extra=turned),
        "tiff-tiled": make_tiff.tiff(RGB, tile=16, extra=turned),
        "tiff-tiled-deflate": make_tiff.tiff(RGB, tile=32, compression=8, extra=turned),
        "tiff-tiled-grey": make_tiff.tiff(GREY, make_tiff.BLACK_IS_ZERO, 8, tile=16, extra=turned),
        "tiff-strips": make_tiff.tiff(RGB, rows=5, extra=turned),
        "tiff-16": make_tiff.tiff(DEEP, extra=turned),
        "tiff-tiled-16-bit": make_tiff.tiff(DEEP, tile=32, extra=turned),
        "tiff-alpha": make_tiff.tiff(SHEER, extra={**APART, **turned}),
        "tiff-alpha-16": make_tiff.tiff(DEEP_SHEER, extra={**APART, **turned}),
        "bigtiff": make_tiff.tiff(RGB, big=True, extra=turned),
    }


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_turned_upright_in_every_format(orientation: int) -> None:
    for name, data in stored_with(orientation).items():
        pixels, alpha = read(data)
        expected = seen_upright(three(GREY) if "grey" in name else RGB, orientation)
        assert pixels.shape == expected.shape, name
        assert np.abs(pixels.astype(int) - expected).mean() < (12 if name == "jpeg" else 0.1), name
        if alpha is not None:
            assert (alpha == seen_upright(GREY, orientation)).all(), name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_seen_is_what_the_reference_sees(orientation: int) -> None:
    for name, data in stored_with(orientation).items():
        if "alpha" in name or "tiled" in name or "prefixed" in name:  # where OpenCV does it wrongly; see image_decode
            continue
        reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        pixels, _alpha = read(data)
        assert reference is not None
        assert (pixels[:, :, ::-1] == reference).all(), name


def photographs() -> list[Path]:
    return sorted(path for path in PHOTOS.rglob("*") if path.suffix in (".jpg", ".png"))


def test_every_photograph_is_read_to_the_pixels_the_reference_reads(tmp_path: Path) -> None:
    made = tmp_path / "made.jpg"
    made.write_bytes(LOSSY["jpeg"])
    for path in [made, *photographs()]:
        pixels, _alpha = read(path.read_bytes())
        reference = cv2.imread(str(path))
        assert reference is not None
        assert (pixels[:, :, ::-1] == reference).all(), path.name


def test_conflicting_orientations_are_settled_as_the_reference_settles_them() -> None:
    right = make_jpeg.jpeg(RGB)
    two = make_jpeg.with_segments(right, (make_jpeg.APP1, make_jpeg.exif(6)), (make_jpeg.APP1, make_jpeg.exif(3)))
    reference = cv2.imdecode(np.frombuffer(two, np.uint8), cv2.IMREAD_COLOR)
    assert reference is not None
    width, height = read_header(memoryview(two)).upright_size
    assert reference.shape[:2] == (height, width)
    assert (read(two)[0][:, :, ::-1] == reference).all()
