"""From a person's keypoints to the box of the face: alone knows how a head lies behind nose, eyes and ears.

A head of average form is turned until its nose, eyes and ears lie where a human marked them, and those that nobody
could see are turned away; the box is that of its face's oval. So a profile gets the box that the convention of the
portraits (label.py: the hull of MediaPipe's oval) would give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats

Doubles = NDArray[np.float64]

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = range(5)  # as COCO counts; left is the person's own
#: Centimetres from the middle of the head: to the picture's right, down, towards the camera. The person looks at us.
MARKS = np.array([(0, 1.5, 9.0), (3.2, -2.2, 6.3), (-3.2, -2.2, 6.3), (7.6, 0.2, -3.4), (-7.6, 0.2, -3.4)])
#: Half of the face's oval, from the forehead down to the chin.
SIDE_OF_OVAL = (
    (0.0, -7.4, 6.0), (2.6, -7.2, 5.6), (4.9, -6.2, 4.2), (6.6, -4.4, 1.6), (7.4, -1.8, -1.4), (7.7, 0.8, -2.4),
    (7.3, 3.6, -2.0), (6.3, 6.2, -0.6), (4.6, 8.4, 2.6), (2.6, 9.7, 5.2), (0.0, 10.2, 6.2),
)  # fmt: skip
OVAL = np.array([*SIDE_OF_OVAL, *((-x, y, z) for x, y, z in SIDE_OF_OVAL)])
YAWS, PITCHES = range(-100, 101, 10), range(-40, 41, 10)
USUAL_PITCH, USUAL_LEAN, USUAL_YAW = 22.0, 25.0, 60.0  # degrees: the spread of heads in photographs
MISFIT = 0.9  # centimetres: the spread of human marks about the average head
HIDDEN_BEYOND = {
    LEFT_EYE: 55.0,
    RIGHT_EYE: -55.0,
    LEFT_EAR: 25.0,
    RIGHT_EAR: -25.0,
}  # of yaw, where each goes out of sight


@dataclass(frozen=True)
class Head:
    """box (4,) float32, pixels; yaw, pitch, lean in degrees; misfit: mean distance of the marks in centimetres."""

    box: Floats
    yaw: float
    pitch: float
    lean: float
    misfit: float


@cache
def poses() -> list[tuple[int, int, Doubles, Doubles]]:
    """Every yaw (positive: looks to the picture's right) and pitch (positive: bows) with marks and oval seen so."""
    out = []
    for yaw in YAWS:
        for pitch in PITCHES:
            a, b = np.radians(yaw), np.radians(pitch)
            sideways = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
            forward = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
            turn = (forward @ sideways)[:2]
            out.append((yaw, pitch, MARKS @ turn.T, np.vstack([OVAL, MARKS[NOSE]]) @ turn.T))
    return out


def similarity(source: Doubles, target: Doubles) -> tuple[complex, complex]:
    """Turn with scale, and shift, as complex numbers, that bring points nearest to others."""
    a, b = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    middle_a, middle_b = a.mean(), b.mean()
    turn = np.vdot(a - middle_a, b - middle_b) / max(1e-6, np.vdot(a - middle_a, a - middle_a).real)
    return turn, middle_b - turn * middle_a


def unseen_cost(yaw: float, visible: NDArray[np.bool_]) -> float:
    """How badly a yaw explains which of eyes and ears could be seen."""
    cost = 0.0
    for mark, limit in HIDDEN_BEYOND.items():
        # A left mark leaves the sight as the head turns to the picture's right.
        beyond = yaw - limit if limit > 0 else limit - yaw
        cost += max(0.0, beyond / 15 if visible[mark] else -beyond / 40)
    return cost


def head_of(keypoints: Floats, upright: float = 0.0) -> Head | None:
    """The head of COCO keypoints (5 or more, x y v); None where neither nose nor eye, or fewer than two marks, show.

    upright: degrees by which the body leans in the picture, where the shoulders tell it.
    """
    marks = np.asarray(keypoints[:5], np.float64)
    visible = marks[:, 2] == 2
    if visible.sum() < 2 or not visible[:3].any():
        return None
    seen = marks[visible, :2]
    best, least = None, np.inf
    for yaw, pitch, model, oval in poses():
        turn, shift = similarity(model[visible], seen)
        scale = abs(turn)
        if scale < 1e-3:
            continue
        moved = turn * (model[visible, 0] + 1j * model[visible, 1]) + shift
        apart = np.abs(moved - (seen[:, 0] + 1j * seen[:, 1])) / scale
        lean = float(np.degrees(np.angle(turn)))
        off = (lean - upright + 180) % 360 - 180
        cost = (apart**2).sum() / MISFIT**2 + (pitch / USUAL_PITCH) ** 2 + (off / USUAL_LEAN) ** 2
        cost += (yaw / USUAL_YAW) ** 2 + 2 * unseen_cost(yaw, visible)
        if cost < least:
            ring = turn * (oval[:, 0] + 1j * oval[:, 1]) + shift
            box = [ring.real.min(), ring.imag.min(), ring.real.max(), ring.imag.max()]
            best, least = Head(np.array(box, np.float32), yaw, pitch, lean, float(apart.mean())), cost
    return best
