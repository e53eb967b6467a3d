"""Draws what people wear on and about a face: alone knows where it lies.

Placed by the five landmarks; the face underneath stays a face to be found.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.scenes import garments
from models.training.scenes.garments import Colour, colour

SHARE = 0.25  # of pasted faces that wear something drawn
REACH = 2.4  # eye distances from the middle of a garment's cut-out to its edges
FINEST = 256  # pixels of the largest garment that is drawn; larger ones are enlarged


def frame(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Middle of the eyes, and the face's own right and down, each one eye distance long."""
    right = points[1] - points[0]
    down = np.array([-right[1], right[0]], np.float32)
    mouth = (points[3] + points[4]) / 2 - (points[0] + points[1]) / 2
    if float(mouth @ down) < 0:
        down = -down
    reach = max(float(np.hypot(*right)), 0.7 * float(np.hypot(*mouth)))
    unit = reach / max(1e-3, float(np.hypot(*right)))
    return (points[0] + points[1]) / 2, right * unit, down * unit


def draw(picture: Picture, points: Floats, outline: list[tuple[float, float]], ink: Colour) -> None:
    """Fills an outline given in the face's own coordinates."""
    middle, right, down = frame(points)
    corners = np.array([middle + x * right + y * down for x, y in outline])
    fixed = np.round(corners * 16).astype(np.int32)
    cv2.fillPoly(picture, [fixed], ink, cv2.LINE_AA, 4)


def lay(picture: Picture, points: Floats, place: float, garment: Callable[[int], Picture]) -> None:
    """Lays a garment over a face, its cut-out's middle `place` eye distances below the eyes.

    garment: draws the cut-out, (side, side, 4) uint8 BGRA, in as many pixels as it will cover.
    """
    middle, right, down = frame(points)
    middle = middle + place * down
    corners = np.array([middle + x * right + y * down for x in (-REACH, REACH) for y in (-REACH, REACH)])
    x1, y1 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(corners.max(axis=0)), picture.shape[1::-1]).astype(int)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    side = max(16, min(FINEST, round(2 * REACH * float(np.hypot(*right)))))
    unit = 2 * REACH / side
    linear = np.stack([right, down], axis=1) * unit
    shift = middle - REACH * (right + down) - (x1, y1)
    matrix = np.hstack([linear, shift[:, None]])
    patch = cv2.warpAffine(garment(side), matrix, (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR)
    garments.blend(picture[y1:y2, x1:x2], np.asarray(patch, np.uint8))


def hat(picture: Picture, rng: random.Random, points: Floats) -> None:
    """A cap or hat whose brim reaches down to somewhere above the eyes."""
    lay(picture, points, rng.uniform(-0.75, -0.1), lambda side: garments.hat(rng, side))


def hair(picture: Picture, rng: random.Random, points: Floats) -> None:
    """Hair over temples, cheeks and forehead."""
    lay(picture, points, rng.uniform(0.3, 0.6), lambda side: garments.hair(rng, side))


def front(picture: Picture, rng: random.Random, points: Floats) -> None:
    """A jacket's front with a shirt, below the chin."""
    lay(picture, points, rng.uniform(2.1, 2.5) + REACH, lambda side: garments.front(rng, side))


def mask(picture: Picture, rng: random.Random, points: Floats) -> None:
    """A cloth or surgical mask from the nose down."""
    ink = colour(rng) if rng.random() < 0.5 else (rng.uniform(200, 250),) * 3
    top = rng.uniform(0.35, 0.6)
    outline = [(-0.95, top + 0.1), (0, top - 0.1), (0.95, top + 0.1), (0.7, 1.6), (0, 1.95), (-0.7, 1.6)]
    draw(picture, points, outline, ink)


def glasses(picture: Picture, rng: random.Random, points: Floats) -> None:
    """Dark glasses over both eyes."""
    dark = rng.uniform(0, 50)
    ink: Colour = (dark, dark, dark)
    high, low = rng.uniform(0.15, 0.28), rng.uniform(0.18, 0.4)
    for side in (-0.5, 0.5):
        outline = [(side - 0.4, -high), (side + 0.4, -high), (side + 0.3, low), (side - 0.3, low)]
        draw(picture, points, outline, ink)
    draw(picture, points, [(-0.95, -high), (0.95, -high), (0.95, -high / 3), (-0.95, -high / 3)], ink)


def beard(picture: Picture, rng: random.Random, points: Floats) -> None:
    """A dark, soft lower half."""
    middle, right, down = frame(points)
    centre = middle + 1.35 * down
    side = int(np.hypot(*right))
    x1, y1 = np.maximum(centre - side, 0).astype(int)
    x2, y2 = np.minimum(centre + side, picture.shape[1::-1]).astype(int)
    if x2 - x1 < 4 or y2 - y1 < 4:
        return
    region = picture[y1:y2, x1:x2]
    layer = np.zeros(region.shape[:2], np.float32)
    place = int(centre[0] - x1), int(centre[1] - y1)
    cv2.ellipse(layer, place, (int(0.75 * side), int(0.6 * side)), 0, 0, 360, 1.0, -1)
    layer = cv2.GaussianBlur(layer, (0, 0), max(0.5, side * 0.12)) * rng.uniform(0.3, 0.75)
    region[:] = (region * (1 - layer[..., None])).astype(np.uint8)


def maybe_dress(picture: Picture, rng: random.Random, points: Floats) -> None:
    """Draws one thing worn on a share of the faces, into `picture`."""
    if rng.random() < SHARE and float(np.hypot(*(points[1] - points[0]))) > 2:
        rng.choice((hat, hat, hat, hair, hair, front, front, mask, glasses, beard))(picture, rng, points)
