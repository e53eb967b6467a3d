"""The masking methods: a row each, which parameters, documents and the weak rule read.

All work in place, on (H, W, 3) uint8 BGR, and some on (H, W) planes of a picture; outside the regions nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.pictures.blur import beside, blurred, cell_of, coarseness, kernel_of
from gateway.pictures.regions import Pixels, Region

#: Blue, green, red, 0..255 each; of a plane its one level.
Color = tuple[int, ...]
#: Pixels, regions, strength, colour, and how many times smaller the pixels are than the picture of the regions.
Paint = Callable[[Pixels, list[Region], int, Color, int], None]

_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class MaskMethod:
    """One way to hide faces.

    words: what it does, for callers. paint: hides the regions. cell: from the strength, pixels of one distinct cell
    that is left of a face; None where nothing is. beside: from the strength, how far around the regions paint looks,
    in pixels. by_copy: from the strength, how many times smaller a copy of the picture may be of which its blur is the
    same and all that shows; 0 where there is none. in_planes: from the strength, whether paint does in each plane what
    it does in colours, those of colour being half as large. lays: whether a picture is laid over what is painted.
    """

    words: str
    paint: Paint
    cell: Callable[[int], float] | None
    beside: Callable[[int], int]
    by_copy: Callable[[int], int]
    in_planes: Callable[[int], bool]
    lays: bool = False


def _solid(pixels: Pixels, hidden: list[Region], _strength: int, color: Color, shrunk: int) -> None:
    for region in hidden:
        _fill(pixels, region.shrunk(shrunk), color)


def _fill(pixels: Pixels, region: Region, color: Color) -> None:
    corner, opposite = (region.left, region.top), (region.right - 1, region.bottom - 1)
    cv2.rectangle(pixels, corner, opposite, color, cv2.FILLED)


def _pixelate(pixels: Pixels, hidden: list[Region], strength: int, _color: Color, _shrunk: int) -> None:
    for region in hidden:
        _in_blocks(region.of(pixels), strength)


def _in_blocks(window: Pixels, block: int) -> None:
    """Blocks from the top left; the last row and column of blocks may be smaller. Each becomes its mean."""
    height, width = window.shape[:2]
    for top, bottom in _spans(height, block):
        for left, right in _spans(width, block):
            part = window[top:bottom, left:right]
            tall, wide = min(block, bottom - top), min(block, right - left)
            cells = cv2.resize(part, ((right - left) // wide, (bottom - top) // tall), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(cells, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT)


def _spans(length: int, block: int) -> list[tuple[int, int]]:
    """The part of `length` that whole blocks cover, and the rest."""
    whole = length // block * block
    return [span for span in ((0, whole), (whole, length)) if span[0] < span[1]]


def _gaussian(pixels: Pixels, hidden: list[Region], strength: int, _color: Color, shrunk: int) -> None:
    """Every region shows its part of one blur of the picture as it was: the order of the faces means nothing."""
    for region, soft in zip(hidden, blurred(pixels, hidden, kernel_of(strength), shrunk), strict=True):
        place = region.shrunk(shrunk)
        place.of(pixels)[:] = soft.of(place, shrunk)


def _elliptical(pixels: Pixels, hidden: list[Region], strength: int, _color: Color, shrunk: int) -> None:
    """The same, inside the ellipses alone; but what somebody drew is hidden up to its corners."""
    for region, soft in zip(hidden, blurred(pixels, hidden, kernel_of(strength), shrunk), strict=True):
        place = region.shrunk(shrunk)
        if region.whole:
            place.of(pixels)[:] = soft.of(place, shrunk)
        else:
            cv2.copyTo(soft.of(place, shrunk), _ellipse(place.height, place.width), place.of(pixels))


def _ellipse(height: int, width: int) -> Pixels:
    """(height, width) uint8, 1 inside the inscribed ellipse, else 0; it touches the middle of every side."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return (np.square(x)[None, :] <= 1 - np.square(y)[:, None]).view(np.uint8)


def _erase(pixels: Pixels, hidden: list[Region], strength: int, _color: Color, shrunk: int) -> None:
    """First all regions turn grey, then each takes the mean colour of its frame: nothing of a face remains."""
    _solid(pixels, hidden, strength, _GREY, shrunk)
    for region in hidden:
        place = region.shrunk(shrunk)
        _fill(pixels, place, _mean_of_frame(pixels, place))


def _mean_of_frame(pixels: Pixels, region: Region) -> Color:
    """The mean of the one-pixel frame just outside the region; grey where there is no outside."""
    height, width = pixels.shape[:2]
    rows = [row for row in (region.top - 1, region.bottom) if 0 <= row < height]
    cols = [col for col in (region.left - 1, region.right) if 0 <= col < width]
    lines = [pixels[row, region.left : region.right] for row in rows]
    lines += [pixels[region.top : region.bottom, col] for col in cols]
    if not lines:
        return _GREY
    return tuple(round(value) for value in np.atleast_1d(np.concatenate(lines).mean(axis=0)).tolist())


def _none(_strength: int) -> int:
    return 0


def _never(_strength: int) -> bool:
    return False


def _always(_strength: int) -> bool:
    return True


def _coarse(strength: int) -> bool:
    """Whether its blur looks at no single sample of a colour's plane."""
    return coarseness(strength) > 1


def _frame(_strength: int) -> int:
    return 1


#: By the names callers know them by.
METHODS = {
    "gaussian": MaskMethod(
        "Gaussian blur. `strength` = kernel size; even ones are rounded up to odd.",
        _gaussian,
        cell_of,
        beside,
        coarseness,
        _coarse,
    ),
    "pixelate": MaskMethod("Pixelation. `strength` = block size.", _pixelate, float, _none, _none, _never),
    "solid": MaskMethod("Rectangle in `color` over the face, black by default.", _solid, None, _none, _none, _always),
    "elliptical": MaskMethod("Gaussian blur with an elliptical mask.", _elliptical, cell_of, beside, _none, _coarse),
    "erase": MaskMethod(
        "The face is overwritten; nothing of it is left in the picture.",
        _erase,
        None,
        _frame,
        _none,
        _always,
    ),
    "overlay": MaskMethod(
        "The face is overwritten, and `overlay` laid over it, turned as the face is: a drawing by name, or a small "
        "picture of yours in the form part `overlay`.",
        _erase,
        None,
        _frame,
        _none,
        _never,
        lays=True,
    ),
}
