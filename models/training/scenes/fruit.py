"""Draws apples, limes, tomatoes and balls: alone knows round things, which a shop shows in heaps and no face is."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.scenes.garments import blend, colour, ellipse, noise, over

SIDE = 96  # pixels of a cut-out
# Blue, green, red of skins: apples of three colours, limes, lemons, oranges, tomatoes, potatoes, plums, kiwis.
SKINS = (
    (50, 190, 150), (40, 40, 190), (90, 190, 225), (30, 120, 60), (60, 215, 240), (30, 130, 240), (40, 50, 215),
    (90, 140, 180), (80, 30, 70), (50, 90, 120),
)  # fmt: skip
KINDS_A_HEAP = 12  # cut-outs that a heap is laid of


def lit_ball(rng: random.Random) -> Floats:
    """(SIDE, SIDE) float32: how light a ball's front is, dark to its rim, with a shine."""
    y, x = (np.mgrid[:SIDE, :SIDE].astype(np.float32) + 0.5) / SIDE * 2 - 1
    z = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    side, above = rng.uniform(-0.7, 0.7), rng.uniform(-0.9, 0.2)
    facing = (side * x + above * y + z) / math.sqrt(side * side + above * above + 1)
    shine = rng.choice((0.0, 0.3, 0.8)) * np.clip(facing, 0, 1) ** rng.uniform(15, 60)
    return np.asarray(rng.uniform(0.2, 0.5) + rng.uniform(0.5, 0.8) * np.clip(facing, 0, 1) + shine, np.float32)


def fruit(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: one of them, mottled, blushing, with its stalk or a sticker turned anywhere."""
    tones = np.array([rng.choice(SKINS), rng.choice(SKINS)], np.float32) * rng.uniform(0.6, 1.1)
    blush = np.clip(noise(rng, 3, 3, SIDE) * rng.choice((0.0, 0.0, 0.6)), 0, 1)[..., None]
    speckles = 1 + rng.uniform(0, 0.12) * noise(rng, rng.randint(8, 40), rng.randint(8, 40), SIDE)
    lit = (lit_ball(rng) * speckles)[..., None]
    skin = np.clip((tones[0] * (1 - blush) + tones[1] * blush) * lit, 0, 255).astype(np.uint8)
    cut = np.dstack([skin, ellipse(SIDE, (0.5, 0.5), (rng.uniform(0.38, 0.48), 0.45), rng.uniform(0, 180))])
    place = rng.randint(20, 76), rng.randint(20, 76)
    kind = rng.random()
    if kind < 0.4:  # the hollow about its stalk
        middle = place[0] / SIDE, place[1] / SIDE
        hollow = ellipse(SIDE, middle, (rng.uniform(0.04, 0.15), rng.uniform(0.03, 0.1)), rng.uniform(0, 180))
        hollow = np.asarray(cv2.GaussianBlur(hollow, (0, 0), 3), np.uint8)
        cut[..., :3] = over(cut, (skin * rng.uniform(0.25, 0.7)).astype(np.uint8), hollow)[..., :3]
        end = place[0] + rng.randint(-10, 10), place[1] - rng.randint(2, 18)
        cv2.line(cut, place, end, (30, 50, 70, 255), rng.randint(2, 4), cv2.LINE_AA)
    elif kind < 0.55:
        axes = rng.randint(5, 12), rng.randint(4, 8)
        cv2.ellipse(cut, place, axes, rng.uniform(0, 180), 0, 360, (*colour(rng), 255), -1, cv2.LINE_AA)
    return cut


def heap(rng: random.Random, side: int) -> Picture:
    """(side, side, 3) uint8: many of a kind or two, from above or behind to the front."""
    page = np.full((side, side, 3), (rng.uniform(0, 60),) * 3, np.uint8)
    cuts = [fruit(rng) for _ in range(KINDS_A_HEAP)][: rng.choice((2, 4, KINDS_A_HEAP))]
    size = side * math.exp(rng.uniform(math.log(0.05), math.log(0.4)))
    for y in np.arange(-size, side, size * 0.75):
        for x in np.arange(-size * rng.random(), side, size * 0.85):
            own = max(4, round(size * math.exp(rng.gauss(0, 0.08))))
            cut = np.asarray(cv2.resize(rng.choice(cuts), (own, own), interpolation=cv2.INTER_AREA), np.uint8)
            left, top = round(x + rng.gauss(0, 0.1) * size), round(y + rng.gauss(0, 0.1) * size)
            x1, y1, x2, y2 = max(0, left), max(0, top), min(side, left + own), min(side, top + own)
            if x2 > x1 and y2 > y1:
                blend(page[y1:y2, x1:x2], cut[y1 - top : y2 - top, x1 - left : x2 - left])
    return page
