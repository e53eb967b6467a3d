"""Draws cameras and telephones: alone knows what people hold before their faces, and what looks at us from it."""

from __future__ import annotations

import random

import cv2
import numpy as np

from models.training.material.folder import Picture
from models.training.scenes.garments import colour

SIDE = 128  # pixels of a cut-out
Colour = tuple[float, ...]


def tone(rng: random.Random) -> Colour:
    """(4,) blue, green, red, opacity: black, silver, or any colour of a case."""
    gray = rng.choice((rng.uniform(10, 50), rng.uniform(130, 220)))
    return (*(colour(rng) if rng.random() < 0.2 else (gray, gray, gray)), 255.0)


def lens(cut: Picture, rng: random.Random, middle: tuple[int, int], radius: int) -> None:
    """Rings about a dark glass that shines, drawn onto `cut`."""
    for part in sorted((rng.uniform(0.3, 1.0) for _ in range(rng.randint(2, 5))), reverse=True):
        cv2.circle(cut, middle, max(1, round(radius * part)), tone(rng), -1, cv2.LINE_AA)
    glass = max(1, round(radius * rng.uniform(0.35, 0.7)))
    cv2.circle(
        cut, middle, glass, (rng.uniform(10, 60), rng.uniform(5, 30), rng.uniform(5, 30), 255.0), -1, cv2.LINE_AA
    )
    shine = middle[0] + rng.randint(-glass, glass) // 2, middle[1] + rng.randint(-glass, glass) // 2
    cv2.ellipse(cut, shine, (max(1, glass // 3), max(1, glass // 5)), 30, 0, 360, (230.0, 220.0, 210.0, 255.0), -1)


def camera(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: a body with a lens, mostly a hump, a finder, knobs and a word."""
    cut = np.zeros((SIDE, SIDE, 4), np.uint8)
    high = rng.randint(32, 48)
    top, bottom = 64 - high + 10, 64 + high - 10
    if rng.random() < 0.6:
        hump = rng.randint(14, 30)
        cv2.rectangle(cut, (64 - hump, top - rng.randint(6, 16)), (64 + hump, top + 4), tone(rng), -1)
    for place in rng.sample((14, 30, 92, 106), rng.randint(0, 3)):
        cv2.rectangle(cut, (place, top - rng.randint(3, 8)), (place + rng.randint(6, 14), top), tone(rng), -1)
    cv2.rectangle(cut, (6, top), (122, bottom), tone(rng), -1)
    if rng.random() < 0.6:
        cv2.rectangle(cut, (6, top + rng.randint(8, 22)), (122, bottom), tone(rng), -1)
    if rng.random() < 0.6:
        left = rng.choice((14, 90))
        cv2.rectangle(cut, (left, top + 4), (left + 20, top + 14), (rng.uniform(0, 90),) * 3 + (255,), -1)
    if rng.random() < 0.4:
        cv2.putText(cut, "".join(rng.choices("ACEFIKLNOPST", k=6)), (40, top + 12), 0, 0.4, tone(rng), 1, cv2.LINE_AA)
    lens(cut, rng, (64 + rng.randint(-14, 14), 64 + rng.randint(0, 8)), rng.randint(18, 36))
    return cut


def telephone(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: the back of one, upright or lying, with its lenses in a corner."""
    cut = np.zeros((SIDE, SIDE, 4), np.uint8)
    wide = rng.randint(26, 34)
    cv2.rectangle(cut, (64 - wide, 4), (64 + wide, 124), tone(rng), -1)
    cv2.rectangle(cut, (64 - wide, 4), (64 + wide, 124), tone(rng), rng.randint(1, 3))
    for row in range(rng.randint(1, 3)):
        lens(cut, rng, (64 - wide + 12, 16 + 15 * row), rng.randint(4, 7))
    return cut if rng.random() < 0.6 else np.ascontiguousarray(np.rot90(cut, rng.choice((1, 3))))


def device(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: either of them, lit from a side."""
    cut = camera(rng) if rng.random() < 0.6 else telephone(rng)
    light = np.linspace(rng.uniform(0.6, 1.1), rng.uniform(0.6, 1.1), SIDE)[:, None, None]
    cut[..., :3] = np.clip(cut[..., :3] * light, 0, 255)
    return cut
