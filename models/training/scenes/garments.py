"""Draws cloth, hats, hair and shirt fronts: alone knows how what is worn is cut.

Every piece is a BGRA cut-out of `side` pixels, for `worn` to lay on a face or for `clutter` to strew about.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats, Picture

Colour = tuple[float, float, float]
Mask = NDArray[np.uint8]

# Blue, green, red of skins, light to dark.
SKINS = ((160, 185, 230), (125, 160, 210), (90, 125, 185), (60, 90, 140), (40, 55, 90))


def colour(rng: random.Random) -> Colour:
    """A random BGR colour, grays as often as hues."""
    if rng.random() < 0.4:
        gray = rng.uniform(0, 255)
        return gray, gray, gray
    return rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255)


def bgr(values: Iterable[float]) -> Colour:
    """Three values as a colour."""
    blue, green, red = values
    return blue, green, red


def noise(rng: random.Random, rows: int, columns: int, side: int) -> Floats:
    """(side, side) float32 about 0: rows x columns random values, smoothly enlarged."""
    values = np.random.default_rng(rng.getrandbits(32)).normal(0, 1, (max(2, rows), max(2, columns)))
    return np.asarray(cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR))


def shaded(tone: Colour, light: Floats) -> Picture:
    """(side, side, 3) uint8: one colour under (side, side) light, 1 as it is."""
    return np.asarray(np.clip(np.array(tone, np.float32) * light[..., None], 0, 255), np.uint8)


def weave(rng: random.Random, side: int) -> Picture:
    """(side, side, 3) uint8: plain, striped, checked or knitted cloth with folds."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    light = 1 + rng.uniform(0.05, 0.3) * noise(rng, 4, 4, side) + rng.uniform(-0.4, 0.4) * (x - 0.5)
    tone, other = colour(rng), colour(rng)
    cloth = shaded(tone, light)
    kind, threads = rng.randrange(4), rng.uniform(6, 40)
    lean = rng.uniform(-0.6, 0.6)
    if kind == 0:
        return cloth
    along = np.sin(2 * math.pi * threads * (x + lean * y))
    if kind == 1:  # knitted: ribs of light
        return shaded(tone, light * (1 + rng.uniform(0.1, 0.35) * along))
    lines = along > rng.uniform(-0.2, 0.8)
    if kind == 2:
        lines = lines | (np.sin(2 * math.pi * threads * (y - lean * x)) > 0.5)
    return np.where(lines[..., None], shaded(other, light), cloth)


def over(below: Picture, picture: Picture, mask: Mask) -> Picture:
    """A BGRA cut-out with `picture` (BGR) laid on it where `mask` (0..255) says so."""
    share = mask.astype(np.float32)[..., None] / 255
    kept = below[..., 3:].astype(np.float32) / 255 * (1 - share)
    whole = share + kept
    colours = (picture * share + below[..., :3] * kept) / np.maximum(whole, 1e-3)
    return np.dstack([colours, whole * 255]).astype(np.uint8)


def blend(picture: Picture, cut: Picture) -> None:
    """Lays a (h, w, 4) BGRA cut-out on the (h, w, 3) BGR `picture`, in place."""
    share = cut[..., 3:].astype(np.float32) / 255
    picture[:] = (picture * (1 - share) + cut[..., :3] * share).astype(np.uint8)


def ellipse(side: int, middle: tuple[float, float], axes: tuple[float, float], lean: float = 0.0) -> Mask:
    """(side, side) uint8 of a filled ellipse; middle and axes in shares of the side, lean in degrees."""
    mask = np.zeros((side, side), np.uint8)
    place, reach = (np.round(np.array(pair) * side * 16).astype(int).tolist() for pair in (middle, axes))
    cv2.ellipse(mask, place, reach, lean, 0, 360, 255, -1, cv2.LINE_AA, 4)
    return mask


def polygon(side: int, corners: list[tuple[float, float]]) -> Mask:
    """(side, side) uint8 of a filled polygon; corners in shares of the side."""
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(corners) * side * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask


def soft(mask: Mask, side: int, share: float) -> Mask:
    """The mask with edges `share` of the side wide."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.5, share * side)), np.uint8)


def hat(rng: random.Random, side: int) -> Picture:
    """A hat whose brim's front lies in the middle of the cut-out, with the shadow it throws below."""
    lean, brimmed = rng.gauss(0, 8), rng.random() < 0.8
    crown = rng.uniform(0.2, 0.27)
    wide, deep = (rng.uniform(0.26, 0.46), rng.uniform(0.04, 0.13)) if brimmed else (crown, rng.uniform(0.03, 0.07))
    middle = 0.5 + (rng.gauss(0, 0.05) if brimmed else 0.0), 0.5 - deep
    dark = ellipse(side, (middle[0], middle[1] + rng.uniform(0.05, 0.2)), (wide * 0.8, deep + 0.06), lean)
    dark = np.asarray(soft(dark, side, 0.03) * rng.uniform(0, 0.65), np.uint8)
    cut = np.dstack([np.zeros((side, side, 3), np.uint8), dark])
    felt = weave(rng, side)
    brim = cv2.convertScaleAbs(felt if rng.random() < 0.7 else weave(rng, side), alpha=rng.uniform(0.5, 1.05))
    cut = over(cut, np.asarray(brim, np.uint8), ellipse(side, middle, (wide, deep), lean))
    if not brimmed:
        middle = 0.5, 0.5 - deep / 2
    tall, top = rng.uniform(0.2, 0.34), crown * rng.uniform(0.65, 1.0)
    shape = [(0.5 - crown, middle[1]), (0.5 - top, 0.5 - tall), (0.5 + top, 0.5 - tall), (0.5 + crown, middle[1])]
    body = polygon(side, shape) | ellipse(side, (0.5, 0.5 - tall), (top, rng.uniform(0.03, 0.12)))
    body |= ellipse(side, (0.5, middle[1]), (crown, deep * 0.6))
    cut = over(cut, felt, body)
    if rng.random() < 0.5:
        high = middle[1] - rng.uniform(0.03, 0.09)
        band = polygon(side, [(0, high), (1, high), (1, middle[1]), (0, middle[1])])
        cut = over(cut, weave(rng, side), np.asarray(cv2.min(band, body), np.uint8))
    return cut


def hair(rng: random.Random, side: int) -> Picture:
    """Hair that falls over the temples and cheeks, and mostly over the forehead; the face is in the middle."""
    tone = bgr(rng.uniform(5, 60) * share for share in (0.7, 0.9, 1.1)) if rng.random() < 0.7 else colour(rng)
    light = 1 + 0.25 * noise(rng, 3, side // 3, side) + 0.2 * noise(rng, 5, 5, side)
    cover = np.zeros((side, side), np.uint8)
    for way in (-1, 1):
        near, far = rng.uniform(0.07, 0.2), rng.uniform(0.26, 0.42)
        low, falls = rng.uniform(0.6, 1.0), rng.uniform(-0.05, 0.1)
        inner = [(0.5 + way * 0.02, 0.27), (0.5 + way * near, 0.42), (0.5 + way * (near + falls), low)]
        outer = [(0.5 + way * far, low), (0.5 + way * 0.24, 0.32)]
        cover |= polygon(side, inner + outer)
    if rng.random() < 0.6:
        cover |= ellipse(side, (0.5 + rng.gauss(0, 0.05), 0.27), (0.22, rng.uniform(0.06, 0.18)), rng.gauss(0, 15))
    return np.dstack([shaded(tone, light), soft(cover, side, 0.006)])


def front(rng: random.Random, side: int) -> Picture:
    """A shirt between the halves of a jacket, mostly with a bow tie, a tie or buttons; the chin is above it.

    Half of them show the throat between the wings of a collar: skin over white, as of a face over a mask.
    """
    cut = np.zeros((side, side, 4), np.uint8)
    slope = rng.uniform(0.1, 0.3)
    shoulders = [(0.36, 0.06), (0.64, 0.06), (1.0, slope), (1.0, 1.0), (0.0, 1.0), (0.0, slope)]
    dark = bgr(rng.uniform(10, 70) for _ in range(3))
    suit = shaded(dark, 1 + 0.2 * noise(rng, 5, 5, side)) if rng.random() < 0.5 else weave(rng, side)
    cut = over(cut, suit, polygon(side, shoulders))
    pale = bgr(rng.uniform(200, 255) for _ in range(3)) if rng.random() < 0.7 else colour(rng)
    shirt = shaded(pale, 1 + 0.08 * noise(rng, 5, 5, side))
    wide, low = rng.uniform(0.1, 0.26), rng.uniform(0.55, 1.1)
    opening = [(0.5 - wide, 0.04), (0.5 + wide, 0.04), (0.5, low)]
    if rng.random() < 0.5:  # lapels that run down before they meet
        bend = rng.uniform(0.3, 0.7) * low
        opening = [*opening[:2], (0.5 + 0.85 * wide, bend), (0.5, low), (0.5 - 0.85 * wide, bend)]
    cut = over(cut, shirt, polygon(side, opening))
    neck = rng.uniform(0.06, 0.13)
    if rng.random() < 0.5:
        neck = rng.uniform(0.1, 0.26)
        cut = throat(cut, rng, shirt, neck)
    ink, around = weave(rng, side), rng.choice((bow_tie, bow_tie, tie, scarf, None))
    if around is not None:
        cut = around(cut, rng, ink, neck, low)
    for height in np.arange(neck + 0.1, low, rng.uniform(0.07, 0.16)):
        cv2.circle(cut, (side // 2, int(height * side)), max(1, side // 90), (*colour(rng), 255), -1, cv2.LINE_AA)
    return cut


def throat(cut: Picture, rng: random.Random, shirt: Picture, low: float) -> Picture:
    """The cut-out of a front with a throat down to height `low`, and the collar's wings on either side of it."""
    side, wide, high = cut.shape[0], rng.uniform(0.09, 0.14), rng.uniform(0.02, 0.08)
    tone = bgr(value * rng.uniform(0.7, 1.1) for value in rng.choice(SKINS))
    shade = np.linspace(rng.uniform(0.6, 1.0), 1.1, side, dtype=np.float32)[:, None]  # of the chin above
    skin = shaded(tone, shade * (1 + 0.12 * noise(rng, 4, 4, side)))
    cut = over(cut, skin, polygon(side, [(0.5 - wide, 0.0), (0.5 + wide, 0.0), (0.53, low), (0.47, low)]))
    collar = cv2.convertScaleAbs(shirt, alpha=rng.uniform(0.85, 1.05))
    for way in (-1, 1):
        wing = [(0.5 + way * wide, 0.02), (0.5 + way * 0.02, low), (0.5 + way * rng.uniform(0.08, 0.16), low + high)]
        cut = over(cut, np.asarray(collar, np.uint8), polygon(side, [*wing, (0.5 + way * (wide + 0.04), 0.05)]))
    return cut


def bow_tie(cut: Picture, rng: random.Random, ink: Picture, neck: float, _low: float) -> Picture:
    """The cut-out of a front with two wings in folds and a knot at height `neck`."""
    side = cut.shape[0]
    y, x = (np.mgrid[:side, :side].astype(np.float32) + 0.5) / side
    folds = np.sin(rng.uniform(4, 14) * np.arctan2(y - neck, np.abs(x - 0.5) + 0.01) + rng.uniform(0, 6))
    light = 1 + rng.uniform(0, 0.4) * folds - rng.uniform(0, 0.5) * np.exp(-(((x - 0.5) / 0.04) ** 2))
    patterned = np.clip(ink * light[..., None], 0, 255).astype(np.uint8)
    cloth = shaded(colour(rng), light) if rng.random() < 0.6 else patterned
    reach, high, thin = rng.uniform(0.1, 0.24), rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.6)
    for way in (-1, 1):
        end, bulge = 0.5 + way * reach, 0.5 + way * 0.6 * reach
        upper = [(0.5, neck - thin * high), (bulge, neck - high), (end, neck - 0.9 * high)]
        lower = [(end, neck + 0.9 * high), (bulge, neck + high), (0.5, neck + thin * high)]
        cut = over(cut, cloth, polygon(side, upper + lower))
    knot = cv2.convertScaleAbs(cloth, alpha=rng.uniform(0.5, 1.3))
    return over(cut, np.asarray(knot, np.uint8), ellipse(side, (0.5, neck), (0.025, thin * high + 0.01)))


def tie(cut: Picture, rng: random.Random, ink: Picture, neck: float, low: float) -> Picture:
    """The cut-out of a front with a knot at height `neck` and a blade down to `low`."""
    side, wide = cut.shape[0], rng.uniform(0.03, 0.06)
    blade = [(0.48, neck), (0.52, neck), (0.5 + wide, low), (0.5, low + 0.05), (0.5 - wide, low)]
    knot = [(0.46, neck - 0.03), (0.54, neck - 0.03), (0.52, neck + 0.04), (0.48, neck + 0.04)]
    return over(over(cut, ink, polygon(side, blade)), ink, polygon(side, knot))


def scarf(cut: Picture, rng: random.Random, ink: Picture, neck: float, _low: float) -> Picture:
    """The cut-out of a front with a scarf about height `neck`."""
    axes = rng.uniform(0.14, 0.24), rng.uniform(0.04, 0.1)
    return over(cut, ink, ellipse(cut.shape[0], (0.5, neck), axes, rng.gauss(0, 8)))
