"""Masking methods in one plane of a picture: its brightness, or a colour of which a sample stands for 2 × 2 pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.pictures.blur import blurred, coarseness, kernel_of
from gateway.pictures.regions import Pixels, Region

#: Of brightness and of both colours.
_GREY = 128
#: Pixels of a sample of colour, each way.
_SHRUNK_MOST = 2


@dataclass(frozen=True, slots=True)
class PlanePart:
    """What is to be hidden in a plane.

    plane: (rows, columns) uint8, changed in place. shrunk: pixels of a sample, each way. regions: of the picture, in
    pixels, whole samples each; places: the same in samples. strength: the method's. level: 0..255, for what is filled.
    """

    plane: Pixels
    shrunk: int
    regions: list[Region]
    places: list[Region]
    strength: int
    level: int


PaintPlane = Callable[[PlanePart], None]


def fill(part: PlanePart) -> None:
    """With the level."""
    for place in part.places:
        place.of(part.plane)[:] = part.level


def erase(part: PlanePart) -> None:
    """As the method does: first all is grey, then each takes the mean of its frame."""
    for place in part.places:
        place.of(part.plane)[:] = _GREY
    for place in part.places:
        place.of(part.plane)[:] = _mean_of_frame(part.plane, place)


def blur(part: PlanePart) -> None:
    """All regions show one blur of the plane as it was."""
    for place, _whole, soft in _soft(part):
        place.of(part.plane)[:] = soft


def blur_ellipses(part: PlanePart) -> None:
    """The same in ellipses, but for what somebody drew."""
    for place, whole, soft in _soft(part):
        if whole:
            place.of(part.plane)[:] = soft
        else:
            cv2.copyTo(soft, ellipse(place.height, place.width), place.of(part.plane))


def where_coarse(paint: PaintPlane) -> Callable[[int], PaintPlane | None]:
    """From the strength: a blur, where the planes of colour hold all that it looks at."""
    return lambda strength: paint if coarseness(strength) >= _SHRUNK_MOST else None


def ellipse(height: int, width: int) -> Pixels:
    """(height, width) uint8, 1 inside the inscribed ellipse, else 0; it touches the middle of every side."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return (np.square(x)[None, :] <= 1 - np.square(y)[:, None]).view(np.uint8)


def _soft(part: PlanePart) -> Iterator[tuple[Region, bool, Pixels]]:
    """Each place, whether all of it is hidden, and its part of the blur."""
    blurs = blurred(part.plane, part.regions, kernel_of(part.strength), part.shrunk)
    for region, place, one in zip(part.regions, part.places, blurs, strict=True):
        yield place, region.whole, one.of(place, part.shrunk)


def _mean_of_frame(plane: Pixels, place: Region) -> int:
    """Of the samples just outside; grey where there is no outside."""
    rows, columns = plane.shape
    lines = [plane[row, place.left : place.right] for row in (place.top - 1, place.bottom) if 0 <= row < rows]
    lines += [plane[place.top : place.bottom, at] for at in (place.left - 1, place.right) if 0 <= at < columns]
    return round(float(np.concatenate(lines).mean())) if lines else _GREY
