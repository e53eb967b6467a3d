"""Renders heads from a mesh in any pose: alone knows their shape, skin, hair and what of them is a face.

The shape is MakeHuman's (see `material/head_mesh.py`), the skin of the face that of a portrait laid over it
from the front, the rest in that skin's colour; hair and headgear are shells (see `shells.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material.folder import Floats, Picture, Portrait
from models.training.material.head_mesh import HeadMesh
from models.training.scenes import headgear, shells
from models.training.scenes.garments import noise, weave
from models.training.scenes.shells import CENTRE, REACH, SKULL, Shell
from models.training.scenes.sprites import Sprite, pyramid
from models.training.scenes.stance import stance, turned

SIDE = 224  # pixels of a cut-out: an eye distance is 39 of them
PEOPLE = ("african", "asian", "caucasian")
MOST, GROWTH = 400, 0.04  # heads that are kept; share of those taken that are new until then
DETAILS = 9  # of the small targets that shape one head
CHIN, COLLAR = 1.8, 2.75  # heights in eye distances: above the first the head turns, below the second clothes are worn
DENSE = 1.15  # points that a quad is filled with for each pixel of its sides, rounded up to one of STEPS
STEPS = np.array([1, 2, 3, 4, 6, 8, 12, 18])
BACK = 118.0  # degrees of yaw from which a head shows no face
NECK = np.array([0.0, 1.6, -1.5], np.float32)  # about which heads nod
RIM = (
    np.array([1.14, 1.4]),
    0.38,
    -1.3,
)  # half width and height of the face's oval, its middle's height, its deepest place


@dataclass(frozen=True)
class Skin:
    """A portrait to lay on heads: the picture, where points of a frontal head lie in it, and its skin's BGR colour."""

    picture: Picture
    marks: Floats
    tone: Floats


def skins(portraits: list[Portrait]) -> list[Skin]:
    """The skins of those portraits that look into the camera."""
    found = []
    for one in portraits:
        held = stance(one.points)
        if held.yaw or abs(held.pitch) > 20:
            continue
        x1, y1, x2, y2 = one.box
        middle = (x1 + x2) / 2
        rim = np.array([[middle, y1], [x1, (y1 + y2) / 2], [x2, (y1 + y2) / 2], [middle, y2]], np.float32)
        cheeks = np.round((one.points[:2] + one.points[3:]) / 2).astype(int)
        tone = np.mean(
            [one.picture[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).mean(axis=0) for x, y in cheeks], axis=0
        )
        found.append(Skin(one.picture, np.vstack([one.points, rim]), np.asarray(tone, np.float32)))
    return found


def shape(mesh: HeadMesh, rng: random.Random) -> Floats:
    """(N, 3) points of a head of some origin, sex and age, no two alike, its eyes 1 apart about 0."""
    points = mesh.points.copy()

    def move(name: str, share: float) -> None:
        if name in mesh.targets:
            places, offsets = mesh.targets[name]
            points[places] += np.float32(share) * offsets

    sex, age = rng.choice(("female", "male")), rng.choices(("young", "old", "child"), (0.55, 0.3, 0.15))[0]
    blend = sorted(rng.random() for _ in range(2))
    for people, share in zip(PEOPLE, (blend[0], blend[1] - blend[0], 1 - blend[1]), strict=True):
        move(f"{people}-{sex}-{age}", share)
    details = sorted(name for name in mesh.targets if name.split("-")[0] not in PEOPLE)
    for name in rng.sample(details, min(DETAILS, len(details))):
        move(name, rng.uniform(0.1, 0.8))
    eyes = points[mesh.marks[:2]]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    return np.asarray((points - eyes.mean(axis=0)) / apart, np.float32)


def normals(points: Floats, quads: NDArray[np.int64]) -> Floats:
    """(N, 3) outward directions of a mesh's points."""
    corners = points[quads]
    faces = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    flat, weights = quads.ravel(), np.repeat(faces, 4, axis=0)
    summed = [np.bincount(flat, weights[:, axis], len(points)) for axis in range(3)]
    sums = np.stack(summed, axis=1).astype(np.float64)
    sums = sums / (np.linalg.norm(sums, axis=1, keepdims=True) + 1e-9)
    outward = float((sums * (points - points.mean(axis=0))).sum())  # whichever way the quads are wound
    return np.asarray(sums * np.sign(outward), np.float32)


def laid(points: Floats, marks: Floats, skin: Skin) -> Floats:
    """(N, 2) float32: where the points of a frontal head lie in a portrait, by a thin plate through the landmarks."""
    half, height, _ = RIM
    rim = np.array([[0, height - half[1]], [-half[0], height], [half[0], height], [0, height + half[1]]], np.float32)
    known = np.vstack([marks[:, :2], rim])

    def spline(away: Floats) -> Floats:
        square = (away**2).sum(axis=-1)
        return np.asarray(square * np.log(square + 1e-6), np.float32)

    count = len(known)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = spline(known[:, None] - known[None]) + 0.02 * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), known])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([skin.marks, np.zeros((3, 2))]))
    flat = points[:, :2]
    affine = np.column_stack([np.ones(len(flat)), flat]) @ weights[count:]
    return np.asarray(spline(flat[:, None] - known[None]) @ weights[:count] + affine, np.float32)


def nodded(points: Floats, yaw: float, pitch: float, share: Floats | float = 1.0) -> Floats:
    """(..., 3) points after a turn about the neck; of the nod they take a share, since shoulders stay behind."""
    upright, pivot = turned(points, yaw, 0), turned(NECK, yaw, 0)
    down = turned(upright - pivot, 0, pitch) + pivot
    return np.asarray(upright + (down - upright) * np.asarray(share, np.float32)[..., None], np.float32)


def extents(corners: Floats) -> Floats:
    """(Q, 2): how wide and how high quads (Q, 4, 3) are, in their own directions."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # ab, bc, cd, da
    return np.stack([np.maximum(sides[:, 0], sides[:, 2]), np.maximum(sides[:, 1], sides[:, 3])], axis=1)


def filled(values: Floats, quads: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    """(M, K): values (N, K) of a mesh's points, each quad filled in evenly with its (Q, 2) counts, across and down."""
    parts = []
    for across, down in np.unique(counts, axis=0):
        corners = values[quads[(counts == (across, down)).all(axis=1)]]  # (Q, 4, K)
        u, v = np.meshgrid(*((np.arange(count) + 0.5) / count for count in (across, down)))
        shares = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=-1).reshape(-1, 4)
        parts.append((shares.astype(np.float32) @ corners).reshape(-1, values.shape[1]))
    return np.concatenate(parts)


def coloured(skin: Skin, uv: Floats, front: Floats, frontal: Floats, rng: random.Random) -> Floats:
    """(M, 3) float32 BGR: the portrait where a frontal head faces it within the oval, its skin's colour elsewhere."""
    rows = -(-len(uv) // 1024)  # OpenCV looks up no columns or rows past 32,767
    columns, lines = (np.resize(uv[:, axis], (rows, 1024)).astype(np.float32) for axis in (0, 1))
    seen = cv2.remap(skin.picture, columns, lines, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    half, height, _ = RIM
    away = np.hypot(frontal[:, 0] / half[0], (frontal[:, 1] - height) / half[1])
    share = np.clip((front - 0.3) / 0.35, 0, 1) * np.clip((0.97 - away) / 0.25, 0, 1)
    mottled = 1 + 0.05 * noise(rng, 40, 40, 256)
    place = np.clip((frontal[:, [1, 2]] * 40 + 128).astype(int), 0, 255)
    bare = skin.tone * mottled[place[:, 0], place[:, 1], None]
    return np.asarray(seen.reshape(-1, 3)[: len(uv)] * share[:, None] + bare * (1 - share[:, None]), np.float32)


def hairs(rng: random.Random, yaw: float, strands: Picture) -> tuple[list[Shell], bool]:
    """Hair, headgear, both or neither; whether the scalp has hair."""
    kind = rng.choices(("bald", "short", "long", "afro", "bun", "gear"), (0.08, 0.3, 0.22, 0.06, 0.1, 0.24))[0]
    if kind == "bald":
        return [], False
    if kind == "gear":
        wear: tuple[Callable[[random.Random], list[Shell]], ...] = (headgear.cap, headgear.beanie, headgear.helmet)
        if abs(yaw) < 60 or abs(yaw) > BACK:
            wear += (headgear.hood,)
        below = grown(rng, "short", strands) if rng.random() < 0.5 else []
        return [*below, *rng.choice(wear)(rng)], bool(below)
    return grown(rng, kind, strands), True


def grown(rng: random.Random, kind: str, strands: Picture) -> list[Shell]:
    """Hair of one kind."""
    alpha = np.full(strands.shape[:2], 255, np.uint8)
    side = len(alpha)
    for column in range(0, side, 3):  # ragged ends
        alpha[side - rng.randint(0, 9) :, column : column + 3] = 0
    texture = np.dstack([strands, alpha])
    front, behind = rng.uniform(-1.35, -0.65), rng.uniform(0.9, 1.5)
    bulk = {"afro": rng.uniform(1.3, 1.65), "short": rng.uniform(1.05, 1.18)}.get(kind, rng.uniform(1.06, 1.16))
    crown = headgear.dome((front, behind), bulk)
    crown[..., 1] = np.where(np.abs(crown[..., 0]) > 0.8, np.minimum(crown[..., 1], 0.35), crown[..., 1])
    found = [Shell(crown, texture)]
    middle, axes = SKULL
    if kind == "long":
        sweep, low = rng.uniform(1.7, 2.4), rng.uniform(1.8, 3.6)
        turn, down = np.meshgrid(np.linspace(np.pi - sweep, np.pi + sweep, 50), np.linspace(0, 1, 30))
        wide = 1.12 + rng.uniform(0.0, 0.25) * down
        y = -0.6 + (low + 0.6) * down
        deep = np.where(np.cos(turn) > 0, axes[2], axes[3] * (1 - 0.25 * down))
        z = middle[2] + deep * wide * np.cos(turn)
        found.append(Shell(np.stack([axes[0] * wide * np.sin(turn), y, z], axis=-1).astype(np.float32), texture))
    if kind == "bun":
        place = np.array([0, rng.uniform(-1.2, 0.4), -2.7 + rng.uniform(-0.3, 0.4)], np.float32)
        size = rng.uniform(0.4, 0.7)
        found.append(Shell(shells.ball(place, (size, size * rng.uniform(1, 2.4), size, size), 30), texture))
    return found


def hull(points: Floats, seen: Floats, facing: Floats) -> Floats:
    """(4,) float32: the box in the turned frame of what shows of the face's oval."""
    half, height, deepest = RIM
    oval = np.hypot(points[:, 0] / half[0], (points[:, 1] - height) / half[1]) < 1
    face = seen[oval & (points[:, 2] > deepest) & (facing > 0.05), :2]
    return np.concatenate([face.min(axis=0), face.max(axis=0)])


def dressed(tone: Floats, dots: Floats, rng: random.Random, strands: Picture | None) -> Floats:
    """The colours of (M, 3) places of a frontal head: cloth's below the collar, hair's on the scalp."""
    collar = COLLAR - 0.35 + rng.gauss(0, 0.12) + rng.uniform(-0.15, 0.15) * np.abs(dots[:, 0])
    tone = np.where((dots[:, 1] > collar)[:, None], looked_up(weave(rng, 128), dots[:, [1, 0]]), tone)
    if strands is None:
        return tone
    line = -1.0 + 1.9 * np.clip((-dots[:, 2] - 0.9) / 1.1, 0, 1)
    ears = (np.abs(dots[:, 0]) > 1.12) & (dots[:, 1] > -0.25) & (dots[:, 2] > -1.75)
    scalp = (dots[:, 1] < line) & ~ears
    return np.asarray(np.where(scalp[:, None], looked_up(strands, dots[:, [1, 2]]), tone), np.float32)


def looked_up(texture: Picture, places: Floats) -> Floats:
    """(M, 3) float32: the colours of a texture at (M, 2) places, 20 of its pixels to an eye distance."""
    row, column = np.clip((places * 20 + 64).astype(int), 0, len(texture) - 1).T
    return np.asarray(texture[row, column], np.float32)


def head(mesh: HeadMesh, skin: Skin, yaw: float, pitch: float, rng: random.Random, side: int = SIDE) -> Sprite:
    """A person from the shoulders up, the head turned by degrees; without landmarks where it is seen from behind."""
    points = shape(mesh, rng)
    share = np.clip((COLLAR - points[:, 1]) / (COLLAR - CHIN), 0, 1)
    seen = nodded(points, yaw, pitch, share) - nodded(CENTRE, yaw, pitch)
    outward = normals(points, mesh.quads)
    lit = normals(seen, mesh.quads)
    lit *= np.sign(float((lit[:, 2] * turned(outward, yaw, pitch)[:, 2]).sum()))
    shown = mesh.quads[(lit[mesh.quads, 2] > -0.15).any(axis=1)]
    fine = round(1.25 * side)
    counts = STEPS[np.searchsorted(STEPS[:-1], extents(seen[shown]) * (DENSE * fine / (2 * REACH)))]
    table = np.hstack([seen, points, laid(points, points[mesh.marks], skin), outward[:, 2:], lit])
    dots = filled(table, shown, counts)
    strands = headgear.strands(rng)
    worn, haired = hairs(rng, yaw, strands)
    tone = coloured(skin, dots[:, 6:8], dots[:, 8], dots[:, 3:6], rng)
    tone = dressed(tone, dots[:, 3:6], rng, strands if haired else None)
    light, ambient = shells.lamp(rng)
    tone = tone * (ambient + (1.15 - ambient) * np.clip(dots[:, 9:] @ light, 0, 1))[:, None]
    solid = np.hstack([np.clip(tone, 0, 255), np.full((len(tone), 1), 255)]).astype(np.uint8)
    parts = [shells.sheet(shell, yaw, pitch, fine / (2 * REACH), (light, ambient)) for shell in worn]
    place = np.concatenate([dots[:, :3], *(points for points, _ in parts)])
    picture = shells.shrunk(shells.splat(place, np.concatenate([solid, *(own for _, own in parts)]), fine), side)
    box = (
        ((hull(points, seen, lit[:, 2]) / REACH + 1) * side / 2)
        if abs(yaw) < BACK
        else hull(points, points, outward[:, 2])
    )
    marks = (seen[mesh.marks, :2] / REACH + 1) * side / 2
    return Sprite([picture], box.astype(np.float32), marks.astype(np.float32) if abs(yaw) < BACK else None)


class Heads:
    """Heads in all poses that portraits do not show, rendered a few at a time: one takes a second."""

    def __init__(self, mesh: HeadMesh, portraits: list[Portrait], seed: int) -> None:
        self.mesh, self.skins, self.seed = mesh, skins(portraits), seed
        self.ready: list[Sprite] = []

    def take(self, rng: random.Random) -> Sprite:
        """A profile, a head raised or bowed, or one from behind, which has no landmarks."""
        if not self.ready or (len(self.ready) < MOST and rng.random() < GROWTH):
            own = random.Random(f"{self.seed} {len(self.ready)}")
            sprite = head(self.mesh, own.choice(self.skins), *pose(own), own)
            self.ready.append(Sprite(pyramid(sprite.levels[0]), sprite.box, sprite.points))
        return rng.choice(self.ready)


def pose(rng: random.Random) -> tuple[float, float]:
    """Yaw and pitch in degrees: profiles mostly, then raised and bowed heads, then backs."""
    way = rng.choice((-1, 1))
    kind = rng.choices(("profile", "nod", "back"), (0.52, 0.33, 0.15))[0]
    if kind == "profile":
        return way * rng.uniform(48, 110), rng.gauss(0, 14)
    if kind == "back":
        return way * rng.uniform(125, 180), rng.gauss(0, 12)
    return rng.uniform(-60, 60), rng.choice((-1, 1)) * rng.uniform(15, 50)
