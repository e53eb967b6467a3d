"""A picture cut short never shows another caller's picture: the leak OpenCV had in 4.10 and 4.11 (its issue 26488)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gateway.pictures.image_header import read_header
from gateway.pictures.picture_work import open_picture
from shared.errors import BadImage
from shared.settings import Settings
from tests.hostile import make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.hostile.gallery import Gallery

ROOT = Path(__file__).resolve().parents[2]
#: Bright vertical bars that no other picture here has.
CANARY = np.repeat(np.tile(np.array([255, 255, 0, 0], np.uint8), 80)[None, :, None], 240, axis=0).repeat(3, axis=2)
VICTIMS = {
    "jpeg": make_jpeg.jpeg(rasters.grey(320, 240) // 4),
    "jpeg-progressive": make_jpeg.jpeg(rasters.grey(320, 240) // 4, progressive=True),
    "png": make_png.png(rasters.grey(320, 240) // 4, make_png.GREY),
    "webp": make_webp.webp(rasters.colours(320, 240) // 4),
    "webp-lossless": make_webp.webp(rasters.colours(320, 240) // 4, lossless=True),
    "tiff": make_tiff.tiff(rasters.colours(320, 240) // 4, compression=make_tiff.ADOBE_DEFLATE, rows=16),
    "tiff-tiled": make_tiff.tiff(rasters.colours(320, 240) // 4, compression=make_tiff.ADOBE_DEFLATE, tile=32),
}


def shows_canary(pixels: np.ndarray) -> float:
    """Correlation of the picture's columns with the canary's bars: 1 for the canary itself."""
    if pixels.shape != CANARY.shape:
        return 0.0
    columns = pixels.astype(np.float64).mean(axis=(0, 2)) - pixels.mean()
    bars = CANARY.astype(np.float64).mean(axis=(0, 2)) - CANARY.mean()
    return float(abs(columns @ bars) / (np.linalg.norm(columns) * np.linalg.norm(bars) + 1e-9))


def test_the_detector_of_the_canary_knows_it() -> None:
    assert shows_canary(CANARY) > 0.99
    assert shows_canary(CANARY // 8 + 100) > 0.9
    assert shows_canary(rasters.colours(320, 240) // 4) < 0.2


@pytest.mark.parametrize("name", VICTIMS)
def test_files_cut_and_closed_never_show_the_picture_decoded_before(name: str) -> None:
    """In this process, without the child's ear for complaints: what a decoder returns at all is looked at."""
    data, canary, settings = VICTIMS[name], make_png.png(CANARY), Settings()
    looked_at = 0
    for place in np.linspace(len(data) // 8, len(data) - 2, 60).astype(int):
        for file in (data[:place], data[:place] + make_jpeg.EOI, data[:place] + bytes(len(data) - place)):
            open_picture(memoryview(canary), read_header(memoryview(canary)), (), settings, to_mask=True)
            try:
                header = read_header(memoryview(file))
                opened = open_picture(memoryview(file), header, (), settings, to_mask=True)
            except BadImage:
                continue
            looked_at += 1
            assert shows_canary(opened.pixels) < 0.3, (name, place)
    assert looked_at or name in ("png", "webp-lossless", "tiff", "tiff-tiled", "webp")


def digests(corpus: Path, filling: int) -> list[str]:
    """What every hostile file is decoded to where all fresh memory holds a certain byte."""
    environment = {**os.environ, "MALLOC_PERTURB_": str(filling), "OPENCV_LOG_LEVEL": "SILENT"}
    command = [sys.executable, "-m", "tests.hostile.digests", str(corpus)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is glibc's")
def test_no_pixel_of_any_hostile_file_is_left_as_memory_happened_to_be(hostile_files: Path) -> None:
    one, other = digests(hostile_files, 85), digests(hostile_files, 170)
    assert one[0] != other[0], "this allocator does not fill fresh memory: nothing was tested"
    assert len(one) > 100
    assert one[1:] == other[1:]


def test_a_child_that_showed_one_picture_shows_nothing_of_it_in_the_next(gallery: Gallery) -> None:
    canary = make_png.png(CANARY)
    for place in range(2000, len(VICTIMS["jpeg"]) - 2, 400):
        gallery.open(canary, sides=(320,), to_mask=True).close()
        assert gallery.outcome(VICTIMS["jpeg"][:place] + make_jpeg.EOI).status == 400
        picture = gallery.open(VICTIMS["jpeg"], sides=(320,))
        assert shows_canary(picture.crops[0].pixels) < 0.3
        picture.close()
