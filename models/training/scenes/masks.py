"""Cuts masks, bandanas and scarves: alone knows their forms, prints and straps.

Each is a list of shells for `shells.draw`, in eye distances of the head that wears it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.scenes.garments import Colour, bgr, colour, noise, weave
from models.training.scenes.shells import Shell, outside, plain, strip

SIDE = 160  # pixels of a texture
PALE = {  # BGR of the usual surgical and filtering masks
    "blue": (222, 190, 140), "white": (238, 236, 234), "green": (190, 205, 160), "pink": (205, 190, 235),
    "gray": (150, 148, 146), "navy": (95, 60, 40), "black": (32, 30, 30),
}  # fmt: skip
COMMON = ("blue", "blue", "blue", "white", "white", "white", "black", "black", "green", "pink", "gray", "navy")


@dataclass(frozen=True)
class Form:
    """What sets one kind of mask apart.

    top, low: heights of its edges at the nose and under the chin; wide: half its width; dip, lift: how far
    the edges sink and rise towards the ears; taper: how much narrower it is below; bulge: 1 is a
    ridge, 3 a drum; swell: how far it stands out in the middle, from the top down.
    """

    top: float = 0.3
    low: float = 2.0
    wide: float = 1.0
    dip: float = 0.25
    lift: float = 0.42
    taper: float = 0.15
    bulge: float = 1.7
    swell: tuple[float, ...] = (0.28, 0.62, 0.52, 0.12)


SURGICAL = Form()
CLOTH = Form(top=0.36, dip=0.22, bulge=1.4, swell=(0.3, 0.64, 0.56, 0.1))
BEAK = Form(top=0.25, low=1.95, wide=0.95, dip=0.4, lift=0.6, bulge=1.15, swell=(0.25, 0.78, 0.85, 0.1))
CUP = Form(top=0.28, low=1.9, wide=0.88, dip=0.45, lift=0.55, taper=0.05, bulge=2.2, swell=(0.25, 0.75, 0.75, 0.1))
BANDANA = Form(top=0.3, low=3.0, wide=1.1, dip=0.05, lift=1.9, taper=0.1, bulge=1.5, swell=(0.3, 0.62, 0.5, 0.3))
SCARF = Form(top=0.4, low=2.7, wide=1.25, dip=0.1, lift=0.1, taper=0.0, bulge=2.2, swell=(0.35, 0.65, 0.6, 0.5))


def surface(rng: random.Random, form: Form, drop: float) -> Floats:
    """(R, C, 3): a mask from its upper to its lower edge, lying on the face, pulled down by `drop`."""
    across, down = np.meshgrid(np.linspace(-1, 1, 33), np.linspace(0, 1, 25))
    top, low = form.top + rng.gauss(0, 0.05), form.low + rng.gauss(0, 0.07)
    out = np.abs(across)
    upper, lower = top + form.dip * out**1.5, low - form.lift * out**2
    steps = np.linspace(0, 1, len(form.swell))
    swell = np.interp(down, steps, form.swell) * rng.uniform(0.9, 1.08) - 0.4 * drop
    back = -0.6 - 0.15 * down
    x = form.wide * rng.uniform(0.93, 1.07) * across * (1 - form.taper * down**2)
    y = upper + (lower - upper) * down + drop
    z = back + (swell - back) * (1 - out**form.bulge)
    return outside(np.stack([x, y, z], axis=-1).astype(np.float32))


def usual(rng: random.Random) -> Colour:
    """One of the colours masks are sold in, no two quite alike."""
    return bgr(min(255.0, value * rng.uniform(0.88, 1.08)) for value in PALE[rng.choice(COMMON)])


def creased(rng: random.Random, light: Floats) -> Floats:
    """The light on cloth with soft folds, most of them towards the ears."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    fan = np.sin(np.arctan2(y, np.abs(x) - 0.75) * rng.uniform(12, 30) + rng.uniform(0, 6))
    light = light + rng.uniform(0.0, 0.16) * fan * np.clip(np.abs(x) * 2.4 - 0.25, 0, 1)
    return np.asarray(light + rng.uniform(0.02, 0.09) * noise(rng, 6, 6, SIDE), np.float32)


def finished(cloth: Picture, light: Floats, rng: random.Random, hem: float) -> Picture:
    """The texture of a mask: cloth under light, its hems darker or paler, opaque."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1.0)
    edge = (np.minimum(y, 1 - y) < hem) | (np.minimum(x, 1 - x) < hem)
    light = light * np.where(edge, rng.uniform(0.82, 1.1), 1.0)
    seam = np.minimum(np.abs(y - hem), np.abs(1 - y - hem)) < 0.008
    light = np.where(seam, light * 0.8, light)
    tone = np.clip(cloth * light[..., None], 0, 255).astype(np.uint8)
    return np.dstack([tone, np.full((SIDE, SIDE), 255, np.uint8)])


def wire(rng: random.Random, light: Floats) -> Floats:
    """The light with the bright bend of a nose wire near the upper edge."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    line = np.exp(-(((y + 0.5 - rng.uniform(0.05, 0.1)) / 0.022) ** 2)) * (np.abs(x) < rng.uniform(0.14, 0.26))
    return np.asarray(light + rng.uniform(0.05, 0.3) * line - 0.15 * np.roll(line, 5, axis=0), np.float32)


def pleated(rng: random.Random) -> Picture:
    """A surgical mask's face: three or four pleats, a nose wire."""
    y = np.mgrid[:SIDE, :SIDE][0] / SIDE
    light = np.ones((SIDE, SIDE), np.float32)
    pleats, deep = rng.choice((3, 3, 4)), rng.uniform(0.08, 0.3)
    for step in range(pleats):
        away = y - (0.24 + 0.56 * step / pleats + rng.gauss(0, 0.015))
        light -= deep * np.exp(-np.clip(away, 0, None) / 0.05) * (away > 0) - 0.08 * np.exp(
            -(((away + 0.03) / 0.02) ** 2)
        )
    cloth = np.full((SIDE, SIDE, 3), usual(rng), np.float32)
    return finished(np.asarray(cloth.astype(np.uint8)), creased(rng, wire(rng, light)), rng, 0.04)


def printed(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 3) cloth: woven, dotted, flowered, lettered, or with a mouth drawn on it."""
    kind = rng.randrange(5)
    if kind == 0:
        return np.asarray(cv2.resize(weave(rng, 96), (SIDE, SIDE)), np.uint8)
    cloth = np.full((SIDE, SIDE, 3), colour(rng) if rng.random() < 0.6 else usual(rng), np.uint8)
    ink, other = colour(rng), colour(rng)
    if kind in (1, 2):
        step, size = rng.randint(9, 34), rng.uniform(0.15, 0.5)
        for y in range(0, SIDE, step):
            for x in range((y // step % 2) * step // 2, SIDE, step):
                place = x + rng.randint(-2, 2), y + rng.randint(-2, 2)
                petals = 1 if kind == 1 else 5
                for petal in range(petals):
                    turn = 2 * math.pi * petal / petals
                    away = 0.0 if petals == 1 else size * step * 0.6
                    middle = round(place[0] + away * math.cos(turn)), round(place[1] + away * math.sin(turn))
                    cv2.circle(cloth, middle, max(1, round(size * step * 0.6)), ink, -1, cv2.LINE_AA)
                if petals > 1:
                    cv2.circle(cloth, place, max(1, round(size * step * 0.4)), other, -1, cv2.LINE_AA)
    elif kind == 3:
        letters = "".join(rng.choice("ABCDEFGHKLMNOPRSTUVW0123") for _ in range(rng.randint(2, 7)))
        size = rng.uniform(0.5, 1.6)
        place = rng.randint(10, 70), rng.randint(60, 120)
        cv2.putText(cloth, letters, place, cv2.FONT_HERSHEY_DUPLEX, size, ink, rng.randint(1, 4), cv2.LINE_AA)
    else:
        middle, axes = (SIDE // 2, rng.randint(80, 115)), (rng.randint(20, 55), rng.randint(6, 26))
        start = rng.choice((0, 0, 180))
        cv2.ellipse(cloth, middle, axes, 0, start, start + rng.choice((180, 360)), ink, rng.choice((-1, 3, 6)))
    return cloth


def sewn(rng: random.Random) -> Picture:
    """A cloth mask: black, plain or printed, mostly with a seam down the middle."""
    x = np.mgrid[:SIDE, :SIDE][1] / SIDE - 0.5
    light = np.ones((SIDE, SIDE), np.float32)
    if rng.random() < 0.6:
        light -= rng.uniform(0.1, 0.4) * np.exp(-((x / 0.012) ** 2))
    kind = rng.random()
    dark = np.full((SIDE, SIDE, 3), bgr(rng.uniform(8, 55) for _ in range(3)), np.uint8)
    plain_cloth = np.full((SIDE, SIDE, 3), usual(rng), np.uint8)
    cloth = dark if kind < 0.35 else plain_cloth if kind < 0.55 else printed(rng)
    return finished(cloth, creased(rng, light), rng, rng.choice((0.0, 0.03)))


def filtering(rng: random.Random) -> Picture:
    """FFP2, KN95 or N95: white mostly, pressed lines, a middle seam, a stamp, sometimes a valve."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    light = np.ones((SIDE, SIDE), np.float32)
    light -= rng.uniform(0.05, 0.25) * np.exp(-((x / 0.012) ** 2))
    rings = np.hypot(x / 0.44, y / rng.uniform(0.3, 0.44))
    light -= rng.uniform(0.0, 0.14) * (np.abs(rings - 1) < 0.03)
    across = rng.uniform(-0.15, 0.15)
    light -= rng.uniform(0.0, 0.2) * np.exp(-(((y - across) / 0.012) ** 2))
    tone = usual(rng) if rng.random() < 0.4 else bgr(rng.uniform(215, 250) for _ in range(3))
    cloth = np.full((SIDE, SIDE, 3), tone, np.uint8)
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(90, 120), rng.randint(80, 130)
        cv2.putText(cloth, "FFP2 NR"[: rng.randint(3, 7)], place, cv2.FONT_HERSHEY_PLAIN, 0.7, (90, 80, 80), 1)
    texture = finished(cloth, creased(rng, wire(rng, light)), rng, 0.03)
    if rng.random() < 0.4:
        valve(texture, rng)
    return texture


def valve(texture: Picture, rng: random.Random) -> None:
    """Draws a round or square valve with slots, at one side or in the middle."""
    middle = rng.choice((SIDE // 2, SIDE // 2 + 28, SIDE // 2 - 28)), rng.randint(70, 105)
    tone = rng.choice((235, 200, 120, 40)) * rng.uniform(0.85, 1.05)
    ink = (tone, tone, tone, 255) if rng.random() < 0.8 else (*colour(rng), 255)
    size = rng.randint(12, 20)
    dark = (*(value * 0.6 for value in ink[:3]), 255)
    corners = (middle[0] - size, middle[1] - size), (middle[0] + size, middle[1] + size)
    if rng.random() < 0.6:
        cv2.circle(texture, (middle[0] + 2, middle[1] + 3), size, (90, 90, 90, 255), -1, cv2.LINE_AA)
        cv2.circle(texture, middle, size, ink, -1, cv2.LINE_AA)
        cv2.circle(texture, middle, round(size * 0.7), dark, 2, cv2.LINE_AA)
    else:
        cv2.rectangle(texture, *corners, ink, -1)
        cv2.rectangle(texture, *corners, dark, 2)
    for slot in range(-1, 2):
        row = middle[1] + slot * size // 3
        cv2.line(texture, (middle[0] - size // 2, row), (middle[0] + size // 2, row), dark, 2)


def wound(rng: random.Random) -> Picture:
    """A scarf's or bandana's cloth, with folds across."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    waves = np.sin(2 * math.pi * (rng.uniform(2, 6) * y + rng.uniform(0.3, 1.2) * np.abs(x - 0.5)) + rng.uniform(0, 6))
    light = 1 + rng.uniform(0.05, 0.3) * waves + 0.1 * noise(rng, 5, 5, SIDE)
    cloth = printed(rng) if rng.random() < 0.6 else np.full((SIDE, SIDE, 3), colour(rng), np.uint8)
    return finished(np.asarray(cloth, np.uint8), light, rng, 0.0)


def loops(points: Floats, rng: random.Random, tone: Colour) -> list[Shell]:
    """Bands from a mask's corners round the ears."""
    wide = rng.uniform(0.035, 0.08)
    shells = []
    for way, column in ((-1, 0), (1, -1)):
        upper, lower = points[1, column], points[-2, column]
        ear = (way * 1.16, rng.uniform(-0.05, 0.15), -1.15), (way * 1.14, rng.uniform(0.6, 0.85), -1.1)
        for corner, end in zip((upper, lower), ear, strict=True):
            shells.append(Shell(strip([tuple(corner.tolist()), end], wide), plain(tone)))
    return shells


def bands(points: Floats, rng: random.Random, tone: Colour) -> list[Shell]:
    """Bands from a mask's corners round the head."""
    wide = rng.uniform(0.05, 0.1)
    shells = []
    for way, column in ((-1, 0), (1, -1)):
        upper, lower = points[3, column], points[-6, column]
        ends = ((way * 1.1, -0.5, -1.3), (way * 0.8, -1.1, -2.0)), ((way * 1.1, 1.0, -1.3), (way * 0.8, 1.0, -2.0))
        for corner, far in zip((upper, lower), ends, strict=True):
            shells.append(Shell(strip([tuple(corner.tolist()), *far], wide), plain(tone)))
    return shells


def cut(rng: random.Random) -> list[Shell]:
    """A mask of any kind, over the nose, under it or on the chin."""
    drop = rng.choices((0.0, rng.uniform(0.42, 0.6), rng.uniform(0.95, 1.25)), (0.8, 0.13, 0.07))[0]
    form, texture, held = rng.choices(
        ((SURGICAL, pleated, loops), (CLOTH, sewn, loops), (BEAK, filtering, loops), (CUP, filtering, bands),
         (BANDANA, wound, None), (SCARF, wound, None)),
        (0.4, 0.26, 0.12, 0.08, 0.06, 0.08),
    )[0]  # fmt: skip
    points = surface(rng, form, drop if held else min(drop, 0.5))
    cloth = texture(rng)
    pale = rng.random() < 0.6
    tone: Colour = (rng.uniform(190, 250),) * 3 if pale else bgr(0.9 * cloth[20:-20, 20:-20, :3].mean(axis=(0, 1)))
    straps = held(points, rng, tone) if held is not None and rng.random() < 0.9 else []
    return [*straps, Shell(points, cloth)]
