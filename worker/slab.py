"""The batch buffer: crops in, black around them. Owns the only array the network reads; rows are reused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Slab:
    """Room for `capacity` inputs of `side`×`side`; remembers what it painted so that little is blackened again."""

    def __init__(self, capacity: int, side: int, images: NDArray[np.uint8] | None = None) -> None:
        """images: black memory to use, (capacity, side, side, 3), where it must be of a special kind."""
        self.side = side
        self._images = np.zeros((capacity, side, side, 3), dtype=np.uint8) if images is None else images
        assert self._images.shape == (capacity, side, side, 3), self._images.shape
        self._painted = [(0, 0)] * capacity

    def fill(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """(len(crops), side, side, 3) uint8 BGR: each crop top left on black. Good until the next `fill`.

        crops: (rows, cols, 3) uint8, rows and cols up to side.
        """
        assert len(crops) <= len(self._painted)
        for row, crop in enumerate(crops):
            self._paint(row, crop)
        return self._images[: len(crops)]

    def _paint(self, row: int, crop: NDArray[np.uint8]) -> None:
        rows, cols, channels = crop.shape
        assert channels == 3
        assert max(rows, cols) <= self.side
        stale_rows, stale_cols = self._painted[row]
        image = self._images[row]
        image[:rows, :cols] = crop
        if stale_cols > cols:
            image[:rows, cols:stale_cols] = 0
        if stale_rows > rows:
            image[rows:stale_rows, : max(cols, stale_cols)] = 0
        self._painted[row] = (rows, cols)
