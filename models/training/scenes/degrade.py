"""Spoils a composed picture as cameras and messengers do: alone knows those steps.

Colour, gray, low light, blur, noise, small copies blown up, JPEG.
"""

from __future__ import annotations

import random

import cv2
import numpy as np

from models.training.material.folder import Picture


def tone(rng: random.Random, picture: Picture) -> Picture:
    """Brightness, contrast, gamma and colour cast through one table a channel."""
    ramp = np.arange(256, dtype=np.float32) / 255
    gamma = 2 ** rng.gauss(0, 0.35)
    gain, lift = rng.uniform(0.75, 1.3), rng.gauss(0, 0.06)
    if rng.random() < 0.1:  # low light
        gamma, gain = rng.uniform(1.2, 2.2), rng.uniform(0.25, 0.6)
    tables = []
    cast = 0.06 if rng.random() < 0.7 else 0.16
    for _ in range(3):
        curve = gain * (1 + rng.gauss(0, cast)) * ramp**gamma + lift
        tables.append(np.clip(curve * 255, 0, 255).astype(np.uint8))
    return np.asarray(cv2.LUT(picture, np.stack(tables, axis=-1)[None]), np.uint8)


def gray(rng: random.Random, picture: Picture) -> Picture:
    """No colour, or nearly none (sepia and faded prints)."""
    flat = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    keep = 0.0 if rng.random() < 0.7 else rng.uniform(0.1, 0.5)
    return np.asarray(cv2.addWeighted(picture, keep, flat, 1 - keep, 0), np.uint8)


def blur(rng: random.Random, picture: Picture, sigma: float) -> Picture:
    """Out of focus or moved, up to `sigma` pixels."""
    sigma = rng.uniform(0.3, max(0.35, sigma))
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    length = max(2, int(sigma * 3))
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (0, rng.randrange(length)), (length - 1, rng.randrange(length)), 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def noise(rng: random.Random, picture: Picture) -> Picture:
    """Grain, in colour or gray."""
    grain = np.empty(picture.shape[:2] if rng.random() < 0.4 else picture.shape, np.int16)
    spread = rng.uniform(2, 14)
    cv2.setRNGSeed(rng.getrandbits(31))
    # As one channel: with several, OpenCV 5.0 reads spreads that nobody gave.
    cv2.randn(grain.reshape(picture.shape[0], -1), 0, spread)  # type: ignore[call-overload]  # its stubs know no numbers
    if grain.ndim == 2:
        grain = np.repeat(grain[..., None], 3, axis=2)
    return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U), np.uint8)


def squeeze(rng: random.Random, picture: Picture) -> Picture:
    """Through a smaller or larger copy and back, without care for aliasing."""
    height, width = picture.shape[:2]
    factor = rng.uniform(0.55, 1.8)
    middle = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def jpeg(rng: random.Random, picture: Picture, worst: int = 25, best: int = 90) -> Picture:
    """Through a JPEG of a quality between two."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(worst, best)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def degrade(rng: random.Random, picture: Picture, face: float) -> Picture:
    """(H, W, 3) uint8 -> the same shape; `face` is a typical face's side in pixels."""
    if rng.random() < 0.85:
        picture = tone(rng, picture)
    if rng.random() < 0.22:
        picture = gray(rng, picture)
    if rng.random() < 0.15:
        picture = squeeze(rng, picture)
    if rng.random() < 0.25:
        picture = blur(rng, picture, min(4.0, 0.04 * face))
    if rng.random() < 0.25:
        picture = noise(rng, picture)
    if rng.random() < 0.3:
        picture = jpeg(rng, picture)
    return picture
