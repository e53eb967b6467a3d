"""What is shown of a picture: all of it once per side, then its tiles. Both ends of a child's link know the order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.letterbox import Letterbox
from gateway.pictures.picture_facts import Crop
from gateway.pictures.picture_messages import CropShape
from gateway.pictures.tiling import Tiling


def shapes_of(width: int, height: int, sides: tuple[int, ...], tiles: int) -> list[CropShape]:
    """Of an upright picture of width × height pixels; at most `tiles` tiles, each an input of the first side."""
    fits = [Letterbox.fit(width, height, side) for side in sides]
    shapes = [CropShape(fit.rows, fit.cols, fit.side, fit.scale) for fit in fits]
    if tiles and (tiling := Tiling.of(width, height, sides[0], tiles)):
        size, scale = (tiling.tile_rows, tiling.tile_cols, tiling.side), tiling.scale
        shapes += [CropShape(*size, scale, x / scale, y / scale, tile=True) for x, y in tiling.corners]
    return shapes


def shown(
    pixels: NDArray[np.uint8], width: int, height: int, sides: tuple[int, ...], tiles: int
) -> list[NDArray[np.uint8]]:
    """(H, W, 3) or (H, W) uint8 → what each shape shows of it, same order, C-contiguous.

    width, height: as in `shapes_of`; of a picture that is not cut into tiles, `pixels` may be a smaller copy.
    """
    arrays = [Letterbox.fit(width, height, side).apply(pixels) for side in sides]
    if tiles and (tiling := Tiling.of(width, height, sides[0], tiles)):
        arrays += tiling.cut(pixels)
    return arrays


def rows_looked_at(width: int, height: int, sides: tuple[int, ...], tiles: int) -> NDArray[np.bool_]:
    """(height,): the rows of an upright picture that `shown` looks at; all where it is cut into tiles."""
    if tiles or not sides:
        return np.ones(height, np.bool_)
    read = np.zeros(height, np.bool_)
    for side in sides:
        read |= Letterbox.fit(width, height, side).rows_read(height)
    return read


def crop_of(shape: CropShape, pixels: NDArray[np.uint8]) -> Crop:
    """(rows, cols, 3) uint8 BGR pixels at their place."""
    return Crop(pixels, shape.side, shape.scale, shape.x, shape.y, shape.tile)


def shape_of(crop: Crop) -> CropShape:
    rows, cols, _ = crop.pixels.shape
    return CropShape(rows, cols, crop.side, crop.scale, crop.x, crop.y, crop.tile)
