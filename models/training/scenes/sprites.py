"""Cuts people out of portraits: alone knows sprites and how they are turned.

A sprite is a person with soft edges; a turned sprite imitates a head turned, raised
or bowed by the depth a skull and a nose would have; one seen from behind has no face.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture, Portrait

FACE_SIDE = 112.0  # pixels of the face's longer side in a sprite's finest level
BUST_SIDE = 224.0  # the same where a face is to be seen from near: as fine as most portraits are
# Degrees added to the portrait's own yaw (to the picture's right) and pitch (down).
TURNS = ((-62.0, 0.0), (-34.0, 0.0), (34.0, 0.0), (62.0, 0.0), (0.0, -32.0), (0.0, 28.0), (-44.0, -24.0), (44.0, 22.0))
FARTHEST = (64.0, 32.0)  # degrees of yaw and pitch that a bust is turned by at most
OVAL_LIMIT = 80.0  # degrees: how far round the head the labelled oval reaches


@dataclass(frozen=True)
class Sprite:
    """A cut-out to paste.

    levels: (h, w, 4) uint8 BGRA, each half the size of the one before;
    box (4,) and points (5, 2) float32 in pixels of the finest level, or None
    when there is no face (a hand, a head from behind, lettering).
    """

    levels: list[Picture]
    box: Floats | None
    points: Floats | None


def pyramid(finest: Picture, smallest: int = 24) -> list[Picture]:
    """The picture and its halvings while the shorter side stays >= smallest."""
    levels = [finest]
    while min(levels[-1].shape[:2]) >= 2 * smallest:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return levels


def silhouette(picture: Picture, box: Floats) -> Picture:
    """(H, W) uint8 alpha of the person, by GrabCut seeded with head and shoulders."""
    height, width = picture.shape[:2]
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    fw, fh = box[2] - box[0], box[3] - box[1]
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    reach = (int(cx), int(cy - 0.05 * fh)), (int(1.05 * fw), int(1.0 * fh))
    cv2.ellipse(mask, *reach, 0, 0, 360, cv2.GC_PR_BGD, -1)
    shoulders = np.array([[-0.5, 0.45], [0.5, 0.45], [1.7, 1.1], [1.9, 3.5], [-1.9, 3.5], [-1.7, 1.1]]) * [fw, fh] + [
        cx,
        cy,
    ]
    cv2.fillPoly(mask, [shoulders.astype(np.int32)], cv2.GC_PR_BGD)
    torso = np.array([[-0.25, 0.5], [0.25, 0.5], [0.9, 1.1], [1.1, 3.5], [-1.1, 3.5], [-0.9, 1.1]]) * [fw, fh] + [
        cx,
        cy,
    ]
    cv2.fillPoly(mask, [torso.astype(np.int32)], cv2.GC_PR_FGD)
    head = (int(cx), int(cy - 0.1 * fh)), (int(0.58 * fw), int(0.66 * fh))
    cv2.ellipse(mask, *head, 0, 0, 360, cv2.GC_PR_FGD, -1)
    face = (int(cx), int(cy)), (int(0.45 * fw), int(0.48 * fh))
    cv2.ellipse(mask, *face, 0, 0, 360, cv2.GC_FGD, -1)
    models = np.zeros((1, 65), np.float64), np.zeros((1, 65), np.float64)
    nowhere = (0, 0, 0, 0)  # the mask seeds it, no rectangle
    cv2.grabCut(picture, mask, nowhere, models[0], models[1], 3, cv2.GC_INIT_WITH_MASK)
    solid = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.GaussianBlur(closed, (3, 3), 0), np.uint8)


def cropped(portrait: Portrait, side: float) -> tuple[Picture, Floats, Floats]:
    """(h, w, 3) uint8 BGR around head and shoulders, the face `side` pixels long, with box and points in it."""
    box = portrait.box
    fw, fh = box[2] - box[0], box[3] - box[1]
    height, width = portrait.picture.shape[:2]
    left, right = max(0, int(box[0] - 1.2 * fw)), min(width, int(box[2] + 1.2 * fw))
    top, bottom = max(0, int(box[1] - 0.8 * fh)), min(height, int(box[3] + 1.5 * fh))
    crop = portrait.picture[top:bottom, left:right]
    scale = min(1.5, side / max(fw, fh))
    size = max(8, round((right - left) * scale)), max(8, round((bottom - top) * scale))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    box = ((box - [left, top, left, top]) * scale).astype(np.float32)
    return crop, box, ((portrait.points - [left, top]) * scale).astype(np.float32)


def cut_out(portrait: Portrait) -> tuple[Picture, Floats, Floats]:
    """(h, w, 4) uint8 BGRA around head and shoulders, with box and points in it."""
    crop, box, points = cropped(portrait, FACE_SIDE)
    return np.dstack([crop, silhouette(crop, box)]), box, points


def depth(x: Floats, y: Floats, box: Floats, points: Floats) -> Floats:
    """How far a head stands out at pixels x, y: a rough skull with a nose, in pixels."""
    centre = (box[:2] + box[2:]) / 2
    wide, high = (box[2] - box[0]) * 0.54, (box[3] - box[1]) * 0.62
    u, v = (x - centre[0]) / wide, (y - centre[1]) / high
    skull = 1.1 * wide * np.sqrt(np.clip(1 - u**2 - 0.5 * v**2, 0, None))
    behind = -1.1 * wide * np.clip(np.abs(u) - 1, 0, None)  # hair and ears lie further back
    eyes = (points[0] + points[1]) / 2
    nose = points[2]
    rise = np.clip((y - eyes[1]) / max(1.0, float(nose[1] - eyes[1])), 0, 1.15)
    rise = np.where(rise > 1, np.clip((1.15 - rise) / 0.15, 0, 1), rise)
    ridge = 0.38 * wide * rise * np.exp(-(((x - nose[0]) / (0.16 * wide)) ** 2))
    return np.asarray(skull + behind + ridge, np.float32)


@dataclass(frozen=True)
class Relief:
    """A cut-out as points to lay: flat float32 arrays of its solid part.

    columns, rows in pixels; lift in pixels towards the camera; share 0..1 of
    the turn that a point follows (the body stays behind).
    """

    columns: Floats
    rows: Floats
    lift: Floats
    share: Floats


def relief(cut: Picture, box: Floats, points: Floats, step: float = 0.5) -> Relief:
    """The relief of a cut-out, its points `step` pixels apart."""
    height, width = cut.shape[:2]
    columns, rows = np.meshgrid(np.arange(0, width - 1, step), np.arange(0, height - 1, step))
    solid = cut[:, :, 3][rows.astype(int), columns.astype(int)] > 40
    columns, rows = columns[solid].astype(np.float32), rows[solid].astype(np.float32)
    share = 1 - np.clip((rows - box[3]) / (0.35 * (box[3] - box[1])), 0, 1)
    return Relief(columns, rows, depth(columns, rows, box, points), share)


@dataclass(frozen=True)
class Pose:
    """A turn of a head about its neck: yaw to the picture's right and pitch down, in degrees."""

    yaw: float
    pitch: float
    box: Floats

    def moved(self, x: Floats, y: Floats, lift: Floats, share: Floats | float = 1.0) -> tuple[Floats, Floats, Floats]:
        """Where points come to lie, and how near: x, y, lift, in pixels."""
        # The axes of the neck, not the middle of the skull, keep their place.
        back = 0.35 * float(self.box[2] - self.box[0])
        x0, y0 = float(self.box[0] + self.box[2]) / 2, float(0.3 * self.box[1] + 0.7 * self.box[3])
        yaw, pitch = np.radians(self.yaw) * share, np.radians(self.pitch) * share
        right, down, near = x - x0, y - y0, lift - back
        right, near = right * np.cos(yaw) + near * np.sin(yaw), near * np.cos(yaw) - right * np.sin(yaw)
        down, near = down * np.cos(pitch) + near * np.sin(pitch), near * np.cos(pitch) - down * np.sin(pitch)
        return x0 + right, y0 + down, near


def close_gaps(source: Floats, widest: int) -> Floats:
    """Fills holes (below 0) of (H, W, 2) float32 places, no wider than `widest`, from around them."""
    filled = (source[..., 0] >= 0).astype(np.uint8)
    tile = np.ones((widest | 1, widest | 1), np.uint8)
    wanted = cv2.morphologyEx(filled, cv2.MORPH_CLOSE, tile) > 0
    places, weight = source * filled[..., None], filled.astype(np.float32)
    for _ in range(widest):
        hole = wanted & (weight == 0)
        if not hole.any():
            break
        around = cv2.boxFilter(weight, -1, (3, 3), normalize=False)
        sums = cv2.boxFilter(places, -1, (3, 3), normalize=False)
        known = hole & (around > 0)
        places[known] = sums[known] / around[known][:, None]
        weight[known] = 1
    places[weight == 0] = -9
    return np.asarray(places, np.float32)


def turn(cut: Picture, points: Floats, pose: Pose, shape: Relief) -> tuple[Picture, Floats, Floats]:
    """The cut-out as if the head had taken `pose`, with its box and points.

    Points are laid from the far ones to the near ones, so that the nose covers
    the far cheek; what the photograph never showed stays transparent.
    """
    height, width = cut.shape[:2]
    box = pose.box
    x, y, near = pose.moved(shape.columns, shape.rows, shape.lift, shape.share)
    column, row = np.round(x).astype(np.int32), np.round(y).astype(np.int32)
    order = np.argsort((near * 16).astype(np.int16), kind="stable")  # a radix sort: a tenth of the time
    order = order[(column[order] >= 0) & (column[order] < width) & (row[order] >= 0) & (row[order] < height)]
    source = np.full((height, width, 2), -9, np.float32)
    source[row[order], column[order]] = np.stack([shape.columns[order], shape.rows[order]], axis=1)
    source = close_gaps(source, int(0.16 * float(box[2] - box[0])))
    turned = cv2.remap(cut, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    reach = math.sin(math.radians(OVAL_LIMIT))
    angle, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 33), np.linspace(0, 1, 9))
    half, centre = (box[2:] - box[:2]) / 2, (box[:2] + box[2:]) / 2
    oval_x = (centre[0] + reach * half[0] * radius * np.cos(angle)).ravel().astype(np.float32)
    oval_y = (centre[1] + half[1] * radius * np.sin(angle)).ravel().astype(np.float32)
    mark_x, mark_y, _ = pose.moved(points[:, 0], points[:, 1], depth(points[:, 0], points[:, 1], box, points))
    oval_x, oval_y, _ = pose.moved(oval_x, oval_y, depth(oval_x, oval_y, box, points))
    left, right = min(oval_x.min(), mark_x[2]), max(oval_x.max(), mark_x[2])
    turned_box = np.array([left, oval_y.min(), right, oval_y.max()], np.float32)
    return np.asarray(turned, np.uint8), turned_box, np.stack([mark_x, mark_y], axis=1).astype(np.float32)


def from_behind(cut: Picture, box: Floats, rng: np.random.Generator) -> Picture:
    """The cut-out with hair, or bare skin, where the face was."""
    fw, fh = box[2] - box[0], box[3] - box[1]
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    y1, y2 = int(max(0, box[1] - 0.22 * fh)), int(max(4, box[1] + 0.02 * fh))
    x1, x2 = int(max(0, cx - 0.3 * fw)), int(cx + 0.3 * fw)
    patch = np.ascontiguousarray(cut[y1 : y2 + 2, x1:x2, :3])
    size = int(1.3 * fw), int(1.45 * fh)
    stretched = cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    streaks = rng.normal(0, 14, (size[1] // 6 + 1, size[0])).astype(np.float32)
    stretched += cv2.resize(streaks, size)[..., None]
    shade = np.linspace(1.05, 0.75, size[1], dtype=np.float32)[:, None, None]
    cover = np.zeros(cut.shape[:2], np.float32)
    cv2.ellipse(cover, (int(cx), int(cy)), (int(0.56 * fw), int(0.62 * fh)), 0, 0, 360, 1, -1)
    soft = cv2.GaussianBlur(cover, (0, 0), 0.04 * fw)[..., None]
    layer = cut[..., :3].astype(np.float32)
    top, left = int(cy - size[1] / 2), int(cx - size[0] / 2)
    y1, x1 = max(0, top), max(0, left)
    y2, x2 = min(cut.shape[0], top + size[1]), min(cut.shape[1], left + size[0])
    layer[y1:y2, x1:x2] = (stretched * shade)[y1 - top : y2 - top, x1 - left : x2 - left]
    out = cut.copy()
    mixed = layer * soft + cut[..., :3] * (1 - soft)
    out[..., :3] = np.clip(mixed, 0, 255).astype(np.uint8)
    return out


def variants(portrait: Portrait, rng: np.random.Generator) -> list[Sprite]:
    """A portrait's sprites: as photographed, turned by each of TURNS, from behind."""
    cut, box, points = cut_out(portrait)
    own = [Sprite([cut], box, points)]
    shape = relief(cut, box, points)
    turned = (turn(cut, points, Pose(yaw, pitch, box), shape) for yaw, pitch in TURNS)
    own += [Sprite([picture], its_box, its_points) for picture, its_box, its_points in turned]
    # The box stays for scale; a head from behind is pasted without a label.
    return [*own, Sprite([from_behind(cut, box, rng)], box, None)]


def bust(portrait: Portrait, own: Sprite) -> Sprite:
    """A cut-out as fine as the portrait, to be turned when it is asked for; the outline is that of its sprite `own`."""
    crop, box, points = cropped(portrait, BUST_SIDE)
    alpha = cv2.resize(own.levels[0][..., 3], crop.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return Sprite([np.dstack([crop, np.asarray(alpha, np.uint8)])], box, points)


def turned_bust(own: Sprite, rng: random.Random) -> Sprite:
    """A bust turned any way: to a side, and raised or bowed with it."""
    assert own.box is not None and own.points is not None
    yaw, pitch = (rng.uniform(-limit, limit) for limit in FARTHEST)
    shape = relief(own.levels[0], own.box, own.points, step=0.75)
    picture, box, points = turn(own.levels[0], own.points, Pose(yaw, pitch, own.box), shape)
    return Sprite(pyramid(picture), box, points)


def keep(path: Path, sprites: list[list[Sprite]]) -> None:
    """Writes sprites to an .npz, so that a resumed run need not cut them again."""
    arrays: dict[str, Any] = {}
    for i, own in enumerate(sprites):
        for j, sprite in enumerate(own):
            arrays[f"{i}.{j}.cut"], arrays[f"{i}.{j}.box"] = sprite.levels[0], sprite.box
            if sprite.points is not None:
                arrays[f"{i}.{j}.points"] = sprite.points
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, **arrays)
    temporary.replace(path)


def kept(path: Path, count: int) -> list[list[Sprite]]:
    """What `keep` wrote for `count` portraits."""
    with np.load(path) as arrays:
        names = set(arrays.files)

        def one(name: str) -> Sprite:
            points = arrays[f"{name}.points"] if f"{name}.points" in names else None
            return Sprite([arrays[f"{name}.cut"]], arrays[f"{name}.box"], points)

        return [[one(f"{i}.{j}") for j in range(len(TURNS) + 2)] for i in range(count)]


def people(portraits: list[Portrait], seed: int, cache: Path | None = None) -> tuple[list[list[Sprite]], list[Sprite]]:
    """Per portrait its sprites (as photographed, then turned); heads from behind."""
    rng = np.random.default_rng(seed)
    if cache is not None and cache.exists():
        sprites = kept(cache, len(portraits))
    else:
        sprites = [variants(portrait, rng) for portrait in portraits]
        if cache is not None:
            keep(cache, sprites)
    full = [[Sprite(pyramid(s.levels[0]), s.box, s.points) for s in own] for own in sprites]
    return [own[:-1] for own in full], [own[-1] for own in full]
