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
        """By a method that does so in planes, in regions that `grown` gave."""
        method = METHODS[options.method]
        assert method.in_planes(options.strength), "the picture was opened for another method"
        for plane, level, shrunk in zip(self._planes.of_picture(), _levels(options.bgr), (1, 2, 2), strict=True):
            method.paint(plane, regions, options.strength, (level,), shrunk)

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
