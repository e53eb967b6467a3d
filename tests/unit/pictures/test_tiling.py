"""Tiles: few enough, all of the picture, and every small face whole in one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pictures.tiling import OVERLAP, Tiling
from gateway.pictures.views import shapes_of, shown

SIDE = 64
lengths = st.integers(SIDE // 2, 40 * SIDE)


def covered(tiling: Tiling) -> np.ndarray:
    seen = np.zeros((tiling.rows, tiling.cols), bool)
    for x, y in tiling.corners:
        seen[y : y + tiling.tile_rows, x : x + tiling.tile_cols] = True
    return seen


@given(lengths, lengths, st.integers(1, 32))
def test_at_most_so_many_tiles_show_all_of_the_picture_and_lie_inside_it(width: int, height: int, most: int) -> None:
    tiling = Tiling.of(width, height, SIDE, most)
    if tiling is None:
        return
    assert 1 < len(tiling.corners) <= most
    assert len(set(tiling.corners)) == len(tiling.corners)
    assert covered(tiling).all()
    assert all(x + tiling.tile_cols <= tiling.cols and y + tiling.tile_rows <= tiling.rows for x, y in tiling.corners)
    assert tiling.scale <= 1


@given(lengths, lengths, st.integers(2, 32), st.data())
def test_what_is_no_larger_than_the_overlap_is_whole_in_some_tile(
    width: int, height: int, most: int, data: st.DataObject
) -> None:
    tiling = Tiling.of(width, height, SIDE, most)
    if tiling is None:
        return
    size = int(SIDE * OVERLAP) - 1
    left = data.draw(st.integers(0, max(0, tiling.cols - size)))
    top = data.draw(st.integers(0, max(0, tiling.rows - size)))
    right, bottom = min(left + size, tiling.cols), min(top + size, tiling.rows)
    assert any(
        x <= left and y <= top and right <= x + tiling.tile_cols and bottom <= y + tiling.tile_rows
        for x, y in tiling.corners
    )


def test_a_picture_is_looked_at_in_its_own_pixels_where_the_tiles_suffice_and_smaller_where_not() -> None:
    crowd = Tiling.of(1600, 898, 640, 16)
    assert crowd is not None
    assert (crowd.scale, len(crowd.corners)) == (1.0, 6)
    large = Tiling.of(4000, 3000, 640, 12)
    assert large is not None
    assert 0.4 < large.scale < 1
    assert len(large.corners) <= 12


@pytest.mark.parametrize(("width", "height"), [(640, 640), (640, 360), (700, 500)])
def test_a_picture_that_the_whole_look_shows_nearly_as_large_has_no_tiles(width: int, height: int) -> None:
    assert Tiling.of(width, height, 640, 16) is None


def test_a_tile_shows_the_picture_s_own_pixels_at_its_place() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (100, 150, 3), np.uint8)
    shapes, arrays = shapes_of(150, 100, (SIDE,), 32), shown(pixels, 150, 100, (SIDE,), 32)
    assert len(shapes) == len(arrays) > 2
    for shape, array in zip(shapes[1:], arrays[1:], strict=True):
        assert shape.tile
        assert shape.scale == 1
        x, y = int(shape.x), int(shape.y)
        np.testing.assert_array_equal(array, pixels[y : y + shape.rows, x : x + shape.cols])
