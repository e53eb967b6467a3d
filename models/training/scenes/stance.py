"""Finds how a head stands in a picture: alone knows a head's landmarks in space.

A head's own frame: x to its right as seen, y down, z towards the camera, the middle of the eyes
at 0 and the eyes 1 apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats

MARKS = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.68, 0.52], [-0.4, 1.12, 0.12], [0.4, 1.12, 0.12]], np.float32)
YAWS = tuple(range(-90, 91, 15))  # degrees, to the picture's right
PITCHES = tuple(range(-40, 41, 20))  # degrees, down
DOUBT = 0.02  # squared eye distances that a pose of 45 degrees must save to be believed
SOME = 3  # landmarks from which a stance follows without the box


@dataclass(frozen=True)
class Stance:
    """yaw, pitch in degrees, of YAWS and PITCHES; linear (2, 2) pixels for each eye distance; origin (2,) pixels."""

    yaw: int
    pitch: int
    linear: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def unit(self) -> float:
        """Pixels of one eye distance as seen from the front."""
        return float(np.hypot(*self.linear[:, 0]))

    def seen(self, points: Floats) -> Floats:
        """(..., 2) float32 pixels where points of the head's frame appear."""
        return np.asarray(turned(points, self.yaw, self.pitch)[..., :2] @ self.linear.T + self.origin, np.float32)


def turned(points: Floats, yaw: float, pitch: float) -> Floats:
    """(..., 3) points of the head's frame after a turn by degrees."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    a, b = np.radians(yaw), np.radians(pitch)
    x, z = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
    y, z = y * np.cos(b) + z * np.sin(b), z * np.cos(b) - y * np.sin(b)
    return np.stack([x, y, z], axis=-1)


def oval() -> Floats:
    """(N, 3): the rim of the labelled face, from hair to chin and up to the ears."""
    angle = np.linspace(0, 2 * np.pi, 33, dtype=np.float32)
    side, high = np.cos(angle), np.sin(angle)
    return np.stack([1.08 * side, 0.42 + 1.45 * high, -0.75 * np.abs(side) ** 3 - 0.1 * high**2], axis=1)


POSES = [(yaw, pitch) for yaw in YAWS for pitch in PITCHES]
SEEN = np.stack([turned(MARKS, *pose)[:, :2] @ [1, 1j] for pose in POSES])  # (poses, 5)
RIMS = np.stack([turned(np.vstack([oval(), MARKS[2:3]]), *pose)[:, :2] for pose in POSES])
UNLIKELY = DOUBT * (np.array(POSES) / 45.0) ** 2 @ [0.5, 1.0]


def from_landmarks(marks: NDArray[np.complex128], known: NDArray[np.bool_]) -> tuple[int, complex, complex]:
    """The best pose, and the factor and shift of its similarity, by the landmarks alone."""
    seen, marks = SEEN[:, known], marks[known]
    middle, centre = seen.mean(axis=1), marks.mean()
    seen = seen - middle[:, None]
    factor = (seen.conj() @ (marks - centre)) / (np.abs(seen) ** 2).sum(axis=1)
    misses = np.abs(seen * factor[:, None] - (marks - centre)) ** 2
    best = int(np.argmin(misses.sum(axis=1) / np.maximum(1e-6, np.abs(factor) ** 2) + UNLIKELY))
    return best, complex(factor[best]), complex(centre - factor[best] * middle[best])


def from_box(marks: NDArray[np.complex128], known: NDArray[np.bool_], box: Floats) -> tuple[int, complex, complex]:
    """The same for an upright head of which mostly the box is known."""
    low, high = RIMS.min(axis=1), RIMS.max(axis=1)
    factor = (box[3] - box[1]) / (high - low)[:, 1]
    shift = (box[:2] + box[2:]) / 2 @ np.array([1, 1j]) - factor * ((low + high) / 2 @ [1, 1j])
    misses = (np.abs(SEEN[:, known] * factor[:, None] + shift[:, None] - marks[known]) ** 2).sum(axis=1)
    misses += ((high - low)[:, 0] * factor - (box[2] - box[0])) ** 2
    best = int(np.argmin(misses / factor**2 + UNLIKELY))
    return best, complex(factor[best]), complex(shift[best])


def stance(points: Floats, box: Floats | None = None) -> Stance:
    """How a head stands, by five landmarks as the labels have them; where most are unknown (nan), the box is needed."""
    known = np.asarray(np.isfinite(points).all(axis=1), np.bool_)
    marks = np.where(known, points[:, 0] + 1j * points[:, 1], 0)
    if known.sum() >= SOME or box is None:
        best, factor, shift = from_landmarks(marks, known)
    else:
        best, factor, shift = from_box(marks, known, box)
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return Stance(*POSES[best], linear, np.array([shift.real, shift.imag]))
