"""The batch buffer: nothing of an earlier picture stays around a later one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.slab import Slab

SIZES = st.lists(st.tuples(st.integers(1, 32), st.integers(1, 32)), min_size=1, max_size=3)


@given(st.lists(SIZES, min_size=1, max_size=6))
def test_every_row_is_its_crop_on_black_whatever_was_there_before(batches: list[list[tuple[int, int]]]) -> None:
    slab = Slab(3, 32)
    for number, sizes in enumerate(batches, start=1):
        crops = [np.full((rows, cols, 3), number, np.uint8) for rows, cols in sizes]
        images = slab.fill(crops)
        assert images.shape == (len(crops), 32, 32, 3)
        for image, crop in zip(images, crops, strict=True):
            expected = np.zeros((32, 32, 3), np.uint8)
            expected[: crop.shape[0], : crop.shape[1]] = crop
            np.testing.assert_array_equal(image, expected)
