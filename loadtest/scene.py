"""A drawn scene with three people, for pictures that may be shown anywhere. Alone knows how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Colour = tuple[float, float, float]
Points = list[tuple[float, float]]

WIDTH, HEIGHT = 960, 640
#: Drawn so many times larger, then shrunk: smooth edges.
_FINER = 2

_DARK: Colour = (45, 40, 38)
_LIPS: Colour = (95, 85, 190)
_WHITE: Colour = (244, 246, 248)

#: Outlines in half face widths around the middle of a face.
_LONG_HAIR: Points = [(-1.12, -0.5), (1.12, -0.5), (1.3, 1.9), (-1.3, 1.9)]
_FRINGE: Points = [
    (-0.98, -0.35), (-0.8, -1.05), (0, -1.42), (0.8, -1.05), (0.98, -0.35), (0.66, -0.72), (0.1, -0.86), (-0.5, -0.66),
]  # fmt: skip
_SHOULDER: Points = [
    (0.4, 1.62), (0.75, 1.7), (1.2, 1.84), (1.52, 2.0), (1.74, 2.22), (1.86, 2.5), (1.95, 3.0), (2.1, 5.0),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """x, y: middle of the face, size: half its width, in pixels. Colours are BGR. hair: its length in faces."""

    x: float
    y: float
    size: float
    skin: Colour
    hair: Colour
    shirt: Colour
    long_hair: bool = False
    beard: bool = False
    smile: float = 1.0


PEOPLE = (
    Person(255, 300, 78, (150, 182, 228), (40, 62, 105), (96, 92, 200), long_hair=True),
    Person(500, 250, 84, (82, 122, 176), (28, 30, 34), (150, 110, 60), beard=True, smile=0.8),
    Person(735, 330, 70, (58, 84, 128), (18, 18, 22), (90, 170, 226), smile=1.2),
)


class Canvas:
    """(height, width, 3) float32 BGR at `_FINER` times the size; coordinates are those of the scene."""

    def __init__(self) -> None:
        self.pixels = np.zeros((HEIGHT * _FINER, WIDTH * _FINER, 3), np.float32)
        rows, cols = np.mgrid[0 : HEIGHT * _FINER, 0 : WIDTH * _FINER].astype(np.float32)
        self.x, self.y = (cols + 0.5) / _FINER, (rows + 0.5) / _FINER

    def paint(self, colour: Colour | Plane, mask: Plane, strength: float = 1.0) -> None:
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]  # the rest stays as it is
        weight = (mask[part] * np.float32(strength))[..., None]
        tone = np.asarray(colour, np.float32)
        self.pixels[part] = self.pixels[part] * (1 - weight) + (tone if tone.ndim == 1 else tone[part]) * weight

    def oval(self, x: float, y: float, a: float, b: float, soft: float = 1.0) -> Plane:
        """1 inside, 0 outside; `soft`: pixels from one to the other."""
        radius = np.sqrt(((self.x - x) / a) ** 2 + ((self.y - y) / b) ** 2)
        return np.asarray(np.clip((1 - radius) * np.float32(min(a, b) / soft) + 0.5, 0, 1), np.float32)

    def shape(self, points: Points, soft: float = 0.0) -> Plane:
        """A filled polygon, its edges blurred by `soft` pixels."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.rint(np.array(points) * _FINER).astype(np.int32)], 255, cv2.LINE_AA)
        blurred = cv2.GaussianBlur(mask, (0, 0), soft * _FINER) if soft else mask
        return np.asarray(blurred, np.float32) / np.float32(255)

    def curve(self, points: Points, width: float) -> Plane:
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        line = np.rint(np.array(points) * _FINER).astype(np.int32)
        cv2.polylines(
            mask, [line], isClosed=False, color=255, thickness=max(1, round(width * _FINER)), lineType=cv2.LINE_AA
        )
        return np.asarray(mask, np.float32) / np.float32(255)

    def picture(self) -> Pixels:
        size = (WIDTH, HEIGHT)
        return np.clip(np.rint(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)), 0, 255).astype(np.uint8)


def scene() -> Pixels:
    """(640, 960, 3) uint8 BGR: three people in a park."""
    canvas = Canvas()
    _park(canvas)
    for person in PEOPLE:
        _person(canvas, person)
    return canvas.picture()


def _park(canvas: Canvas) -> None:
    height = np.clip(canvas.y / 420, 0, 1)[..., None]
    sky = np.array((222, 176, 120), np.float32) * (1 - height) + np.array((246, 234, 214), np.float32) * height
    canvas.pixels[...] = sky
    canvas.paint((190, 236, 255), canvas.oval(850, 90, 46, 46, 3))
    for x, y, a in ((150, 90, 80), (215, 108, 62), (560, 70, 70), (620, 86, 54)):
        canvas.paint((252, 250, 248), canvas.oval(x, y, a, a * 0.3, 9), 0.9)
    hills: Points = [(float(x), 330 - 40 * np.sin(x / 130) - 22 * np.sin(x / 47 + 1)) for x in range(0, WIDTH + 20, 10)]
    canvas.paint((150, 176, 132), canvas.shape([*hills, (WIDTH, HEIGHT), (0, HEIGHT)], 1))
    meadow: Points = [(float(x), 412 + 14 * np.sin(x / 160 + 2)) for x in range(0, WIDTH + 20, 10)]
    canvas.paint((92, 158, 108), canvas.shape([*meadow, (WIDTH, HEIGHT), (0, HEIGHT)], 1))
    _house(canvas)
    for x, y, size in ((60, 320, 62), (890, 335, 72), (380, 372, 34)):
        _tree(canvas, x, y, size)


def _tree(canvas: Canvas, x: float, y: float, size: float) -> None:
    trunk: Points = [
        (x - size * 0.12, y),
        (x + size * 0.12, y),
        (x + size * 0.16, y + size * 1.7),
        (x - size * 0.16, y + size * 1.7),
    ]
    canvas.paint((52, 82, 112), canvas.shape(trunk))
    for across, down, part in ((0, 0, 1.0), (-0.55, 0.35, 0.7), (0.55, 0.3, 0.72), (0.1, -0.5, 0.66)):
        canvas.paint((70, 128, 62), canvas.oval(x + across * size, y + down * size, size * part, size * part, 4))
    canvas.paint((96, 158, 92), canvas.oval(x - size * 0.3, y - size * 0.35, size * 0.5, size * 0.42, 16), 0.7)


def _house(canvas: Canvas) -> None:
    canvas.paint((206, 222, 236), canvas.shape([(330, 300), (450, 300), (450, 392), (330, 392)]))
    canvas.paint((72, 84, 176), canvas.shape([(318, 304), (390, 250), (462, 304)]))
    for x in (346, 410):
        canvas.paint((150, 120, 90), canvas.shape([(x, 322), (x + 26, 322), (x + 26, 350), (x, 350)]))


def _person(canvas: Canvas, person: Person) -> None:
    """Hair behind, neck and shirt, head, face, hair in front; s: half the face's width."""
    x, y, s = person.x, person.y, person.size
    dark = _shaded(person.skin, 0.72)
    if person.long_hair:
        canvas.paint(person.hair, canvas.shape(_placed(person, _LONG_HAIR), 5))
    canvas.paint(person.hair, canvas.oval(x, y - 0.3 * s, 1.14 * s, 1.22 * s, 2))
    shoulders = [(-across, down) for across, down in reversed(_SHOULDER)] + _SHOULDER
    canvas.paint(person.shirt, canvas.shape(_placed(person, shoulders), 1.5))
    canvas.paint(dark, canvas.oval(x, y + 1.3 * s, 0.46 * s, 0.66 * s, 2))
    canvas.paint(person.skin, canvas.oval(x, y + 1.55 * s, 0.42 * s, 0.36 * s, 6), 0.7)
    for side in (-1, 1):
        canvas.paint(dark, canvas.oval(x + side * 0.94 * s, y + 0.1 * s, 0.13 * s, 0.25 * s, 2))
    across, down = (canvas.x - x) / s, (canvas.y - y) / s
    light = np.clip(1.06 - 0.22 * across**2 - 0.08 * down**2 - 0.1 * across, 0.5, 1.12)[..., None]
    canvas.paint(np.asarray(person.skin, np.float32) * light, canvas.oval(x, y + 0.1 * s, 0.93 * s, 1.22 * s, 2))
    _features(canvas, person)
    canvas.paint(person.hair, canvas.shape(_placed(person, _FRINGE), 2))


def _features(canvas: Canvas, person: Person) -> None:
    x, y, s = person.x, person.y, person.size
    dark = _shaded(person.skin, 0.55)
    if person.beard:
        chin = np.clip((canvas.y - y) / s / 0.5 - 0.2 + 0.5 * ((canvas.x - x) / s) ** 2, 0, 1)
        canvas.paint(person.hair, (canvas.oval(x, y + 0.12 * s, 0.92 * s, 1.22 * s, 4) * chin).astype(np.float32), 0.62)
    for side in (-1, 1):
        eye = x + side * 0.37 * s
        canvas.paint(dark, canvas.oval(eye, y - 0.1 * s, 0.26 * s, 0.18 * s, 8), 0.35)
        canvas.paint(person.hair, canvas.curve(_bow(eye, y - 0.31 * s, 0.25 * s, 0, -0.08 * s), 0.07 * s), 0.95)
        canvas.paint(_WHITE, canvas.oval(eye, y - 0.05 * s, 0.19 * s, 0.105 * s, 1))
        canvas.paint(_DARK, canvas.oval(eye, y - 0.05 * s, 0.092 * s, 0.1 * s, 1))
        canvas.paint(_WHITE, canvas.oval(eye + 0.03 * s, y - 0.085 * s, 0.026 * s, 0.026 * s, 1))
        canvas.paint(_DARK, canvas.curve(_bow(eye, y - 0.06 * s, 0.2 * s, 0, -0.1 * s), 0.04 * s), 0.9)
        canvas.paint(dark, canvas.oval(x + side * 0.1 * s, y + 0.42 * s, 0.055 * s, 0.036 * s, 2), 0.8)
        canvas.paint((110, 110, 205), canvas.oval(x + side * 0.56 * s, y + 0.4 * s, 0.2 * s, 0.14 * s, 14), 0.18)
        canvas.paint(dark, canvas.oval(x + side * 0.13 * s, y + 0.12 * s, 0.035 * s, 0.26 * s, 6), 0.22)
    canvas.paint(_WHITE, canvas.oval(x, y + 0.18 * s, 0.05 * s, 0.2 * s, 8), 0.3)
    up = 0.16 * s * person.smile
    upper, between, lower = (_bow(x, y + 0.64 * s, 0.36 * s, up, sag * s) for sag in (0.08, 0.1, 0.25))
    canvas.paint(_LIPS, canvas.shape([*upper, *reversed(lower)], 1))
    canvas.paint(_DARK, canvas.curve(between, 0.035 * s), 0.7)


def _bow(x: float, y: float, half: float, up: float, sag: float) -> Points:
    """An arc around (x, y), its ends `up` higher, its middle `sag` lower."""
    steps = np.linspace(-1, 1, 17)
    return [(x + half * float(t), y + sag * (1 - float(t) ** 2) - up * float(t) ** 2) for t in steps]


def _placed(person: Person, outline: Points) -> Points:
    """From half face widths around the middle of the face to pixels."""
    return [(person.x + across * person.size, person.y + down * person.size) for across, down in outline]


def _shaded(colour: Colour, light: float) -> Colour:
    return colour[0] * light, colour[1] * light, colour[2] * light
