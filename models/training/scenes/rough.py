"""Spoils pictures as poor lenses, hands, lamps and sensors do: alone knows what a face bears and is still one.

Each step returns the picture with what it cost: by how many pixels (sigma) it smeared what is small.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats, Picture
from models.training.scenes.degrade import jpeg

BEARS = 5.0  # sides of a face, in sigmas of a blur, under which nobody would say face
FAINT = 6.0  # levels of gray that the pixels of a face differ by, at least
ALIKE = 0.75  # correlation with the face as it was, at least
COARSE = 12  # pixels of the side at which the two are compared
Smeared = tuple[Picture, float]


def disc(radius: float) -> Floats:
    """(S, S) float32: the even disc that a point out of focus becomes."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def defocus(rng: random.Random, picture: Picture, most: float) -> Smeared:
    """Out of focus, by a sigma of `most` pixels at the worst."""
    sigma = most * rng.uniform(0.25, 1.0)
    return np.asarray(cv2.filter2D(picture, -1, disc(max(0.6, 2 * sigma))), np.uint8), sigma


def motion(rng: random.Random, picture: Picture, most: float) -> Smeared:
    """Moved in a bend while it was taken; one way is smeared and the other sharp, so it may be longer."""
    length = max(2.0, 3.5 * 1.5 * most * rng.uniform(0.25, 1.0))
    reach = math.ceil(length / 2)
    steps, lean, bend = np.linspace(-0.5, 0.5, 3 * reach + 4), rng.uniform(0, math.pi), rng.gauss(0, 0.4)
    along, across = steps * length, bend * length * (steps**2 - 0.08)
    column = np.round(along * math.cos(lean) - across * math.sin(lean)).astype(int)
    row = np.round(along * math.sin(lean) + across * math.cos(lean)).astype(int)
    kernel = np.zeros((4 * reach + 1, 4 * reach + 1), np.float32)
    np.add.at(kernel, (row + 2 * reach, column + 2 * reach), 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8), length / 5.2


def enlarged(rng: random.Random, picture: Picture, most: float) -> Smeared:
    """A copy blown up from a smaller one, perhaps sharpened so that edges shine."""
    factor = max(1.2, 2 * most * rng.uniform(0.3, 1.0))
    height, width = picture.shape[:2]
    size = max(8, round(width / factor)), max(8, round(height / factor))
    small = cv2.resize(picture, size, interpolation=rng.choice((cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST)))
    if rng.random() < 0.4:
        small = jpeg(rng, np.asarray(small, np.uint8), 20, 80)
    large = cv2.resize(small, (width, height), interpolation=rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC)))
    if rng.random() < 0.3:
        soft, more = cv2.GaussianBlur(large, (0, 0), factor * 0.7), rng.uniform(0.3, 1.2)
        large = cv2.addWeighted(large, 1 + more, soft, -more, 0)
    return np.asarray(large, np.uint8), 0.5 * factor


def veil(rng: random.Random, side: tuple[int, int], spread: float) -> Floats:
    """(H, W) float32 about 1: light that falls unevenly, as of lamps and shadows."""
    coarse = np.random.default_rng(rng.getrandbits(32)).normal(0, spread, (rng.randint(2, 5), rng.randint(2, 5)))
    return np.exp(cv2.resize(coarse.astype(np.float32), side[::-1], interpolation=cv2.INTER_CUBIC))


def lit(rng: random.Random, picture: Picture) -> Picture:
    """A dark room, a coloured lamp, a glare or haze."""
    kind = rng.choices(("dark", "lamp", "glare", "haze"), (0.4, 0.25, 0.2, 0.15))[0]
    gain = {"dark": rng.uniform(0.12, 0.5), "lamp": rng.uniform(0.3, 1.1), "glare": rng.uniform(1.3, 2.3)}.get(
        kind, 0.5
    )
    tint = np.ones(3, np.float32)
    if kind == "lamp" or rng.random() < 0.3:
        depth = 1.0 if kind == "lamp" else 0.3
        tint = np.array([1 - depth * rng.uniform(0, 0.75) for _ in range(3)], np.float32)
        tint /= tint.max()
    lift = rng.uniform(20, 100) if kind == "haze" else rng.uniform(0, 12)
    if rng.random() < 0.5:
        light = veil(rng, picture.shape[:2], rng.uniform(0.2, 0.7)) * gain
        return np.clip(picture * (light[..., None] * tint) + lift, 0, 255).astype(np.uint8)
    ramp = np.arange(256, dtype=np.float32)[:, None] * (gain * tint) + lift
    return np.asarray(cv2.LUT(picture, np.clip(ramp, 0, 255).astype(np.uint8)[None]), np.uint8)


def sensor(rng: random.Random, picture: Picture) -> Picture:
    """Grain that grows with the light, with blotches of colour; perhaps smoothed away as telephones do."""
    height, width = picture.shape[:2]
    random_values = np.random.default_rng(rng.getrandbits(32))
    strength = rng.uniform(2, 14)
    grain = random_values.standard_normal((height, width), np.float32) * strength
    blotch = random_values.standard_normal((height // 3 + 1, width // 3 + 1, 3), np.float32) * strength * 0.7
    grain = grain[..., None] + cv2.resize(blotch, (width, height), interpolation=cv2.INTER_LINEAR)
    grain *= np.sqrt(picture.max(axis=2) / 255.0 + 0.15)[..., None].astype(np.float32)
    noisy = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        noisy = np.asarray(cv2.medianBlur(noisy, 3), np.uint8)
    return noisy


def squashed(rng: random.Random, picture: Picture) -> Picture:
    """Through one or two JPEGs of low quality, their blocks not in line."""
    for _ in range(rng.choice((1, 1, 2))):
        shift = rng.randrange(8)
        coded = jpeg(rng, np.ascontiguousarray(np.roll(picture, shift, axis=(0, 1))), 12, 45)
        picture = np.roll(coded, -shift, axis=(0, 1))
    return picture


def rough(rng: random.Random, picture: Picture, face: float) -> Smeared:
    """(H, W, 3) uint8 -> the same shape and the sigma of its blur in pixels; `face` is a typical face's side."""
    most, sigma = min(6.0, 0.17 * face), 0.0
    if rng.random() < 0.65:
        picture, sigma = rng.choice((defocus, motion, enlarged))(rng, picture, most)
    if rng.random() < 0.45:
        picture = lit(rng, picture)
    if rng.random() < 0.45:
        picture = sensor(rng, picture)
    if rng.random() < 0.4:
        picture = squashed(rng, picture)
    return picture, sigma


def thumbnail(picture: Picture, box: Floats) -> Floats:
    """(COARSE, COARSE) float32: the gray of what lies in a box."""
    x1, y1, x2, y2 = box.astype(int)
    inside = picture[y1 : y2 + 1, x1 : x2 + 1].astype(np.float32).mean(axis=2)
    return np.asarray(cv2.resize(inside, (COARSE, COARSE), interpolation=cv2.INTER_AREA), np.float32)


def legible(picture: Picture, clean: Picture, boxes: Floats, sigma: float) -> NDArray[np.bool_]:
    """Which of (N, 4) boxes still hold what a person would call a face, if they did when the picture was clean."""
    keep = np.ones(len(boxes), np.bool_)
    for place, box in enumerate(boxes):
        now, then = thumbnail(picture, box), thumbnail(clean, box)
        now, then = now - now.mean(), then - then.mean()
        spread, before = float(np.sqrt((now**2).mean())), float(np.sqrt((then**2).mean()))
        alike = float((now * then).mean()) / max(1e-3, spread * before)
        side = math.sqrt(max(0.0, float((box[2] - box[0]) * (box[3] - box[1]))))
        keep[place] = side > BEARS * sigma and spread > FAINT and alike > ALIKE
    return keep
