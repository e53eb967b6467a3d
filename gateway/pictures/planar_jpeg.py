"""A JPEG that is masked in its planes: colours are made of what a network sees alone.

For models that are not promised the reference's pixels, and where the answer is a JPEG: what nobody masks then goes
from the one file's blocks to the other's without becoming colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from gateway.pictures.kept_jpeg import segments
from gateway.pictures.libjpeg_planes import Planes, halves, write_planes
from gateway.pictures.mask_methods import METHODS, Color
from gateway.pictures.masking import MaskOptions
from gateway.pictures.plane_methods import PlanePart
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.views import shown


class PlanarJpeg:
    """A picture in planes that is masked and written as a JPEG."""

    def __init__(self, planes: Planes, quality: int, exif: bytes) -> None:
        """planes: change for good. quality: 1..100. exif: the block that is to be written."""
        self._planes, self._quality, self._exif = planes, quality, exif

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """To whole samples of colour, so that none holds both what is hidden and what stays: by a pixel at most."""
        width, height = self._planes.width, self._planes.height
        return [
            replace(
                region,
                left=region.left // 2 * 2,
                top=region.top // 2 * 2,
                right=min(2 * halves(region.right), width),
                bottom=min(2 * halves(region.bottom), height),
            )
            for region in regions
        ]

    def hide(self, regions: list[Region], options: MaskOptions) -> None:
        """By a method that paints planes, in regions that `grown` gave."""
        paint = METHODS[options.method].in_planes(options.strength)
        assert paint is not None, "the picture was opened for another method"
        y, *colours = self._planes.of_picture()
        levels = _levels(options.bgr)
        samples = [
            Region(region.left // 2, region.top // 2, halves(region.right), halves(region.bottom)) for region in regions
        ]
        paint(PlanePart(y, 1, regions, regions, options.strength, levels[0]))
        for plane, level in zip(colours, levels[1:], strict=True):
            paint(PlanePart(plane, 2, regions, samples, options.strength, level))

    def write(self) -> memoryview:
        """The file."""
        return write_planes(self._planes, self._quality, segments(self._exif, b""))


def shown_of(planes: Planes, width: int, height: int, sides: tuple[int, ...]) -> list[Pixels]:
    """What `views.shown` shows of the picture, in the same pixels but for how colours lie between samples."""
    y, cb, cr = (shown(plane, width, height, sides, 0) for plane in planes.of_picture())
    return [
        cast("Pixels", cv2.cvtColor(cv2.merge(parts), cv2.COLOR_YCrCb2BGR)) for parts in zip(y, cr, cb, strict=True)
    ]


def _levels(color: Color) -> tuple[int, int, int]:
    """Y, Cb, Cr."""
    y, cr, cb = map(int, cv2.cvtColor(np.array([[color]], np.uint8), cv2.COLOR_BGR2YCrCb).ravel())
    return y, cb, cr
