"""The reference's letterbox: aspect kept, fitted to the top left, nothing else. Alone knows its arithmetic.

Source: insightface python-package/insightface/model_zoo/scrfd.py, `detect`; research notes a.3, points 2 to 5.
"""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

#: In rows: far more than OpenCV's rounding moves a place between two rows, which it computes in float32.
_ROUNDING = 1 / 64


class Letterbox(msgspec.Struct, frozen=True):
    """How a picture fits a square input: fitted size in pixels, and input pixels per picture pixel.

    scale: fitted height / picture height, the reference's det_scale, one number for both axes.
    """

    side: int
    rows: int
    cols: int
    scale: float

    @staticmethod
    def fit(width: int, height: int, side: int) -> Letterbox:
        """`int(side / (h / w))`, not `int(side * w / h)`: they differ by a pixel for some sizes.

        A side never falls to 0 (the reference fails there): pictures more than 640 times longer than
        wide are squeezed into one pixel.
        """
        ratio = float(height) / width
        if ratio > 1.0:
            rows, cols = side, int(side / ratio)
        else:
            rows, cols = int(side * ratio), side
        rows, cols = max(1, rows), max(1, cols)
        return Letterbox(side, rows, cols, float(rows) / height)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) or (H, W) uint8 → (rows, cols, …) uint8, same order, C-contiguous; bilinear without antialias."""
        resized = cv2.resize(pixels, (self.cols, self.rows), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(resized, dtype=np.uint8)

    def rows_read(self, height: int) -> NDArray[np.bool_]:
        """(height,): the rows of a picture that `apply` looks at, two for each of its own, and hardly any other.

        Bilinear reads at (row + ½) × height / rows - ½, between two rows.
        """
        places = (np.arange(self.rows) + 0.5) * height / self.rows - 0.5
        first, last = np.floor(places - _ROUNDING), np.floor(places + _ROUNDING) + 1
        read = np.zeros(height, np.bool_)
        for row in (first, first + 1, last):
            read[np.clip(row, 0, height - 1).astype(int)] = True
        return read
