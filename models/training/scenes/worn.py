"""Draws what people wear on and about a face: alone knows where it lies and what goes together.

Placed by the five landmarks; the face underneath stays a face to be found, its box and landmarks where they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.scenes import garments
from models.training.scenes.stance import MARKS, stance
from models.training.scenes.wardrobe import put_on

SHARE = 0.45  # of pasted faces that wear something drawn
BARE = 0.35  # of those that wear one plain garment
MASKED = 0.7  # of the others that wear a mask
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


Mark = Callable[[Picture, random.Random, Floats], None]
PLAIN: tuple[Mark, ...] = (hat, hat, hat, hair, hair, front, front, beard)
ON_HEAD = (("", 0.4), ("cap", 0.17), ("hood", 0.16), ("beanie", 0.12), ("hat", 0.08), ("helmet", 0.07))
ON_EYES = (("", 0.58), ("spectacles", 0.24), ("sunglasses", 0.12), ("shield", 0.06))
BRAVE = 45  # degrees of yaw past which a hood or helmet would hide the whole face


def outfit(rng: random.Random, yaw: int, masked: bool) -> list[str]:
    """What one person wears together, from the skin outwards."""
    head, eyes = (rng.choices(*zip(*kinds, strict=True))[0] for kinds in (ON_HEAD, ON_EYES))
    if head in ("hood", "helmet") and abs(yaw) > BRAVE:
        head = "cap"
    fringe = "fringe" if rng.random() < 0.3 else ""
    return [kind for kind in (fringe, "mask" if masked else "", "" if eyes == "shield" else eyes, head) if kind] + (
        ["shield"] if eyes == "shield" else []
    )


def dress(picture: Picture, rng: random.Random, points: Floats, box: Floats | None = None, masked: bool = True) -> None:
    """Draws what goes together on a face in any picture, mostly with a mask, into `picture`.

    points: (5, 2) float32 pixels, landmarks as the labels have them; unknown ones are nan, and where fewer
    than three are known, the box (4,) tells how large the face is.
    """
    held = stance(points, box)
    points = np.where(np.isfinite(points), points, held.seen(MARKS))
    for kind in outfit(rng, held.yaw, masked):
        if kind == "hat":
            hat(picture, rng, points)
        else:
            put_on(picture, rng, held, kind)


def maybe_dress(picture: Picture, rng: random.Random, points: Floats) -> None:
    """Draws what a share of the faces wear, into `picture`."""
    if rng.random() > SHARE or float(np.hypot(*(points[1] - points[0]))) < 2:
        return
    if rng.random() < BARE:
        rng.choice(PLAIN)(picture, rng, points)
    else:
        dress(picture, rng, points, masked=rng.random() < MASKED)
