"""The letterbox is the reference's, to the pixel."""

import cv2
import numpy as np
import pytest

from gateway.pictures.letterbox import Letterbox


@pytest.mark.parametrize(("width", "height"), [(372, 512), (1023, 1408), (1674, 2304), (2255, 3200), (2325, 3200)])
def test_the_fitted_width_follows_the_reference_where_the_obvious_formula_is_a_pixel_off(width, height):
    fitted = Letterbox.fit(width, height, 640)
    assert fitted.cols == int(640 / (height / width))
    assert fitted.cols != int(640 * width / height)
    assert fitted.rows == 640


@pytest.mark.parametrize(
    ("width", "height", "rows", "cols"),
    [(1280, 960, 480, 640), (960, 1280, 640, 480), (640, 640, 640, 640), (100, 50, 320, 640), (1, 5000, 640, 1)],
)
def test_the_longer_side_fills_the_input_and_the_other_follows(width, height, rows, cols):
    fitted = Letterbox.fit(width, height, 640)
    assert (fitted.rows, fitted.cols) == (rows, cols)
    assert fitted.scale == rows / height


@pytest.mark.parametrize(("width", "height"), [(1, 5000), (5000, 1), (10, 65_500), (65_500, 10)])
def test_a_side_never_falls_to_zero(width, height):
    fitted = Letterbox.fit(width, height, 640)
    pixels = fitted.apply(np.zeros((height, width, 3), np.uint8))
    assert min(pixels.shape[:2]) >= 1


def test_the_pixels_are_those_of_a_plain_bilinear_resize():
    pixels = np.random.default_rng(1).integers(0, 256, (911, 1333, 3), np.uint8)
    fitted = Letterbox.fit(1333, 911, 640)
    crop = fitted.apply(pixels)
    assert (crop == cv2.resize(pixels, (fitted.cols, fitted.rows))).all()
    assert crop.flags.c_contiguous
    assert crop.dtype == np.uint8
