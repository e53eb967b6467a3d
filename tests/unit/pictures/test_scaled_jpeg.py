"""Large JPEGs may be decoded smaller for detection: the same place of every face, a part of the time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import decode, shrink_for
from gateway.pictures.image_header import read_header
from gateway.pictures.picture_work import Decoded, open_picture
from shared.settings import Settings
from tests.hostile import make_jpeg, make_png, rasters

SIDE = 64


def jpeg(width: int, height: int) -> bytes:
    """A smooth picture: what a half-size copy keeps."""
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width)).astype(np.uint8)
    return cv2.imencode(".jpg", np.dstack([ramp, 255 - ramp, ramp // 2]))[1].tobytes()


def header_of(data: bytes) -> Header:
    return read_header(memoryview(data))


def opened(data: bytes, reach: int, *, to_mask: bool = False) -> Decoded:
    return open_picture(memoryview(data), header_of(data), (SIDE,), Settings(), to_mask=to_mask, reach=reach)


@pytest.mark.parametrize(("longer", "shrink"), [(127, 1), (128, 2), (255, 2), (256, 4), (511, 4), (512, 8), (2000, 8)])
def test_the_decoded_picture_keeps_the_pixels_that_are_asked_for(longer, shrink):
    assert shrink_for(header_of(jpeg(longer, 30)), 64) == shrink
    assert shrink_for(header_of(jpeg(30, longer)), 64) == shrink


def test_only_jpeg_is_decoded_smaller():
    assert shrink_for(header_of(make_png.png(rasters.colours(300, 300))), 64) == 1


@pytest.mark.parametrize(("width", "height"), [(257, 131), (300, 200), (131, 519)])
def test_the_crop_has_the_same_frame_and_nearly_the_same_pixels(width, height):
    data = jpeg(width, height)
    (full,), (scaled,) = opened(data, 0).crops, opened(data, SIDE).crops
    assert (scaled.side, scaled.scale, scaled.pixels.shape) == (full.side, full.scale, full.pixels.shape)
    assert np.abs(scaled.pixels.astype(int) - full.pixels).max() <= 8
    assert opened(data, SIDE).pixels.nbytes < opened(data, 0).pixels.nbytes


def test_all_pixels_are_kept_where_no_fewer_are_asked_for():
    assert shrink_for(header_of(jpeg(2000, 30)), 0) == 1
    assert opened(jpeg(300, 200), 0).pixels.shape == (200, 300, 3)


def test_a_picture_to_mask_is_seen_small_and_decoded_whole():
    data = jpeg(300, 200)
    asked, masked = opened(data, SIDE), opened(data, SIDE, to_mask=True)
    assert masked.pixels.shape == (200, 300, 3)
    assert (masked.crops[0].pixels == asked.crops[0].pixels).all()
    assert (masked.crops[0].pixels != opened(data, 0, to_mask=True).crops[0].pixels).any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_in_as_without(orientation):
    stored = np.ascontiguousarray(rasters.colours(300, 200))
    data = make_jpeg.with_segments(make_jpeg.jpeg(stored), (0xE1, make_jpeg.exif(orientation)))
    assert header_of(data).orientation == orientation
    (full,), (scaled,) = opened(data, 0).crops, opened(data, SIDE).crops
    assert scaled.pixels.shape == full.pixels.shape
    assert np.abs(scaled.pixels.astype(int) - full.pixels).mean() < 8


def test_sizes_that_do_not_divide_are_rounded_up():
    data = jpeg(257, 131)
    pixels, _ = decode(memoryview(data), header_of(data), shrink=4)
    assert pixels.shape == (33, 65, 3)
