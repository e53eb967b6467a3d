"""Cuts what is worn on heads: alone knows the forms of fringes, caps, hoods, helmets, glasses and face shields.

Each is a list of shells for `shells.draw`, in eye distances of the head that wears it.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.scenes.garments import Colour, bgr, colour, noise, shaded, weave
from models.training.scenes.shells import SKULL, Shell, outside, plain, strip

SIDE = 160  # pixels of a texture


def dome(rise: tuple[float, float], grow: float, sweep: float = math.pi, steps: int = 40) -> Floats:
    """(steps, steps, 3): the skull `grow` times as large, from the crown down.

    rise: height in eye distances of the lower edge, before and behind; sweep: how far it reaches
    to either side, in radians from the face's middle.
    """
    middle, axes = SKULL
    turn, share = np.meshgrid(np.linspace(-sweep, sweep, steps), np.linspace(0, 1, steps))
    front = (1 + np.cos(turn)) / 2
    edge = (rise[1] + (rise[0] - rise[1]) * front - middle[1]) / (axes[1] * grow)
    height = -1 + (np.clip(edge, -0.98, 0.98) + 1) * share**1.5
    wide = np.sqrt(np.clip(1 - height**2, 0, 1))
    offset = np.stack([np.sin(turn) * wide, height, np.cos(turn) * wide], axis=-1)
    deep = np.where(offset[..., 2] > 0, axes[2], axes[3])
    reach = np.stack([np.full_like(deep, axes[0]), np.full_like(deep, axes[1]), deep], axis=-1)
    return np.asarray(middle + offset * reach * grow, np.float32)


def strands(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 3) uint8 of hair that falls down the texture."""
    dark = rng.uniform(8, 80) if rng.random() < 0.75 else rng.uniform(80, 210)
    tone = bgr(dark * share for share in (rng.uniform(0.5, 0.95), 0.9, rng.uniform(0.95, 1.3)))
    if rng.random() < 0.06:
        tone = colour(rng)  # dyed
    light = 1 + 0.28 * noise(rng, 3, SIDE // 2, SIDE) + 0.2 * noise(rng, 5, 5, SIDE)
    return shaded(tone, light)


def fringe(rng: random.Random) -> list[Shell]:
    """Hair over the forehead down to the brows or into the eyes, with locks at the temples."""
    sweep = rng.uniform(0.9, 1.7)
    points = dome((rng.uniform(-0.35, 0.2), rng.uniform(-0.2, 0.9)), rng.uniform(1.03, 1.1), sweep)
    clear = np.full((SIDE, SIDE), 255, np.uint8)
    width, parted = rng.uniform(3, 12), rng.uniform(0.2, 0.8) if rng.random() < 0.5 else -1
    x = 0.0
    while x < SIDE:  # the ends of the locks
        away = abs(x / SIDE - parted) if parted >= 0 else 1.0
        end = SIDE * (1 - rng.uniform(0, 0.22) - max(0.0, 0.3 - away))
        corners = np.array([[x, SIDE], [x + width, SIDE], [x + rng.uniform(0, width), end]], np.int32)
        cv2.fillPoly(clear, [corners], 0, cv2.LINE_AA)
        x += width * rng.uniform(0.5, 1.4)
    return [Shell(points, np.dstack([strands(rng), clear]))]


def solid(cloth: Picture) -> Picture:
    """A cloth as an opaque texture of SIDE pixels."""
    grown = cv2.resize(cloth, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.dstack([grown, np.full((SIDE, SIDE), 255, np.uint8)])


def stuff(rng: random.Random) -> Picture:
    """A texture of one colour or woven, with soft folds."""
    if rng.random() < 0.4:
        return solid(weave(rng, 96))
    tone = colour(rng) if rng.random() < 0.6 else bgr((rng.uniform(10, 60),) * 3)
    return solid(shaded(tone, 1 + rng.uniform(0.03, 0.12) * noise(rng, 6, 6, SIDE)))


def lettered(texture: Picture, rng: random.Random) -> Picture:
    """A texture with a badge or a few letters at the forehead."""
    if rng.random() < 0.5:
        text = "".join(rng.choice("ABCDEHKLNOPSTXYZ247") for _ in range(rng.randint(1, 4)))
        place = 80 - 9 * len(text), rng.randint(110, 135)
        cv2.putText(texture, text, place, cv2.FONT_HERSHEY_DUPLEX, rng.uniform(0.6, 1.0), (*colour(rng), 255), 2)
    return texture


def peak(rng: random.Random, low: float, tone: Picture, reach: float) -> Shell:
    """A stiff peak that juts out `reach` above the brows."""
    sweep = rng.uniform(0.75, 1.0)
    turn, out = np.meshgrid(np.linspace(-sweep, sweep, 30), np.linspace(0, 1, 12))
    droop = rng.uniform(0.05, 0.4)
    x = 1.22 * np.sin(turn) * (1 + 0.05 * out)
    z = SKULL[0][2] + 1.2 * np.cos(turn) + 0.05 + out * reach * np.cos(turn * 1.1)
    y = low + droop * out + 0.18 * np.sin(turn) ** 2
    return Shell(np.stack([x, y, z], axis=-1).astype(np.float32), tone)


def cap(rng: random.Random) -> list[Shell]:
    """A baseball or service cap, its peak before or behind, or turned a little."""
    low = rng.uniform(-0.75, -0.35)
    texture = lettered(stuff(rng), rng)
    crown = Shell(dome((low, low + rng.uniform(0, 0.35)), rng.uniform(1.16, 1.3)), texture)
    if rng.random() < 0.12:
        return [crown]
    visor = texture if rng.random() < 0.6 else stuff(rng)
    return [crown, peak(rng, low, solid(visor[..., :3]), rng.uniform(0.5, 0.95))]


def beanie(rng: random.Random) -> list[Shell]:
    """A knitted hat or a surgical cap, low over the forehead."""
    low = rng.uniform(-0.8, -0.3)
    points = dome((low, low + rng.uniform(0.2, 0.9)), rng.uniform(1.14, 1.32))
    cloth = stuff(rng)
    if rng.random() < 0.6:
        cloth[-rng.randint(20, 50) :, :, :3] = stuff(rng)[-1, -1, :3]
    ribs = 1 + rng.uniform(0, 0.3) * np.sin(np.arange(SIDE) * rng.uniform(0.5, 2.5))
    cloth[..., :3] = np.clip(cloth[..., :3] * ribs[None, :, None], 0, 255)
    return [Shell(points, cloth)]


def hood(rng: random.Random) -> list[Shell]:
    """A hood, headscarf or wimple: cloth all round the face, from its opening back and down to the shoulders."""
    turn, back = np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.linspace(0, 1, 24))
    tight = rng.random() < 0.5
    wide, high = (rng.uniform(0.95, 1.08), rng.uniform(1.35, 1.6)) if tight else (rng.uniform(1.1, 1.4), 1.85)
    grow = 1 + (rng.uniform(0.2, 0.35) if tight else rng.uniform(0.15, 0.4)) * np.sin(back * np.pi / 2)
    x = wide * np.sin(turn) * grow
    y = 0.45 - high * np.cos(turn) * grow
    start = rng.uniform(-0.35, -0.1) if tight else rng.uniform(-0.3, 0.35)
    z = start - 2.2 * back - (0.25 if tight else 0.0) * np.abs(np.sin(turn)) ** 2
    y = np.where(y > 1.6, y + (y - 1.6) * rng.uniform(0.3, 1.2), y)
    points = outside(np.stack([x, y, z], axis=-1).astype(np.float32), 0.05)
    cloth = stuff(rng)
    cloth[: rng.randint(2, 14), :, :3] = np.clip(cloth[:1, :, :3] * rng.uniform(0.6, 1.2), 0, 255)
    ripple = 1 + rng.uniform(0.02, 0.16) * np.sin(np.arange(SIDE) * rng.uniform(0.2, 0.6))
    cloth[..., :3] = np.clip(cloth[..., :3] * ripple[None, :, None], 0, 255)
    return [Shell(points, cloth)]


def helmet(rng: random.Random) -> list[Shell]:
    """A hard hat, a bicycle or riding helmet, or a motorcycle helmet, mostly with a chin strap."""
    kind = rng.random()
    if kind < 0.3:
        return full_face(rng)
    low = rng.uniform(-0.7, -0.4)
    tone = colour(rng) if rng.random() < 0.6 else rng.choice(((20, 190, 240), (240, 240, 240), (30, 30, 200)))
    texture = solid(shaded(tone, 1 + 0.05 * noise(rng, 8, 8, SIDE)))
    shine = rng.randint(20, 140), rng.randint(20, 90)
    cv2.ellipse(texture, shine, (rng.randint(4, 20), rng.randint(8, 30)), 0, 0, 360, (250, 250, 250, 255), -1)
    grow = rng.uniform(1.28, 1.42)
    if kind < 0.65:  # slots of a bicycle helmet
        for column in range(rng.randint(4, 16), SIDE, rng.randint(18, 34)):
            cv2.ellipse(
                texture, (column, 85), (rng.randint(2, 6), rng.randint(20, 45)), 0, 0, 360, (15, 15, 15, 255), -1
            )
    shells = [Shell(dome((low, low + rng.uniform(0.0, 0.5)), grow), lettered(texture, rng))]
    if kind > 0.65 or rng.random() < 0.3:
        shells.append(peak(rng, low, solid(texture[..., :3]), rng.uniform(0.25, 0.55)))
    if rng.random() < 0.75:
        dark = plain(bgr((rng.uniform(10, 90),) * 3))
        for way in (-1, 1):
            line = [(way * 1.2, low, -0.7), (way * 1.05, 0.9, -0.6), (way * 0.5, 1.9, -0.3), (0.0, 2.0, -0.2)]
            shells.append(Shell(strip(line, 0.1), dark))
    return shells


def full_face(rng: random.Random) -> list[Shell]:
    """A motorcycle helmet whose visor is open, or gone: brow and chin bar about the eyes."""
    middle, axes = np.array([0.0, 0.35, -0.85], np.float32), np.array([1.5, 2.05, 1.75], np.float32)
    turn, rise = np.meshgrid(np.linspace(-np.pi, np.pi, 80), np.linspace(-np.pi / 2, np.pi / 2 * 0.85, 60))
    offset = np.stack([np.cos(rise) * np.sin(turn), np.sin(rise), np.cos(rise) * np.cos(turn)], axis=-1)
    points = (middle + offset * axes).astype(np.float32)
    tone = colour(rng)
    shell = solid(shaded(tone, 1 + 0.04 * noise(rng, 8, 8, SIDE)))
    if rng.random() < 0.5:
        cv2.line(
            shell, (0, rng.randint(20, 150)), (SIDE, rng.randint(20, 150)), (*colour(rng), 255), rng.randint(4, 20)
        )
    top, low = rng.uniform(-0.75, -0.4), rng.uniform(0.75, 1.7) if rng.random() < 0.8 else 2.4
    height = cv2.resize(points[..., 1], (SIDE, SIDE))
    sweep = np.abs(np.linspace(-np.pi, np.pi, SIDE))[None, :]
    window = (height > top) & (height < low) & (sweep < rng.uniform(0.9, 1.2))
    shell[window] = 0
    rim = cv2.dilate(window.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~window
    shell[rim] = (25, 25, 25, 255)
    return [Shell(points, shell)]


def rims(rng: random.Random) -> tuple[Picture, Picture]:
    """The masks (SIDE, 2 SIDE) uint8 of two lenses and of the rims about them, eyes at a third from either side."""
    lens, rim = np.zeros((SIDE, 2 * SIDE), np.uint8), np.zeros((SIDE, 2 * SIDE), np.uint8)
    wide, high = rng.uniform(34, 52), rng.uniform(26, 52)
    power, thick = rng.choice((2.0, 2.0, 3.0, 5.0)), rng.choice((1, 2, 2, 3, 5, 9))
    angle = np.linspace(0, 2 * np.pi, 40)
    low = rng.uniform(-6, 16)
    for way in (-1, 1):
        x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power) * wide
        y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power) * high
        x = x * (1 - rng.uniform(0, 0.002) * y)
        corners = np.stack([SIDE + way * 54 + x, SIDE / 2 + low + y], axis=1).astype(np.int32)
        cv2.fillPoly(lens, [corners], 255)
        cv2.polylines(rim, [corners], True, 255, thick, cv2.LINE_AA)
    bridge = round(SIDE / 2 + low - 0.3 * high)
    cv2.line(rim, (SIDE - 20, bridge), (SIDE + 20, bridge), 255, max(2, thick - 1), cv2.LINE_AA)
    return lens, rim


def glasses(rng: random.Random, dark: bool) -> list[Shell]:
    """Glasses, clear or dark, with arms to the ears; 54 texture pixels are half an eye distance."""
    lens, rim = rims(rng)
    half = SIDE / 108.0
    x, y = np.meshgrid(np.linspace(-half, half, 40), np.linspace(-half / 2, half / 2, 20))
    curve = rng.uniform(0.1, 0.35)
    points = np.stack([x, y + 0.02, 0.2 - curve * x**2], axis=-1).astype(np.float32)
    ink: Colour = bgr((rng.uniform(0, 60),) * 3) if rng.random() < 0.7 else colour(rng)
    texture = np.zeros((SIDE, 2 * SIDE, 4), np.uint8)
    if dark:
        fade = np.linspace(rng.uniform(0.7, 1.0), rng.uniform(0.3, 1.0), SIDE)[:, None]
        tint = bgr((rng.uniform(5, 55),) * 3) if rng.random() < 0.75 else colour(rng)
        texture[..., :3] = tint
        texture[..., 3] = np.maximum(lens * fade, 1) * (lens > 0)
    else:
        texture[..., :3] = 235
        texture[..., 3] = lens // rng.choice((10, 16, 30))
    if rng.random() < (0.6 if dark else 0.35):  # a window's reflection
        start, lean = rng.randint(0, 2 * SIDE), rng.randint(-80, 80)
        glare = np.zeros_like(lens)
        cv2.line(glare, (start, 0), (start + lean, SIDE), 255, rng.randint(6, 40), cv2.LINE_AA)
        cv2.line(glare, (start - 2 * 54, 0), (start - 108 + lean, SIDE), 255, rng.randint(6, 40), cv2.LINE_AA)
        texture[(glare > 0) & (lens > 0)] = (*bgr((rng.uniform(160, 250),) * 3), rng.randint(60, 230))
    texture[rim > 0] = (*ink, 255)
    wide = rng.uniform(0.05, 0.16)
    arms = [
        Shell(strip([(way * 1.0, -0.1, 0.2 - curve), (way * 1.14, -0.05, -1.15)], wide), plain(ink)) for way in (-1, 1)
    ]
    return [*arms, Shell(points, texture)]


def spectacles(rng: random.Random) -> list[Shell]:
    """Clear glasses."""
    return glasses(rng, dark=False)


def sunglasses(rng: random.Random) -> list[Shell]:
    """Dark glasses."""
    return glasses(rng, dark=True)


def shield(rng: random.Random) -> list[Shell]:
    """A clear pane before the whole face, with its reflections and a band at the forehead."""
    sweep = rng.uniform(0.9, 1.4)
    turn, down = np.meshgrid(np.linspace(-sweep, sweep, 40), np.linspace(0, 1, 30))
    top, low, away = rng.uniform(-1.1, -0.7), rng.uniform(1.9, 2.6), rng.uniform(1.5, 1.8)
    z = -0.95 + away * np.cos(turn)
    points = np.stack([1.45 * np.sin(turn), top + (low - top) * down, z], axis=-1).astype(np.float32)
    texture = np.full((SIDE, SIDE, 4), (250, 245, 240, rng.randint(10, 45)), np.uint8)
    for _ in range(rng.randint(1, 4)):
        start, lean = rng.randint(0, SIDE), rng.randint(-60, 60)
        ink = (255, 255, 255, rng.randint(60, 170))
        cv2.line(texture, (start, rng.randint(0, 60)), (start + lean, rng.randint(90, SIDE)), ink, rng.randint(2, 14))
    texture[: rng.randint(8, 26)] = (*colour(rng), 255)
    texture[-2:], texture[:, :2], texture[:, -2:] = ((230, 230, 230, 200),) * 3
    return [Shell(points, texture)]
