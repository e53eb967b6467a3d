"""How each method paints over a region. Alone knows how a large blur is made cheap.

All work in place on (H, W, 3) uint8 BGR, C-contiguous; outside the regions nothing changes.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.masking import SIGMA_PER_KERNEL, MaskOptions, Pixels, Region, kernel_of

#: The blur is computed on a smaller copy on which its kernel still reaches this many pixels to each side.
_REACH_WHEN_SHRUNK = 12
_GREY = (128, 128, 128)


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


def _solid(pixels: Pixels, hidden: list[Region], color: tuple[int, int, int]) -> None:
    for region in hidden:
        _fill(pixels, region, color)


def _fill(pixels: Pixels, region: Region, color: tuple[int, ...]) -> None:
    corner, opposite = (region.left, region.top), (region.right - 1, region.bottom - 1)
    cv2.rectangle(pixels, corner, opposite, color, cv2.FILLED)


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
    """One region after the other: where they overlap, the later one blurs what is blurred already."""
    for region in hidden:
        window = blur_region(pixels, region, kernel)
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
    shrink = max(1, reach // _REACH_WHEN_SHRUNK)
    around, inner = _surroundings(pixels, region, reach, shrink)
    if shrink == 1:
        return np.ascontiguousarray(inner.of(_gaussian(around, reach, sigma)))
    size = (around.shape[1] // shrink, around.shape[0] // shrink)
    small = cv2.resize(around, size, interpolation=cv2.INTER_AREA).astype(np.float32)  # float: faster when small
    small = np.rint(_gaussian(small, max(1, round(reach / shrink)), sigma / shrink)).astype(np.uint8)
    return _enlarged(small, inner, shrink)


def _gaussian(pixels: NDArray[Any], reach: int, sigma: float) -> NDArray[Any]:
    size = (2 * reach + 1, 2 * reach + 1)
    return cv2.GaussianBlur(pixels, size, sigma, borderType=cv2.BORDER_REFLECT_101)


def _enlarged(small: Pixels, inner: Region, shrink: int) -> Pixels:
    """The pixels `inner` of `small` enlarged `shrink` times, without enlarging the rest of it."""
    top, left = max(0, inner.top // shrink - 1), max(0, inner.left // shrink - 1)
    part = small[top : -(-inner.bottom // shrink) + 1, left : -(-inner.right // shrink) + 1]
    size = (part.shape[1] * shrink, part.shape[0] * shrink)
    large = cast("Pixels", cv2.resize(part, size, interpolation=cv2.INTER_LINEAR))
    down, right = inner.top - top * shrink, inner.left - left * shrink
    return large[down : down + inner.height, right : right + inner.width]


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
    """First all regions turn grey, then each takes the mean colour of its frame: nothing of a face remains."""
    _solid(pixels, hidden, _GREY)
    for region in hidden:
        _fill(pixels, region, _mean_of_frame(pixels, region))


def _mean_of_frame(pixels: Pixels, region: Region) -> tuple[int, ...]:
    """Blue, green, red: the mean of the one-pixel frame just outside the region; grey where there is no outside."""
    height, width = pixels.shape[:2]
    rows = [row for row in (region.top - 1, region.bottom) if 0 <= row < height]
    cols = [col for col in (region.left - 1, region.right) if 0 <= col < width]
    lines = [pixels[row, region.left : region.right] for row in rows]
    lines += [pixels[region.top : region.bottom, col] for col in cols]
    if not lines:
        return _GREY
    return tuple(round(value) for value in np.concatenate(lines).mean(axis=0).tolist())
