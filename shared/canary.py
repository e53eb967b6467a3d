"""The canary picture: drawn faces that every SCRFD model finds. This file alone knows how they are drawn.

Prepared models carry what the untouched export finds on it; readiness is this picture answered alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces
from shared.messages import Canary

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Colour = tuple[float, float, float]

#: Of the canary picture, in pixels. Not square, so that a swapped axis shows.
HEIGHT, WIDTH = 480, 640

#: A dot on black in the corner: a face to the test networks (`tests/networks.py`), nothing to a real model.
MARK_TOP_LEFT = (384, 544)
MARK_FIELD, MARK_SIZE = 96, 8
MARK_COLOUR: Colour = (255, 24, 204)

_SKIN: Colour = (130, 165, 215)
_HAIR: Colour = (30, 40, 60)
_BROW: Colour = (35, 50, 75)
_LIP: Colour = (85, 80, 175)
_WHITE: Colour = (235, 235, 235)
_IRIS: Colour = (40, 45, 50)


@dataclass(frozen=True, slots=True)
class _Sitter:
    """One drawn face: centre and half width in pixels, and its colours (BGR)."""

    x: float
    y: float
    size: float
    skin: Colour = _SKIN
    hair: Colour = _HAIR


_SITTERS = (
    _Sitter(115, 215, 86),
    _Sitter(300, 130, 50, skin=(95, 130, 180)),
    _Sitter(470, 120, 36, skin=(60, 85, 130), hair=(20, 20, 25)),
    _Sitter(300, 350, 58, skin=(150, 180, 225), hair=(60, 95, 130)),
    _Sitter(470, 300, 26),
    _Sitter(560, 300, 18, skin=(95, 130, 180)),
    _Sitter(470, 400, 14, skin=(150, 180, 225), hair=(60, 95, 130)),
)


@cache
def canary_picture() -> Pixels:
    """(480, 640, 3) uint8 BGR, everybody's and not to be written; the same bytes on every machine."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    canvas = np.stack([110 + 0.10 * ys, 120 + 0.05 * xs, 100 + 0.06 * (xs + ys)], axis=2).astype(np.float32)
    for sitter in _SITTERS:
        _draw(canvas, xs, ys, sitter)
    top, left = MARK_TOP_LEFT
    canvas[top : top + MARK_FIELD, left : left + MARK_FIELD] = 0
    middle = (MARK_FIELD - MARK_SIZE) // 2
    mark = np.s_[top + middle : top + middle + MARK_SIZE, left + middle : left + middle + MARK_SIZE]
    canvas[mark] = MARK_COLOUR
    picture = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def disagreement(expected: Canary, found: Faces) -> str:
    """In words, how the faces found on the canary picture differ from the expected ones; empty when they agree.

    Order does not count: faces of nearly equal score may swap between precisions.
    """
    if len(found) != len(expected.faces):
        return f"{len(found)} faces found, {len(expected.faces)} expected"
    if not expected.faces:
        return ""
    wanted = Faces.unpacked(np.asarray(expected.faces, np.float32))
    free = list(range(len(found)))
    for box, score in zip(wanted.boxes, wanted.scores, strict=True):
        distances = [float(np.abs(found.boxes[index] - box).max()) for index in free]
        nearest = int(np.argmin(distances))
        index = free.pop(nearest)
        apart, drift = distances[nearest], abs(float(found.scores[index] - score))
        # Written so that a NaN disagrees.
        if not (apart <= expected.box_tolerance_px and drift <= expected.score_tolerance):
            return f"the face at {box.round(1).tolist()} differs by {apart:.2f} px and {drift:.4f} in score"
    return ""


def _draw(picture: Plane, xs: Plane, ys: Plane, sitter: _Sitter) -> None:
    """One face in its own frame: u, v in half widths from the middle, v downwards."""
    softness = np.float32(2.0 / sitter.size)

    def oval(
        x: float, y: float, a: float, b: float, colour: Colour, strength: float = 1.0, *, lit: bool = False
    ) -> None:
        """Middle and half axes; only the pixels that it reaches, softly over its edge, are computed."""
        reach = 1 + 1 / (sitter.size * min(a, b))
        left, right = (int(sitter.x + (x + side * a * reach) * sitter.size) for side in (-1, 1))
        top, bottom = (int(sitter.y + (y + side * b * reach) * sitter.size) for side in (-1, 1))
        window = np.s_[max(0, top) : bottom + 2, max(0, left) : right + 2]
        u = (xs[window] - np.float32(sitter.x)) / np.float32(sitter.size)
        v = (ys[window] - np.float32(sitter.y)) / np.float32(sitter.size)
        radius = np.sqrt(((u - x) / a) ** 2 + ((v - y) / b) ** 2)
        soft = np.clip((1 - radius) * np.float32(min(a, b)) / softness + 0.5, 0, 1)
        weight = (soft * np.float32(strength))[..., None]
        light = np.clip(1.05 - 0.25 * u * u - 0.10 * (v - 0.1) ** 2 - 0.12 * u, 0.4, 1.15)
        paint = np.asarray(colour, np.float32) * (light[..., None] if lit else np.float32(1))
        picture[window] = picture[window] * (1 - weight) + paint * weight

    oval(0, -0.25, 1.12, 1.35, sitter.hair)
    oval(0, 1.5, 0.45, 0.75, sitter.skin, 0.85, lit=True)
    oval(0, 0.1, 0.92, 1.25, sitter.skin, lit=True)
    for side in (-1.0, 1.0):
        eye = 0.38 * side
        oval(eye, -0.12, 0.25, 0.16, _BROW, 0.25)
        oval(eye, -0.28, 0.26, 0.055, _BROW, 0.9)
        oval(eye, -0.05, 0.19, 0.095, _WHITE, 0.9)
        oval(eye, -0.05, 0.09, 0.095, _IRIS)
        oval(0.11 * side, 0.41, 0.06, 0.04, _HAIR, 0.6)
        oval(0.13 * side, 0.15, 0.04, 0.25, _HAIR, 0.15)
    oval(0, 0.2, 0.05, 0.2, _WHITE, 0.25)
    oval(0, 0.45, 0.2, 0.05, _HAIR, 0.25)
    oval(0, 0.72, 0.33, 0.12, _LIP, 0.9)
    oval(0, 0.71, 0.3, 0.025, (40, 35, 80), 0.9)
    oval(0, 0.9, 0.2, 0.05, _HAIR, 0.15)
