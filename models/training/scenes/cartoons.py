"""Draws faces as a brush does: alone knows cartoons, which are no faces of people."""

from __future__ import annotations

import random

import cv2
import numpy as np

from models.training.material.folder import Picture
from models.training.scenes.garments import Colour, blend, colour, noise

LEAST = 40.0  # pixels: a smaller cartoon could not be told from a small face
SIDE = 192  # pixels of a cut-out


def cartoon(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: a flat, outlined face, cut out or on its sheet."""
    thick = rng.randint(2, 9)
    ink = (rng.uniform(0, 60),) * 3 if rng.random() < 0.8 else colour(rng)
    paper = (rng.uniform(190, 255),) * 3 if rng.random() < 0.6 else colour(rng)
    middle, axes = (96 + rng.randint(-10, 10), 96 + rng.randint(-10, 10)), (rng.randint(46, 84), rng.randint(46, 88))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    plate = np.full((SIDE, SIDE, 3), paper, np.uint8)
    if rng.random() < 0.5:
        mask[:] = 255
        plate[:] = paper if rng.random() < 0.5 else colour(rng)
    face = paper if rng.random() < 0.7 else colour(rng)
    for layer, fill, line in ((plate, face, ink), (mask, 255, 255)):
        cv2.ellipse(layer, middle, axes, 0, 0, 360, fill, -1, cv2.LINE_AA)
        cv2.ellipse(layer, middle, axes, 0, 0, 360, line, thick, cv2.LINE_AA)
    features(plate, rng, middle, axes, ink, face, thick)
    return np.dstack([plate, mask])


def features(
    plate: Picture,
    rng: random.Random,
    middle: tuple[int, int],
    axes: tuple[int, int],
    ink: Colour,
    face: Colour,
    thick: int,
) -> None:
    """Draws eyes that glance one way, a nose and a mouth into an oval, with lines `thick` pixels wide."""
    apart, high = rng.uniform(0.2, 0.5) * axes[0], middle[1] - rng.uniform(0, 0.45) * axes[1]
    tall, glance = rng.uniform(0.12, 0.5) * axes[1], rng.uniform(-0.3, 0.3) * axes[0]
    for way in (-1, 1):
        eye = round(middle[0] + way * apart + glance), round(high)
        white = max(2, round(apart * rng.uniform(0.4, 0.95))), max(2, round(tall))
        cv2.ellipse(plate, eye, white, rng.uniform(-10, 10), 0, 360, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.ellipse(plate, eye, white, 0, 0, 360, ink, thick, cv2.LINE_AA)
        pupil = max(1, round(white[0] * rng.uniform(0.3, 0.8))), max(1, round(tall * rng.uniform(0.3, 0.8)))
        looks = eye[0] + rng.randint(-4, 4), eye[1] + rng.randint(-4, 8)
        cv2.ellipse(plate, looks, pupil, 0, 0, 360, ink, -1, cv2.LINE_AA)
    nose = round(middle[0] + 1.3 * glance), round(high + rng.uniform(0.8, 1.4) * tall)
    bulb = rng.randint(4, 26), rng.randint(3, 20)
    cv2.ellipse(plate, nose, bulb, rng.uniform(-20, 20), 0, 360, ink if rng.random() < 0.4 else face, -1, cv2.LINE_AA)
    cv2.ellipse(plate, nose, bulb, 0, 0, rng.choice((180, 360)), ink, thick, cv2.LINE_AA)
    mouth = round(middle[0] + glance), round(middle[1] + rng.uniform(0.3, 0.6) * axes[1])
    grin = round(axes[0] * rng.uniform(0.25, 0.8)), round(axes[1] * rng.uniform(0.05, 0.35))
    lips = ink if rng.random() < 0.5 else colour(rng)
    cv2.ellipse(plate, mouth, grin, 0, 0, 180, lips, rng.choice((-1, thick)), cv2.LINE_AA)


def comic(rng: random.Random, side: int) -> Picture:
    """(side, side, 3) uint8: a sheet or wall of cartoons in rows, their lines as printed or worn."""
    page = np.full((side, side, 3), (rng.uniform(150, 255),) * 3 if rng.random() < 0.6 else colour(rng), np.uint8)
    cell = max(int(LEAST), round(side / rng.uniform(1.2, 7)))
    for y in range(rng.randint(-cell // 2, 0), side, cell):
        for x in range(rng.randint(-cell // 2, 0), side, cell):
            size = round(cell * rng.uniform(0.8, 1.3))
            drawn = np.asarray(cv2.resize(cartoon(rng), (size, size), interpolation=cv2.INTER_AREA), np.uint8)
            x1, y1, x2, y2 = max(0, x), max(0, y), min(side, x + size), min(side, y + size)
            blend(page[y1:y2, x1:x2], drawn[y1 - y : y2 - y, x1 - x : x2 - x])
    worn = 1 + rng.uniform(0, 0.2) * noise(rng, 30, 30, side)
    return np.asarray(np.clip(page * worn[..., None], 0, 255), np.uint8)
