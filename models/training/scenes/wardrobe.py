"""Puts shells on heads in pictures: alone knows how a cut-out is kept, placed, and lit by the face it is put on."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from models.training.material.folder import Picture
from models.training.scenes import garments, headgear, masks, shells
from models.training.scenes.shells import CENTRE, REACH, Shell
from models.training.scenes.sprites import pyramid
from models.training.scenes.stance import Stance

WEAR: dict[str, Callable[[random.Random], list[Shell]]] = {
    "mask": masks.cut,
    "fringe": headgear.fringe,
    "cap": headgear.cap,
    "beanie": headgear.beanie,
    "hood": headgear.hood,
    "helmet": headgear.helmet,
    "spectacles": headgear.spectacles,
    "sunglasses": headgear.sunglasses,
    "shield": headgear.shield,
}
READY = 128  # pixels of the cut-outs that are kept
LARGE = 200  # pixels from which one is drawn anew
FINEST = 256  # pixels of the largest that is drawn; larger ones are enlarged
DESIGNS = {"mask": 8}  # how many are kept of a kind for a turn of the head, to either side
FEW = 4  # of the other kinds
CHEEKS = np.array([[-0.55, 0.55, 0.0], [0.55, 0.55, 0.0]], np.float32)


@lru_cache(maxsize=1500)
def ready(kind: str, yaw: int, pitch: int, design: int) -> list[Picture]:
    """A design of a kind of wear on a head so turned, and its halvings."""
    rng = random.Random(f"{kind} {yaw} {pitch} {design}")
    return pyramid(shells.draw(WEAR[kind](rng), yaw, pitch, READY, rng))


def drawn(kind: str, held: Stance, rng: random.Random) -> Picture:
    """(side, side, 4) uint8 BGRA, about as large as it will be: kept for a small face, made anew for a large one."""
    side = 2 * REACH * held.unit
    if side > LARGE:
        return shells.draw(WEAR[kind](rng), held.yaw, held.pitch, min(FINEST, round(side)), rng)
    levels = ready(kind, abs(held.yaw), held.pitch, rng.randrange(DESIGNS.get(kind, FEW)))
    level = levels[max(0, min(len(levels) - 1, math.floor(math.log2(READY / side) - 0.2)))]
    return level if held.yaw >= 0 else np.ascontiguousarray(level[:, ::-1])


def exposure(picture: Picture, held: Stance) -> tuple[float, float]:
    """How bright white cloth is about a face (1 as it is); the log of how much more so an eye distance to the right."""
    reach = 2.0 * held.unit
    x1, y1 = np.maximum(held.origin - reach, 0).astype(int)
    x2, y2 = np.minimum(held.origin + reach, picture.shape[1::-1]).astype(int)
    step = max(1, int(held.unit / 6))
    around = picture[y1:y2:step, x1:x2:step]
    bright = float(np.percentile(around.max(axis=2), 92)) / 215 if around.size else 0.8
    cheeks = np.round(held.seen(CHEEKS)).astype(int)
    column, row = np.clip(cheeks, 0, np.array(picture.shape[1::-1]) - 1).T
    left, right = picture[row, column].mean(axis=1) + 12.0
    return min(1.15, max(0.12, bright)), min(0.6, max(-0.6, float(np.log(right / left))))


def put_on(picture: Picture, rng: random.Random, held: Stance, kind: str) -> None:
    """Draws one kind of WEAR on a head, into `picture`, under the light that is on the face."""
    cut = drawn(kind, held, rng)
    linear = held.linear * (2 * REACH / cut.shape[0])
    middle = held.seen(CENTRE)
    shift = middle - linear @ [cut.shape[1] / 2, cut.shape[0] / 2]
    corners = middle + np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) @ held.linear.T * REACH
    x1, y1 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(corners.max(axis=0)), picture.shape[1::-1]).astype(int)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    matrix = np.hstack([linear, (shift - (x1, y1))[:, None]])
    patch = np.asarray(cv2.warpAffine(cut, matrix, (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR), np.uint8)
    bright, slope = exposure(picture, held)
    across = (np.arange(x1, x2) - held.origin[0]) / held.unit
    gain = bright * math.exp(rng.gauss(0, 0.1)) * np.exp(np.clip(slope * across, -0.8, 0.5))
    patch[..., :3] = np.clip(patch[..., :3] * gain[None, :, None], 0, 255)
    garments.blend(picture[y1:y2, x1:x2], patch)
