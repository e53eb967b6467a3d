"""Small rasters to put into files: drawn, so that they look like a picture and every pixel is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Raster = NDArray[np.uint8]


def colours(width: int = 64, height: int = 48) -> Raster:
    """(height, width, 3) uint8 RGB: ramps and discs, no two rows or columns alike."""
    y, x = np.mgrid[:height, :width]
    red = x * 255 // max(1, width - 1)
    green = y * 255 // max(1, height - 1)
    disc = (x - width * 0.4) ** 2 + (y - height * 0.6) ** 2 < (min(width, height) * 0.3) ** 2
    return np.stack([red, green, np.where(disc, 220, (x * 3 + y * 5) % 97)], axis=-1).astype(np.uint8)


def grey(width: int = 64, height: int = 48) -> Raster:
    """(height, width) uint8."""
    return colours(width, height).mean(axis=2).astype(np.uint8)


def indexed(width: int = 64, height: int = 48, colours_used: int = 16) -> tuple[Raster, Raster]:
    """(height, width) uint8 indices and (colours_used, 3) uint8 RGB palette, all colours different."""
    y, x = np.mgrid[:height, :width]
    steps = np.arange(colours_used)
    palette = np.stack([steps * 53 % 256, steps * 101 % 256, 255 - steps * 255 // max(1, colours_used - 1)], axis=-1)
    return ((x // 3 + y // 5) % colours_used).astype(np.uint8), palette.astype(np.uint8)


def noise(width: int = 64, height: int = 48, seed: int = 5) -> Raster:
    """(height, width, 3) uint8 RGB that does not compress."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
