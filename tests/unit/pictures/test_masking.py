"""What the methods do to pixels: inside the grown boxes everything they promise, outside nothing."""

from __future__ import annotations

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from gateway.pictures.blur import SIGMA_PER_KERNEL, kernel_of
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import CELLS_MAX, MaskOptions, is_weak
from gateway.pictures.regions import Region, regions
from tests.hostile import rasters

PICTURE = rasters.noise(200, 150)
DETAIL = cv2.GaussianBlur(rasters.noise(600, 500, seed=3), (0, 0), 1.2)


def boxes(*corners: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(corners, np.float32).reshape(-1, 4)


def paint(pixels: NDArray[np.uint8], hidden: list[Region], options: MaskOptions) -> None:
    METHODS[options.method].paint(pixels, hidden, options.strength, options.bgr, 1)


def painted(picture: NDArray[np.uint8], *hidden: Region, **options: object) -> NDArray[np.uint8]:
    copy = picture.copy()
    paint(copy, list(hidden), MaskOptions(**options))  # type: ignore[arg-type]
    return copy


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(cv2.PSNR(np.ascontiguousarray(one), np.ascontiguousarray(other)))


def test_a_box_grows_by_its_own_size_and_covers_every_pixel_it_touches() -> None:
    assert regions(boxes((10.5, 20.2, 30.5, 60.2)), 0.0, 200, 150) == [Region(10, 20, 31, 61)]
    assert regions(boxes((10, 20, 30, 60)), 0.5, 200, 150) == [Region(0, 0, 40, 80)]
    assert regions(boxes((100, 100, 110, 110)), 2.0, 200, 150) == [Region(80, 80, 130, 130)]


def test_regions_are_clipped_to_the_picture_border_rows_included() -> None:
    assert regions(boxes((-50, -50, 500, 500)), 0.15, 200, 150) == [Region(0, 0, 200, 150)]
    assert regions(boxes((199.2, 149.5, 230, 180)), 0.0, 200, 150) == [Region(199, 149, 200, 150)]
    assert regions(boxes((-20, -20, 0.5, 0.5)), 0.0, 200, 150) == [Region(0, 0, 1, 1)]


@pytest.mark.parametrize("box", [(-30, 10, -5, 40), (210, 10, 240, 40), (10, -30, 40, -1), (10, 151, 40, 190)])
def test_a_box_wholly_outside_hides_nothing(box: tuple[float, float, float, float]) -> None:
    assert regions(boxes(box), 0.0, 200, 150) == []


def test_no_boxes_give_no_regions() -> None:
    assert regions(boxes(), 0.15, 200, 150) == []


@given(
    method=st.sampled_from(list(METHODS)),
    strength=st.integers(1, 999),
    corners=st.tuples(*[st.floats(-80, 280)] * 4),
    padding=st.floats(0, 2),
)
def test_outside_the_grown_boxes_no_pixel_changes(
    method: str, strength: int, corners: tuple[float, float, float, float], padding: float
) -> None:
    x1, y1, x2, y2 = corners
    box = boxes((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    hidden = regions(box, padding, 200, 150)
    copy = PICTURE.copy()
    paint(copy, hidden, MaskOptions(method=method, strength=strength))
    for region in hidden:
        region.of(copy)[:] = region.of(PICTURE)
    assert (copy == PICTURE).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "region",
    [Region(0, 0, 60, 60), Region(140, 90, 200, 150), Region(50, 40, 130, 110), Region(0, 149, 200, 150), Region(0, 0, 200, 150)],
)  # fmt: skip
def test_inside_the_pixels_change(method: str, region: Region) -> None:
    changed = painted(PICTURE, region, method=method) != PICTURE
    share = region.of(changed).any(axis=2).mean()
    assert share > (0.7 if method == "elliptical" else 0.95)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "pixelate"])
def test_a_box_of_one_pixel_changes_that_pixel(method: str) -> None:
    region = Region(70, 60, 71, 61)
    assert (region.of(painted(PICTURE, region, method=method)) != region.of(PICTURE)).any()


@pytest.mark.parametrize("strength", [1, 2, 3, 19, 20, 45])
def test_a_small_blur_is_opencvs_of_the_whole_picture_to_the_pixel(strength: int) -> None:
    kernel = strength if strength % 2 else strength + 1
    whole = cv2.GaussianBlur(PICTURE, (kernel, kernel), kernel * SIGMA_PER_KERNEL)
    for region in (Region(0, 0, 30, 30), Region(60, 50, 120, 90), Region(199, 0, 200, 150)):
        assert (region.of(painted(PICTURE, region, strength=strength)) == region.of(whole)).all()


@pytest.mark.parametrize("strength", [51, 99, 199, 399, 999])
def test_a_large_blur_on_a_shrunk_copy_is_as_good_as_the_exact_one(strength: int) -> None:
    whole = cv2.GaussianBlur(DETAIL, (strength, strength), strength * SIGMA_PER_KERNEL)
    for region in (
        Region(0, 0, 90, 70),
        Region(200, 150, 430, 380),
        Region(570, 470, 600, 500),
        Region(0, 0, 600, 500),
    ):
        assert psnr(region.of(painted(DETAIL, region, strength=strength)), region.of(whole)) > 40


#: Two far apart, a row whose surroundings overlap, two that overlap themselves.
CROWDS = {
    "far": [Region(0, 0, 20, 20), Region(580, 480, 600, 500)],
    "near": [Region(left, 200, left + 40, 250) for left in range(20, 560, 50)],
    "overlapping": [Region(100, 100, 220, 220), Region(160, 150, 300, 260)],
}


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("strength", [9, 45, 51, 199, 999])
def test_every_face_shows_its_part_of_one_blur_of_the_picture_whatever_their_order(strength: int, crowd: str) -> None:
    faces = CROWDS[crowd]
    masked = painted(DETAIL, *faces, strength=strength)
    assert (painted(DETAIL, *reversed(faces), strength=strength) == masked).all()
    for face in faces:
        alone = painted(DETAIL, face, strength=strength)
        difference = face.of(masked).astype(int) - face.of(alone)
        assert np.abs(difference).max() <= (0 if strength < 50 else 1)  # a shrunk copy is blurred in floats


def test_an_even_kernel_is_rounded_up_to_odd() -> None:
    assert [kernel_of(strength) for strength in (1, 2, 198, 199, 998, 999)] == [1, 3, 199, 199, 999, 999]
    region = Region(20, 20, 90, 90)
    assert (painted(PICTURE, region, strength=20) == painted(PICTURE, region, strength=21)).all()


def test_strength_one_leaves_blur_and_mosaic_as_they_are() -> None:
    for method in ("gaussian", "pixelate", "elliptical"):
        assert (painted(PICTURE, Region(10, 10, 90, 90), method=method, strength=1) == PICTURE).all()


@pytest.mark.parametrize("strength", [2, 7, 20, 199, 999])
def test_every_block_of_a_mosaic_is_its_mean(strength: int) -> None:
    region = Region(13, 17, 13 + 93, 17 + 71)
    result = region.of(painted(PICTURE, region, method="pixelate", strength=strength))
    source = region.of(PICTURE)
    for top in range(0, region.height, strength):
        for left in range(0, region.width, strength):
            block = result[top : top + strength, left : left + strength].reshape(-1, 3)
            mean = source[top : top + strength, left : left + strength].reshape(-1, 3).mean(axis=0)
            assert (block == block[0]).all()
            assert np.abs(block[0] - mean).max() <= 0.51


def test_solid_is_black_or_the_chosen_colour() -> None:
    region = Region(10, 10, 50, 50)
    assert not region.of(painted(PICTURE, region, method="solid")).any()
    red = region.of(painted(PICTURE, region, method="solid", color="#ff8001"))
    assert (red == (0x01, 0x80, 0xFF)).all()


def test_the_ellipse_touches_every_side_and_leaves_the_corners() -> None:
    region = Region(40, 30, 141, 111)
    changed = region.of((painted(PICTURE, region, method="elliptical") != PICTURE).any(axis=2))
    assert not changed[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert changed[40, 0]
    assert changed[40, -1]
    assert changed[0, 50]
    assert changed[-1, 50]
    assert changed[30:50, 40:60].mean() > 0.95


@pytest.mark.parametrize("method", ["erase", "solid"])
def test_what_overwrites_keeps_nothing_of_the_face(method: str) -> None:
    first, second = Region(30, 20, 90, 100), Region(70, 60, 150, 140)
    other = PICTURE.copy()
    for region in (first, second):
        region.of(other)[:] = rasters.noise(region.width, region.height, seed=11)
    results = []
    for picture in (PICTURE.copy(), other):
        paint(picture, [first, second], MaskOptions(method=method))
        results.append(picture)
    assert (results[0] == results[1]).all()


def test_erase_takes_the_mean_of_the_frame_outside_and_grey_where_there_is_none() -> None:
    picture = np.full((40, 40, 3), 90, np.uint8)
    picture[10:20, 10:20] = 255
    assert (painted(picture, Region(10, 10, 20, 20), method="erase") == 90).all()
    assert (painted(picture, Region(0, 0, 40, 40), method="erase") == 128).all()


@pytest.mark.parametrize("method", METHODS)
def test_overlapping_faces_are_all_hidden(method: str) -> None:
    hidden = [Region(20, 20, 90, 90), Region(50, 50, 130, 130), Region(20, 20, 90, 90)]
    copy = PICTURE.copy()
    paint(copy, hidden, MaskOptions(method=method))
    for region in hidden:
        assert (region.of(copy) != region.of(PICTURE)).any(axis=2).mean() > 0.7


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(10, 10), (10, 300), (300, 10), (11, 13)])
def test_the_largest_strength_works_on_the_smallest_pictures(method: str, size: tuple[int, int]) -> None:
    picture = rasters.noise(*size)
    painted(picture, Region(0, 0, *size), method=method, strength=999)
    painted(picture, Region(3, 3, 4, 4), method=method, strength=999)


@pytest.mark.parametrize(
    ("options", "cell"),
    [({"method": "pixelate", "strength": 20}, 20.0), ({"strength": 199}, 199 / 3), ({"method": "elliptical", "strength": 98}, 33.0)],
)  # fmt: skip
def test_weak_means_more_than_seven_cells_across_a_face(options: dict[str, object], cell: float) -> None:
    chosen = MaskOptions(**options)  # type: ignore[arg-type]
    at, past = cell * CELLS_MAX - 0.1, cell * CELLS_MAX + 0.1
    assert not is_weak(boxes((0, 0, 10, at)), chosen)
    assert is_weak(boxes((0, 0, 10, past)), chosen)
    assert is_weak(boxes((0, 0, past, 10), (0, 0, 5, 5)), chosen)


def test_what_overwrites_is_never_weak_and_no_face_is_never_weak() -> None:
    for method in ("solid", "erase"):
        assert not is_weak(boxes((0, 0, 5000, 5000)), MaskOptions(method=method, strength=1))
    assert not is_weak(boxes(), MaskOptions(strength=1))
