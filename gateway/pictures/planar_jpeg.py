"""A JPEG that is masked in its planes: colours are made only of what is under the masks, and of what a network sees.

For models that are not promised the reference's pixels, and where the answer is a JPEG: what nobody masks then goes
from the one file's blocks to the other's without becoming colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from gateway.pictures.anonymous_memory import blank
from gateway.pictures.blur import blurred, kernel_of
from gateway.pictures.kept_jpeg import segments
from gateway.pictures.libjpeg_planes import Planes, halves, write_planes
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import MaskOptions, hide
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.views import shown

#: Rows that become colours, or samples, at once. Even.
_STRIP_ROWS = 256


class PlanarJpeg:
    """A picture in planes that is masked and written as a JPEG."""

    def __init__(self, planes: Planes, quality: int, exif: bytes) -> None:
        """planes: change for good. quality: 1..100. exif: the block that is to be written."""
        self._planes, self._quality, self._exif = planes, quality, exif

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """To whole samples of colour, so that none holds both what is hidden and what stays: by a pixel at most."""
        return [self._grown(region, 0) for region in regions]

    def hide(self, regions: list[Region], options: MaskOptions, overlay: Pixels | None = None) -> None:
        """As `masking.hide` does, in regions that `grown` gave."""
        method = METHODS[options.method]
        if method.by_copy(options.strength) > 1:
            self._blur(regions, kernel_of(options.strength))
            return
        pixels = self._seen(regions, method.beside(options.strength))
        hide(pixels, regions, options, overlay)
        for region in regions:
            self._show(region, region.of(pixels))

    def write(self) -> memoryview:
        """The file. Raises LibjpegError."""
        return write_planes(self._planes, self._quality, segments(self._exif, b""))

    def _blur(self, regions: list[Region], kernel: int) -> None:
        """A blur of colours is one of each plane. All see the picture as it was."""
        samples = [_halved(region) for region in regions]
        y, *colours = self._planes.of_picture()
        planes = [(y, 1, regions), *((plane, 2, samples) for plane in colours)]
        blurs = [blurred(plane, regions, kernel, shrunk) for plane, shrunk, _places in planes]
        for (plane, shrunk, places), soft in zip(planes, blurs, strict=True):
            for blur, place in zip(soft, places, strict=True):
                place.of(plane)[:] = blur.of(place, shrunk)

    def _show(self, region: Region, pixels: Pixels) -> None:
        """Gives a region's samples its pixels' colours."""
        for strip in _strips(region):
            y, cr, cb = cv2.split(cv2.cvtColor(_within(strip, region).of(pixels), cv2.COLOR_BGR2YCrCb))
            strip.of(self._planes.y)[:] = y
            samples = _halved(strip)
            size = (samples.width, samples.height)
            for plane, full in ((self._planes.cb, cb), (self._planes.cr, cr)):
                samples.of(plane)[:] = cv2.resize(_even(full), size, interpolation=cv2.INTER_AREA)

    def _seen(self, regions: Sequence[Region], near: int) -> Pixels:
        """(H, W, 3) uint8 BGR: the picture in these regions and so many pixels around them.

        Black elsewhere, which takes no memory.
        """
        planes = self._planes
        memory = blank(planes.height * planes.width * 3)
        picture = np.frombuffer(memory, np.uint8).reshape(planes.height, planes.width, 3)
        for place in _together([self._grown(region, near) for region in regions]):
            for strip in _strips(place):
                wide = self._grown(strip, 2)  # colours lie between the samples
                size = (2 * halves(wide.width), 2 * halves(wide.height))
                colours = (cv2.resize(_halved(wide).of(plane), size) for plane in (planes.cr, planes.cb))
                inner = _within(strip, wide)
                within = (inner.of(cast("Pixels", each)) for each in colours)
                strip.of(picture)[:] = _bgr(cv2.merge([strip.of(planes.y), *within]))
        return picture

    def _grown(self, region: Region, more: int) -> Region:
        """By `more` pixels each way, then to whole samples of colour, within the picture."""
        return replace(
            region,
            left=max(0, region.left - more) // 2 * 2,
            top=max(0, region.top - more) // 2 * 2,
            right=min(2 * halves(region.right + more), self._planes.width),
            bottom=min(2 * halves(region.bottom + more), self._planes.height),
        )


def shown_of(planes: Planes, width: int, height: int, sides: tuple[int, ...]) -> list[Pixels]:
    """What `views.shown` shows of the picture, in the same pixels but for how colours lie between samples."""
    y, cb, cr = (shown(plane, width, height, sides, 0) for plane in planes.of_picture())
    return [_bgr(cv2.merge(parts)) for parts in zip(y, cr, cb, strict=True)]


def _bgr(ycrcb: cv2.typing.MatLike) -> Pixels:
    return cast("Pixels", cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR))


def _strips(region: Region) -> Iterable[Region]:
    """Some rows at once, for the memory that they take."""
    for top in range(region.top, region.bottom, _STRIP_ROWS):
        yield replace(region, top=top, bottom=min(top + _STRIP_ROWS, region.bottom))


def _within(region: Region, other: Region) -> Region:
    """Where it lies in another."""
    left, top = region.left - other.left, region.top - other.top
    return replace(region, left=left, top=top, right=left + region.width, bottom=top + region.height)


def _halved(region: Region) -> Region:
    """A region that begins with whole samples of colour, in these."""
    return Region(region.left // 2, region.top // 2, halves(region.right), halves(region.bottom))


def _even(plane: cv2.typing.MatLike) -> cv2.typing.MatLike:
    """With the picture's last odd row and column once more."""
    below, beside = (length % 2 for length in plane.shape)
    return cv2.copyMakeBorder(plane, 0, below, 0, beside, cv2.BORDER_REPLICATE) if below or beside else plane


def _together(places: Sequence[Region]) -> Iterable[Region]:
    """Once what holds them all, where that is less than each by itself."""
    if not places:
        return []
    hull = Region(
        min(place.left for place in places), min(place.top for place in places),
        max(place.right for place in places), max(place.bottom for place in places),
    )  # fmt: skip
    return [hull] if hull.area <= sum(place.area for place in places) else places
