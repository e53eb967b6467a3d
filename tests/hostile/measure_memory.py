"""`python -m tests.hostile.measure_memory`: what a child takes at its peaks, bytes a pixel, beside the estimates.

The constants of `gateway/pictures/memory_need.py` come from here.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from gateway.pictures import memory_need
from gateway.pictures.encode import OUTPUTS
from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from shared.faces import Faces
from tests.hostile import make_bmp, make_heif, make_icc, make_jpeg, make_png, make_tiff, rasters
from tests.hostile.gallery import Gallery

SIDE = 4000
PIXELS = SIDE * SIDE


def kinds() -> dict[str, Callable[[], bytes]]:
    """Files of all the ways that pictures go through a child."""
    colours, black = rasters.colours(SIDE, SIDE), np.zeros((SIDE, SIDE, 4), np.uint8)
    alpha = {make_tiff.EXTRA_SAMPLES: [2]}
    return {
        "jpeg": lambda: make_jpeg.jpeg(colours),
        "jpeg-progressive-444": lambda: make_jpeg.jpeg(colours, progressive=True, subsampling=0),
        "jpeg-turned": lambda: make_jpeg.with_segments(make_jpeg.jpeg(colours), (make_jpeg.APP1, make_jpeg.exif(6))),
        "jpeg-profile": lambda: make_jpeg.jpeg(colours, icc_profile=make_icc.swapped_rgb()),
        "jpeg-inks-profile": lambda: make_jpeg.jpeg(black, "CMYK", icc_profile=make_icc.red_cyan()),
        "png": lambda: make_png.zeros(SIDE, SIDE, make_png.RGB, 8),
        "png-alpha": lambda: make_png.zeros(SIDE, SIDE, make_png.RGBA, 8),
        "png-alpha-16": lambda: make_png.zeros(SIDE, SIDE, make_png.RGBA, 16),
        "webp-lossless": lambda: _webp(colours, lossless=True),
        "webp": lambda: _webp(colours),
        "tiff-tiled": lambda: make_tiff.tiff(black[:, :, :3].copy(), compression=8, tile=256),
        "tiff-alpha": lambda: make_tiff.tiff(black, compression=8, rows=64, extra=alpha),
        "tiff-alpha-apart": lambda: _apart(black),
        "tiff-lab-16": lambda: make_tiff.tiff(black[:, :, :3].astype(np.uint16), 8, compression=8, rows=64),
        "tiff-inks-spots-16": lambda: make_tiff.tiff(np.zeros((SIDE, SIDE, 6), np.uint16), make_tiff.CMYK, 8),
        "bmp-runs": _runs,
        "heic": lambda: make_heif.heic(colours),
        "heic-tiles": lambda: make_heif.heic(colours, tile_size=512),
        "heic-10-bit-444": lambda: make_heif.heic(colours.astype(np.uint16) * 257, chroma=444),
        "heic-alpha": lambda: make_heif.heic(black),
        "avif": lambda: make_heif.avif(colours),
        "avif-444": lambda: make_heif.avif(colours, subsampling="4:4:4"),
        "avif-alpha": lambda: make_heif.avif(black),
        "png-profile-12-mb": lambda: _profiled(make_icc.linear_rgb(padding=12 << 20)),
        "tiff-16": lambda: make_tiff.tiff(black[:, :, :3].astype(np.uint16), compression=8, rows=64),
    }


def main() -> None:
    print("| picture | answer | opening | estimate | masking | estimate |\n| --- | --- | --- | --- | --- | --- |")
    for name, make in kinds().items():
        data = make()
        for output in OUTPUTS if name in ("jpeg", "png-alpha") else ["jpeg"]:
            print(f"| {name} | {output} | {' | '.join(f'{each:.1f}' for each in _peaks(data, output))} |", flush=True)


def _peaks(data: bytes, output: str) -> Iterator[float]:
    header, gallery = read_header(memoryview(data)), Gallery(decode_timeout=100)
    at_start = gallery.resident_at_start
    held = memory_need.holding(header, (640,), to_mask=True)
    gallery.begin_peak()
    picture = gallery.open(data, to_mask=True)
    yield (gallery.peak_bytes() - at_start) / PIXELS
    yield (memory_need.decoding(header, to_mask=True)) / PIXELS
    gallery.begin_peak()
    face = Faces(np.array([[1000, 1000, 3000, 3000]], np.float32), np.ones(1, np.float32), None)
    gallery.run(picture.mask(Marks.all_of(face), MaskOptions(format=output)))
    yield (gallery.peak_bytes() - at_start) / PIXELS
    yield (held + memory_need.masking(header, output)) / PIXELS
    picture.close()
    gallery.close()


def _apart(samples: np.ndarray) -> bytes:
    planes = [zlib.compress(np.ascontiguousarray(samples[:, :, index]).tobytes()) for index in range(4)]
    tags = {**make_tiff.tags_of(samples, make_tiff.TRUE_COLOUR, 8), make_tiff.PLANAR: [2], make_tiff.EXTRA_SAMPLES: [2]}
    return make_tiff.File([make_tiff.Page(tags, planes)]).bytes()


def _runs() -> bytes:
    row = b"\xff\x01" * (SIDE // 255) + bytes([SIDE % 255]) + b"\x01\0\0"
    return make_bmp.bmp(SIDE, SIDE, 8, row * SIDE + b"\0\1", palette=rasters.indexed()[1], compression=make_bmp.RLE8)


def _profiled(profile: bytes) -> bytes:
    stored = make_png.chunk(b"iCCP", b"any\0\0" + zlib.compress(profile))
    return make_png.png(np.zeros((SIDE, SIDE, 3), np.uint8), before=stored)


def _webp(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", method=0, **options)  # type: ignore[arg-type]
    return file.getvalue()


if __name__ == "__main__":
    main()
