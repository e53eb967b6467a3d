"""However a photograph is stored, the same faces are found on it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import read_header
from shared.faces import Faces
from tests.hostile import make_bmp, make_heif, make_jpeg, make_png, make_tiff, make_webp
from tests.unit.pictures.hiding import SHARED, Detector, Photograph, detectors, photographs

SURE, TALL = 0.55, 60
#: Of two boxes of one face. Another cell of the network may tell it where pixels differ a little.
OVERLAP_MIN = 0.7


@pytest.fixture(scope="module")
def looked() -> tuple[Detector, Photograph]:
    detector = next(iter(detectors().values()))
    return detector, next(photographs(detector, "portrait_007.jpg"))


def pixels_of(data: bytes) -> np.ndarray:
    return decode(memoryview(data), read_header(memoryview(data)))[0]


def lossless(pixels: np.ndarray) -> dict[str, bytes]:
    rgb = np.ascontiguousarray(pixels[:, :, ::-1])
    height, width = rgb.shape[:2]
    deep, opaque = rgb.astype(np.uint16) * 257, np.dstack([rgb, np.full((height, width), 255, np.uint8)])
    return {
        "png": make_png.png(rgb),
        "png-16": make_png.png(deep, bits=16),
        "png-alpha-interlaced": make_png.png(opaque, make_png.RGBA, interlaced=True),
        "bmp": make_bmp.bmp(width, -height, 24, make_bmp.rows(pixels, 24, top_down=True)),
        "webp-lossless": make_webp.webp(rgb, lossless=True, method=0),
        "tiff-lzw": make_tiff.by_pillow(rgb, "tiff_lzw"),
        "tiff-16-big-endian": make_tiff.tiff(deep, order=">", rows=32),
        "tiff-tiled-turned": make_tiff.tiff(np.rot90(rgb).copy(), tile=64, extra={make_tiff.ORIENTATION: [6]}),
        "bigtiff-deflate": make_tiff.tiff(rgb, big=True, compression=8, rows=100),
    }


def lossy(pixels: np.ndarray) -> dict[str, bytes]:
    rgb = np.ascontiguousarray(pixels[:, :, ::-1])
    inks = np.dstack([255 - rgb, np.zeros(rgb.shape[:2], np.uint8)])
    return {
        "jpeg": make_jpeg.jpeg(rgb),
        "jpeg-progressive": make_jpeg.jpeg(rgb, progressive=True),
        "jpeg-cmyk": make_jpeg.jpeg(inks, "CMYK"),
        "webp": make_webp.webp(rgb),
        "heic": make_heif.heic(rgb),
        "heic-tiles": make_heif.heic(rgb, tile_size=256),
        "heic-444-10-bit": make_heif.heic(rgb.astype(np.uint16) * 257, chroma=444),
        "avif": make_heif.avif(rgb),
        "avif-444": make_heif.avif(rgb, subsampling="4:4:4"),
        "tiff-jpeg": make_tiff.by_pillow(rgb, "jpeg", quality=95),
    }


def same(one: Faces, other: Faces) -> bool:
    """Whether every sure face of one, but tiny ones, stands in the other nearly in the same place."""
    for box, score in zip(one.boxes, one.scores, strict=True):
        if (
            score >= SURE
            and box[3] - box[1] >= TALL
            and max((overlap(box, another) for another in other.boxes), default=0) < OVERLAP_MIN
        ):
            return False
    return True


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(wide * high / (sum(areas) - wide * high))


def test_lossless_files_of_one_photograph_give_exactly_the_same_pixels(looked: tuple) -> None:
    _detector, photograph = looked
    for name, data in lossless(photograph.pixels).items():
        assert (pixels_of(data) == photograph.pixels).all(), name


def test_lossy_files_of_one_photograph_give_the_same_sure_faces(looked: tuple) -> None:
    detector, photograph = looked
    assert photograph.faces.scores.max() >= SURE
    for name, data in lossy(photograph.pixels).items():
        assert same(photograph.faces, detector.faces(pixels_of(data), 0.3)), name
        assert same(detector.faces(pixels_of(data)), photograph.known), name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_gives_the_same_sure_face(looked: tuple, orientation: int) -> None:
    detector, photograph = looked
    assert photograph.faces.scores.max() >= 0.7
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)  # stored so that turning makes it upright again
    with Image.fromarray(np.ascontiguousarray(photograph.pixels[:, :, ::-1])) as picture:
        stored = picture if back == 1 else picture.transpose(_TRANSPOSE[back])
        file = io.BytesIO()
        stored.save(file, "JPEG", quality=95)
    data = make_jpeg.with_segments(file.getvalue(), (make_jpeg.APP1, make_jpeg.exif(orientation)))
    assert same(photograph.faces, detector.faces(pixels_of(data), 0.3))
    raster = np.asarray(stored)
    for still in (make_heif.parts(make_heif.heic(raster)), make_heif.parts(make_heif.avif(raster))):
        turned = make_heif.still(still.having(*_TOLD[orientation]))
        assert same(photograph.faces, detector.faces(pixels_of(turned), 0.3)), still.kind


#: The same turns as HEIF tells them.
_TOLD = {
    1: (),
    2: (make_heif.mirrored(1),),
    3: (make_heif.turned(2),),
    4: (make_heif.mirrored(0),),
    5: (make_heif.turned(1), make_heif.mirrored(0)),
    6: (make_heif.turned(3),),
    7: (make_heif.turned(1), make_heif.mirrored(1)),
    8: (make_heif.turned(1),),
}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.skipif(not (SHARED / "photos" / "exif").is_dir(), reason="needs ../shared/photos/exif")
def test_one_photograph_in_all_orientations_is_one_picture() -> None:
    """No face on it is sure: the pixels are compared, which were encoded anew for each orientation."""
    pictures = {path.name: pixels_of(path.read_bytes()) for path in (SHARED / "photos" / "exif").glob("*.jpg")}
    first = pictures["orientation_1.jpg"].astype(int)
    assert len(pictures) == 9
    for name, pixels in pictures.items():
        assert pixels.shape == first.shape, name
        assert np.abs(pixels - first).mean() < 8, name
        assert np.abs(pixels[::-1] - first).mean() > 20, name
