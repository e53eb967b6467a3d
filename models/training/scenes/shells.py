"""Draws what is put on a head as shells in space: alone knows how they are projected, lit and hidden.

A shell is a sheet of points in the head's frame (see `stance`) with a texture. The head itself hides
what lies behind it, so that one cut of a mask or a cap fits every turn of a head.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats, Picture
from models.training.scenes.stance import turned

COARSE = 128  # pixels of the map of the bare head
BEHIND = 0.12  # eye distances that a point may lie below the skin and still be seen
REACH = 2.9  # eye distances from the middle of a cut-out to its edges
CENTRE = np.array([0.0, 0.5, -0.6], np.float32)  # of the cut-out, in the head's frame
# A head: its skull before and behind the ears, and its jaw. Middle, then radii; z of the radii before and behind.
SKULL = np.array([0.0, 0.2, -0.95], np.float32), (1.16, 2.05, 1.08, 1.85)
JAW = np.array([0.0, 0.95, -0.6], np.float32), (0.84, 0.95, 0.75, 0.6)


@dataclass(frozen=True)
class Shell:
    """points (R, C, 3) float32 in the head's frame; texture (r, c, 4) uint8 BGRA."""

    points: Floats
    texture: Picture


def radii(offset: Floats, axes: tuple[float, float, float, float]) -> Floats:
    """(..., 3) radii for points on either side of an ellipsoid's middle."""
    deep = np.where(offset[..., 2] > 0, axes[2], axes[3])
    return np.stack([np.full_like(deep, axes[0]), np.full_like(deep, axes[1]), deep], axis=-1)


def outside(points: Floats, margin: float = 0.03) -> Floats:
    """Points, those inside the head moved out to `margin` from its skin."""
    for middle, axes in (SKULL, JAW):
        offset = points - middle
        near = np.sqrt(((offset / radii(offset, axes)) ** 2).sum(axis=-1, keepdims=True))
        points = np.where(near < 1 + margin, middle + offset * (1 + margin) / np.maximum(near, 1e-3), points)
    return points.astype(np.float32)


def ball(middle: Floats, axes: tuple[float, float, float, float], steps: int) -> Floats:
    """(steps, steps, 3): the surface of an ellipsoid."""
    turn, rise = np.meshgrid(np.linspace(-np.pi, np.pi, steps), np.linspace(-np.pi / 2, np.pi / 2, steps))
    offset = np.stack([np.cos(rise) * np.sin(turn), np.sin(rise), np.cos(rise) * np.cos(turn)], axis=-1)
    return np.asarray(middle + offset * radii(offset, axes), np.float32)


def dense(points: Floats, rows: int, columns: int) -> Floats:
    """A sheet's points, smoothly filled in."""
    return np.asarray(cv2.resize(points, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def lit(points: Floats, light: Floats, ambient: float) -> Floats:
    """(R, C) float32 brightness of a turned sheet, whichever side it shows."""
    across = np.gradient(points, axis=1)
    down = np.gradient(points, axis=0)
    x = across[..., 1] * down[..., 2] - across[..., 2] * down[..., 1]
    y = across[..., 2] * down[..., 0] - across[..., 0] * down[..., 2]
    z = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    facing = np.where(z < 0, -1, 1) / (np.sqrt(x * x + y * y + z * z) + 1e-9)
    falls = np.clip((x * light[0] + y * light[1] + z * light[2]) * facing, 0, 1)
    return np.asarray(ambient + (1.15 - ambient) * falls, np.float32)


def length(points: Floats) -> tuple[float, float]:
    """How long a sheet is down and across, at most."""
    down = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum(axis=0).max()
    across = np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=1).max()
    return float(down), float(across)


@lru_cache(maxsize=128)
def skin(yaw: float, pitch: float) -> Floats:
    """(COARSE, COARSE) float32: how near the bare head comes at each place of a cut-out."""
    near = np.full((COARSE, COARSE), -9.0, np.float32)
    for middle, axes in (SKULL, JAW):
        points = turned(ball(middle, axes, 260) - CENTRE, yaw, pitch).reshape(-1, 3)
        column, row = np.floor((points[:, :2] / REACH + 1) * (COARSE / 2)).astype(int).T
        np.maximum.at(near, (row, column), points[:, 2])
    return near


def lamp(rng: random.Random) -> tuple[Floats, float]:
    """Where light comes from, (3,) of length one, and how bright the shade is."""
    light = np.array([rng.gauss(0, 0.5), rng.gauss(-0.5, 0.3), 1.0], np.float32)
    return light / np.linalg.norm(light), rng.uniform(0.35, 0.75)


def sheet(shell: Shell, yaw: float, pitch: float, scale: float, light: tuple[Floats, float]) -> tuple[Floats, Picture]:
    """A shell's lit points, (N, 3) from the cut-out's middle, `scale` to an eye distance, and their colours, (N, 4)."""
    rows, columns = (max(2, int(1.3 * scale * reach)) for reach in length(shell.points))
    points = turned(dense(shell.points, rows, columns) - CENTRE, yaw, pitch)
    texture = cv2.resize(shell.texture, (columns, rows), interpolation=cv2.INTER_LINEAR)
    tone = texture[..., :3] * lit(points, *light)[..., None]
    shown = texture[..., 3].ravel() > 0
    colours = np.dstack([np.clip(tone, 0, 255).astype(np.uint8), texture[..., 3:]]).reshape(-1, 4)
    return points.reshape(-1, 3)[shown], colours[shown]


def splat(place: Floats, colour: Picture, fine: int) -> Picture:
    """(fine, fine, 4) uint8 BGRA: points within the cut-out laid from the far ones to the near ones."""
    inside = within(place)
    place, colour = place[inside], colour[inside]
    cell = ((place[:, :2] / REACH + 1) * (fine / 2)).astype(np.int32)
    order = np.argsort((place[:, 2] * 4000).astype(np.int16), kind="stable")  # a radix sort
    picture = np.zeros(fine * fine, np.uint32)  # a pixel's four bytes are moved as one
    picture[(cell[:, 1] * fine + cell[:, 0])[order]] = np.ascontiguousarray(colour).view(np.uint32)[order, 0]
    return closed(picture.view(np.uint8).reshape(fine, fine, 4))


def draw(shells: list[Shell], yaw: float, pitch: float, side: int, rng: random.Random) -> Picture:
    """(side, side, 4) uint8 BGRA of shells on a head turned by degrees, lit from somewhere above."""
    light = lamp(rng)
    parts = [sheet(shell, yaw, pitch, side / REACH, light) for shell in shells]
    place, colour = (np.concatenate(values) for values in zip(*parts, strict=True))
    return shrunk(splat(*visible(place, colour, skin(yaw, pitch)), 2 * side), side)


def within(place: Floats) -> NDArray[np.bool_]:
    """Which of (N, 3) points lie within the cut-out."""
    return (np.abs(place[:, 0]) < REACH * 0.999) & (np.abs(place[:, 1]) < REACH * 0.999)


def visible(place: Floats, colour: Picture, head: Floats) -> tuple[Floats, Picture]:
    """Those of the points that lie within the cut-out and not behind the head."""
    inside = within(place)
    place, colour = place[inside], colour[inside]
    cell = ((place[:, :2] / REACH + 1) * (COARSE / 2)).astype(np.int32)
    shows = place[:, 2] > head.ravel()[cell[:, 1] * COARSE + cell[:, 0]] - BEHIND
    return place[shows], colour[shows]


def closed(picture: Picture) -> Picture:
    """A cut-out whose single missing pixels are filled from around them."""
    alpha = picture[..., 3]
    hole = (alpha == 0) & (cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0)
    return np.where(hole[..., None], cv2.dilate(picture, np.ones((3, 3), np.uint8)), picture)


def shrunk(picture: Picture, side: int) -> Picture:
    """A cut-out at `side` pixels; what is clear takes no part in the colours."""
    weight = picture[..., 3:].astype(np.float32) / 255
    whole = np.dstack([picture[..., :3] * weight, weight])
    small = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
    colours = small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    return np.dstack([colours, small[..., 3:] * 255]).clip(0, 255).astype(np.uint8)


def strip(ends: list[tuple[float, float, float]], wide: float) -> Floats:
    """(2, N, 3): a band about `wide` high along a line through `ends`, lying on the head."""
    line = np.array(ends, np.float32)
    steps = np.linspace(0, len(line) - 1, 24)
    line = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], axis=1)
    rise = np.array([0, wide / 2, 0], np.float32)
    return outside(np.stack([line - rise, line + rise]).astype(np.float32), 0.02)


def plain(tone: tuple[float, float, float], alpha: float = 255) -> Picture:
    """(2, 2, 4) uint8: a texture of one colour."""
    return np.full((2, 2, 4), (*tone, alpha), np.float32).astype(np.uint8)
