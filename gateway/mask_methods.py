"""How each method paints over a region. Alone knows how a large blur is made cheap.

All work in place on (H, W, 3) uint8 BGR, C-contiguous; outside the regions nothing changes.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.masking import SIGMA_PER_KERNEL, MaskOptions, Pixels, Region

#: The blur is computed on a smaller copy as long as its sigma there stays above this many pixels.
_SIGMA_WHEN_SHRUNK = 6.0
_GREY = (128, 128, 128)
#: Samples along each side of the frame around an erased region.
_FRAME_CELLS = 4
_ERASE_SIDE_MAX = 64


def paint(pixels: Pixels, hidden: list[Region], options: MaskOptions) -> None:
    """Hides the regions with the chosen method."""
    if options.method == "solid":
        _solid(pixels, hidden, options.bgr)
    elif options.method == "pixelate":
        for region in hidden:
            _pixelate(region.of(pixels), options.strength)
    elif options.method == "erase":
        _erase(pixels, hidden)
    else:
        _blur(pixels, hidden, kernel_of(options.strength), elliptical=options.method == "elliptical")


def kernel_of(strength: int) -> int:
    """The blur's kernel size: even strengths are rounded up to odd."""
    return strength | 1


def _solid(pixels: Pixels, hidden: list[Region], color: tuple[int, int, int]) -> None:
    for region in hidden:
        region.of(pixels)[:] = color


def _pixelate(window: Pixels, block: int) -> None:
    """Blocks from the top left; the last row and column of blocks may be smaller. Each becomes its mean."""
    height, width = window.shape[:2]
    for top, bottom in _spans(height, block):
        for left, right in _spans(width, block):
            part = window[top:bottom, left:right]
            tall, wide = min(block, bottom - top), min(block, right - left)
            cells = cv2.resize(part, ((right - left) // wide, (bottom - top) // tall), interpolation=cv2.INTER_AREA)
            part[:] = np.repeat(np.repeat(cells.reshape(-1, (right - left) // wide, 3), tall, 0), wide, 1)


def _spans(length: int, block: int) -> list[tuple[int, int]]:
    """The part of `length` that whole blocks cover, and the rest."""
    whole = length // block * block
    return [span for span in ((0, whole), (whole, length)) if span[0] < span[1]]


def _blur(pixels: Pixels, hidden: list[Region], kernel: int, *, elliptical: bool) -> None:
    """Every region shows the blurred picture beneath it; all are computed before any is painted."""
    blurred = [blur_region(pixels, region, kernel) for region in hidden]
    for region, window in zip(hidden, blurred, strict=True):
        if elliptical:
            inside = _ellipse(region.height, region.width)
            cv2.copyTo(window, inside, region.of(pixels))
        else:
            region.of(pixels)[:] = window


def blur_region(pixels: Pixels, region: Region, kernel: int) -> Pixels:
    """(region height, region width, 3): what a Gaussian blur of the whole picture would show in the region.

    Truncated at the kernel's edge, mirrored at the picture's. Large kernels work on a copy shrunk by area.
    """
    sigma, reach = kernel * SIGMA_PER_KERNEL, kernel // 2
    shrink = max(1, int(sigma / _SIGMA_WHEN_SHRUNK))
    around, inner = _surroundings(pixels, region, reach, shrink)
    if shrink == 1:
        blurred = cv2.GaussianBlur(around, (kernel, kernel), sigma, borderType=cv2.BORDER_REFLECT_101)
    else:
        size = (around.shape[1] // shrink, around.shape[0] // shrink)
        small = cv2.resize(around, size, interpolation=cv2.INTER_AREA)
        reach_small = max(1, round(reach / shrink))
        kernel_small = 2 * reach_small + 1
        small = cv2.GaussianBlur(small, (kernel_small, kernel_small), sigma / shrink, borderType=cv2.BORDER_REFLECT_101)
        blurred = cv2.resize(small, (around.shape[1], around.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(inner.of(cast("Pixels", blurred)))


def _surroundings(pixels: Pixels, region: Region, reach: int, shrink: int) -> tuple[Pixels, Region]:
    """The region with `reach` pixels around it, mirrored where the picture ends, its sides multiples of `shrink`."""
    height, width = pixels.shape[:2]
    right_more, bottom_more = -(region.width + 2 * reach) % shrink, -(region.height + 2 * reach) % shrink
    rows = _mirrored(region.top - reach, region.bottom + reach + bottom_more, height)
    cols = _mirrored(region.left - reach, region.right + reach + right_more, width)
    inner = Region(reach, reach, reach + region.width, reach + region.height)
    if isinstance(rows, slice) and isinstance(cols, slice):
        return pixels[rows, cols], inner
    return np.ascontiguousarray(pixels[rows][:, cols]), inner


def _mirrored(start: int, stop: int, length: int) -> slice | NDArray[np.int64]:
    """Indices start..stop-1 of an axis of `length`, reflected at its ends (101: the edge is not repeated)."""
    if start >= 0 and stop <= length:
        return slice(start, stop)
    if length == 1:
        return np.zeros(stop - start, np.int64)
    period = 2 * (length - 1)
    index = np.arange(start, stop) % period
    return np.where(index < length, index, period - index)


def _ellipse(height: int, width: int) -> Pixels:
    """(height, width) uint8, 255 inside the inscribed ellipse; it touches the middle of every side."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    inside: Pixels = (np.square(y)[:, None] + np.square(x)[None, :] <= 1.0).astype(np.uint8) * 255
    return inside


def _erase(pixels: Pixels, hidden: list[Region]) -> None:
    """First all regions turn grey, then each is filled from the frame around it: nothing of a face remains."""
    _solid(pixels, hidden, _GREY)
    for region in hidden:
        region.of(pixels)[:] = _filled_from_frame(pixels, region)


def _filled_from_frame(pixels: Pixels, region: Region) -> Pixels:
    """A smooth fill from the one-pixel frame outside the region, each side weighted by its nearness."""
    height, width = min(region.height, _ERASE_SIDE_MAX), min(region.width, _ERASE_SIDE_MAX)
    rows, cols = np.arange(height, dtype=np.float32)[:, None, None], np.arange(width, dtype=np.float32)[None, :, None]
    total: NDArray[np.float64] = np.zeros((height, width, 3))
    weights: NDArray[np.float64] = np.zeros((height, width, 1))
    picture_height, picture_width = pixels.shape[:2]
    sides = (
        (region.top > 0, pixels[region.top - 1, region.left : region.right], (1, width), rows),
        (
            region.bottom < picture_height,
            pixels[min(region.bottom, picture_height - 1), region.left : region.right],
            (1, width),
            height - 1 - rows,
        ),
        (region.left > 0, pixels[region.top : region.bottom, region.left - 1], (height, 1), cols),
        (
            region.right < picture_width,
            pixels[region.top : region.bottom, min(region.right, picture_width - 1)],
            (height, 1),
            width - 1 - cols,
        ),
    )
    for present, line, shape, distance in sides:
        if present:
            weight = 1 / (1 + distance)
            total = total + _smooth(line, max(shape)).reshape(*shape, 3) * weight
            weights = weights + weight
    if not weights.any():
        return region.of(pixels)
    small = np.clip(total / weights + 0.5, 0, 255).astype(np.uint8)
    return cast("Pixels", cv2.resize(small, (region.width, region.height), interpolation=cv2.INTER_LINEAR))


def _smooth(line: Pixels, length: int) -> NDArray[np.float32]:
    """(n, 3) uint8 → (length, 3) float32: at most a few averages of the line, joined smoothly."""
    cells = min(_FRAME_CELLS, len(line))
    averages = cv2.resize(line.reshape(-1, 1, 3).astype(np.float32), (1, cells), interpolation=cv2.INTER_AREA)
    joined = cv2.resize(averages.reshape(-1, 1, 3), (1, length), interpolation=cv2.INTER_LINEAR)
    return np.asarray(joined, np.float32).reshape(length, 3)
