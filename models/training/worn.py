"""Draws what people wear on a face: alone knows hats, masks and dark glasses.

Placed by the five landmarks; the face underneath stays a face to be found.
"""

from __future__ import annotations

import random

import cv2
import numpy as np

from models.training.clutter import Colour, colour
from models.training.material import Floats, Picture

SHARE = 0.2  # of pasted faces that wear something drawn


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


def hat(picture: Picture, rng: random.Random, points: Floats) -> None:
    """A cap or hat whose brim reaches down to just above the eyes."""
    ink = colour(rng)
    brim, top = rng.uniform(-0.75, -0.3), rng.uniform(-2.2, -1.3)
    draw(picture, points, [(-1, brim), (-0.85, top), (0.85, top), (1, brim)], ink)
    if rng.random() < 0.6:
        band: Colour = (ink[0] * 0.6, ink[1] * 0.6, ink[2] * 0.6)
        wide = rng.uniform(1.0, 1.7)
        outline = [(-wide, brim), (-1, brim - 0.15), (1, brim - 0.15), (wide, brim)]
        draw(picture, points, outline, band)


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
        rng.choice((hat, hat, mask, glasses, beard))(picture, rng, points)
