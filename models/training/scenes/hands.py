"""Draws hands from a mesh: alone knows the hand's skeleton and how it is lit.

The mesh is the generic hand of WebXR's input profiles (MIT licence; see
fetch_sources): 25 joints, 1,360 vertices, y towards the wrist, the palm
looking along +x. Street scenes are full of hands, and a young detector takes
their creases for eyes and mouths.
"""

from __future__ import annotations

import math
import random

import cv2
import numpy as np

from models.training.material.folder import Floats, Picture
from models.training.material.mesh import Matrix, Mesh, Triangles
from models.training.scenes.garments import colour, noise, over

FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
BONES = ("phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
THUMB = ("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal", "thumb-tip")
PALM = np.array([1.0, 0.0, 0.0])
SIDE = 192  # pixels of a finished cut-out: hands before a camera are large and sharp
FINE = 288  # pixels it is drawn at
GRIPS = 0.4  # of the hands are bent about something, fingers one after another
HELD = 0.3  # of the hands have a gadget behind their fingers
CREASES = 14  # at most
# Which of the four fingers stretch: open hand, victory, fist, pointing.
GESTURES = ((1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0), (1, 0, 0, 0))


def turn_about(place: Matrix, axis: Matrix, angle: float) -> Matrix:
    """4x4 rotation by `angle` radians about an axis through `place`."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0]
    turn[:3, 3] = place - turn[:3, :3] @ place
    return turn


def bend(mesh: Mesh, chain: tuple[str, ...], angles: list[float], spread: float) -> dict[str, Matrix]:
    """4x4 motion of every joint of a finger that bends by `angles` and leans sideways by `spread`, in radians."""
    motion = turn_about(mesh.places[chain[0]], PALM, spread)
    motions = {}
    for joint, following, angle in zip(chain[:-1], chain[1:], angles, strict=True):
        along = mesh.places[following] - mesh.places[joint]
        motion = motion @ turn_about(mesh.places[joint], np.cross(along, PALM), angle)
        motions[joint] = motion
    motions[chain[-1]] = motion
    return motions


def pose(mesh: Mesh, rng: random.Random) -> Matrix:
    """(N, 3) vertices of the hand in a gesture."""
    stretched = rng.choice(GESTURES) if rng.random() < 0.7 else [rng.randint(0, 1) for _ in FINGERS]
    motions: dict[str, Matrix] = {}
    fan = rng.uniform(-0.02, 0.16)
    grip = rng.uniform(0.3, 0.8) if rng.random() < GRIPS else 0.0
    for place, (finger, stretch) in enumerate(zip(FINGERS, stretched, strict=True)):
        most = (0.3, 0.3, 0.2) if stretch and not grip else (1.5, 1.7, 1.0)
        least = grip or (0.0 if stretch else 0.75)
        angles = [rng.uniform(least, grip + 0.15 if grip else 1.0) * angle for angle in most]
        chain = tuple(f"{finger}-{bone}" for bone in BONES)
        motions |= bend(mesh, chain, angles, fan * (1.5 - place) + rng.gauss(0, 0.03))
    tucked = rng.uniform(0.0, 0.9)
    motions |= bend(mesh, THUMB, [0.5 * tucked, 0.6 * tucked, 0.8 * tucked], rng.gauss(0, 0.15))
    moves = np.stack([motions.get(name, np.eye(4)) for name in mesh.names])
    blended = np.einsum("nj,njkl->nkl", mesh.weights, moves[mesh.joints])
    whole = np.hstack([mesh.points, np.ones((len(mesh.points), 1))])
    return np.asarray(np.einsum("nkl,nl->nk", blended, whole)[:, :3])


def forearm(mesh: Mesh, rng: random.Random) -> tuple[Matrix, Triangles]:
    """Vertices (V, 3) and triangles of an arm that leaves the wrist."""
    rings, around = 12, 24
    length, lean = rng.uniform(0.04, 0.16), np.array([rng.gauss(0, 0.3), 1.0, rng.gauss(0, 0.3)])
    turn = np.linspace(0, 2 * math.pi, around, endpoint=False)
    points, widening = [], rng.uniform(0.004, 0.016)
    for ring in range(rings):
        share = ring / (rings - 1)
        thick = 0.024 + share * widening
        centre = mesh.places["wrist"] + lean * share * length
        circle = np.stack([np.cos(turn) * thick, np.zeros(around), np.sin(turn) * thick * 1.2], axis=1)
        points.append(centre + circle)
    triangles = []
    for ring in range(rings - 1):
        for step in range(around):
            a, b = ring * around + step, ring * around + (step + 1) % around
            triangles += [[a, b, a + around], [b, b + around, a + around]]
    return np.concatenate(points), np.array(triangles)


def crease(picture: Floats, rng: random.Random) -> None:
    """Draws a fold of skin: a short dark arc with a light edge, into (S, S, 3) float32."""
    side = picture.shape[0]
    place, axes = (rng.randrange(side), rng.randrange(side)), (rng.randint(4, side // 7), rng.randint(2, side // 12))
    start, lean = rng.uniform(0, 360), rng.uniform(0, 180)
    fold = np.zeros((side, side), np.float32)
    cv2.ellipse(fold, place, axes, lean, start, start + rng.uniform(40, 140), 1.0, rng.randint(1, 3), cv2.LINE_AA)
    fold = np.asarray(cv2.GaussianBlur(fold, (0, 0), rng.uniform(0.7, 1.8)), np.float32)
    picture *= (1 - rng.uniform(0.2, 0.8) * fold + 0.3 * np.roll(fold, 3, axis=0))[..., None]


def gadget(rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: a camera or telephone, as hands hold before a face."""
    dark = (rng.uniform(0, 60),) * 3 if rng.random() < 0.7 else colour(rng)
    body, mask = np.full((SIDE, SIDE, 3), dark, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    left, top = rng.randint(0, SIDE // 2), rng.randint(0, SIDE // 3)
    right, low = left + rng.randint(SIDE // 4, SIDE), top + rng.randint(SIDE // 5, SIDE // 2)
    cv2.rectangle(mask, (left, top), (right, low), 255, -1)
    for _ in range(rng.randint(0, 4)):
        corner = rng.randint(left, right), rng.randint(top, low)
        cv2.rectangle(body, corner, (corner[0] + rng.randint(4, 60), corner[1] + rng.randint(3, 24)), colour(rng), -1)
    middle = rng.randint(left, right), rng.randint(top, low)
    for radius in sorted(rng.sample(range(3, 44), rng.randint(0, 4)), reverse=True):
        tone = (rng.uniform(0, 220),) * 3
        for layer, ink in ((body, tone), (mask, (255,))):
            cv2.circle(layer, middle, radius, ink, -1, cv2.LINE_AA)
    return np.dstack([body, mask])


def view(rng: random.Random) -> Matrix:
    """3x3 rotation: fingers mostly up, any side towards the camera."""
    about = cv2.Rodrigues(np.array([0.0, rng.uniform(0, 2 * math.pi), 0.0]))[0]
    nod = cv2.Rodrigues(np.array([rng.gauss(0, 0.6), 0.0, 0.0]))[0]
    return np.asarray(nod @ about, np.float64)


def draw(points: Matrix, triangles: Triangles, tones: Floats, rng: random.Random) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA of a lit mesh seen along z, perhaps before a gadget.

    tones: (T, 3) float32, the BGR colours of its triangles.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FINE * 0.94 / float((high - low)[:2].max())
    flat = (points[:, :2] - (low + high)[:2] / 2) * scale + FINE / 2
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    normals *= -np.sign(normals[:, 2:] + 1e-12)  # whichever way they are wound, towards the camera at -z
    light = np.array([rng.gauss(0, 0.6), rng.gauss(-0.6, 0.4), -1.0])
    lit = np.maximum(0.0, normals @ (light / np.linalg.norm(light)))
    ambient = rng.uniform(0.15, 0.7)
    shaded = tones * (ambient + (1.1 - ambient) * lit)[:, None].astype(np.float32)
    depths = corners[..., 2].mean(axis=1) * scale
    picture = np.zeros((FINE, FINE, 3), np.float32)
    depth = np.full((FINE, FINE), np.float32(depths.max()))
    mask = np.zeros((FINE, FINE), np.uint8)
    for index in np.argsort(-depths):
        shape = np.round(flat[triangles[index]] * 16).astype(np.int32)
        cv2.fillConvexPoly(picture, shape, shaded[index].tolist(), cv2.LINE_8, 4)
        cv2.fillConvexPoly(depth, shape, float(depths[index]), cv2.LINE_8, 4)
        cv2.fillConvexPoly(mask, shape, 255, cv2.LINE_8, 4)
    # What lies deeper than its surroundings gets less light: creases, gaps between fingers.
    hidden = np.maximum(0.0, depth - cv2.GaussianBlur(depth, (0, 0), FINE / 40)) / (FINE / 20)
    picture *= np.exp(-rng.uniform(0.8, 2.5) * hidden)[..., None]
    # Veins and wrinkles.
    picture *= 1 + rng.uniform(0, 0.1) * (noise(rng, 60, 60, FINE) + noise(rng, 12, 12, FINE))[..., None]
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.2, 3.0)), np.float32)
    for _ in range(rng.randint(0, CREASES)):
        crease(picture, rng)
    small = cv2.resize(np.clip(picture, 0, 255), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cover = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    behind = gadget(rng) if rng.random() < HELD else np.zeros((SIDE, SIDE, 4), np.uint8)
    return over(behind, small.astype(np.uint8), np.asarray(cover, np.uint8))


def hand(mesh: Mesh, rng: random.Random, skin: Picture) -> Picture:
    """(SIDE, SIDE, 4) uint8 BGRA: a hand in this skin's colours (a BGR patch), with a bare or dressed forearm."""
    points, arm = pose(mesh, rng), forearm(mesh, rng)
    tone = skin.reshape(-1, 3).mean(axis=0) * rng.uniform(0.8, 1.2)
    sleeve = tone if rng.random() < 0.5 else np.array([rng.uniform(0, 255) for _ in range(3)])
    triangles = np.concatenate([mesh.triangles, arm[1] + len(points)])
    # Palms are paler than the backs of hands, dark ones most of all.
    facing = mesh.points[mesh.triangles].mean(axis=1)
    outward = np.cross(
        mesh.points[mesh.triangles[:, 1]] - mesh.points[mesh.triangles[:, 0]],
        mesh.points[mesh.triangles[:, 2]] - mesh.points[mesh.triangles[:, 0]],
    )
    palm = np.clip(outward[:, 0] / (np.linalg.norm(outward, axis=1) + 1e-12), 0, 1)[:, None]
    pale = tone + 0.35 * (np.array([150.0, 170.0, 215.0]) - tone)
    grain = 1 + 0.06 * np.sin(facing @ np.array([900.0, 700.0, 800.0]))[:, None]
    tones = np.concatenate([(tone + palm * (pale - tone)) * grain, np.tile(sleeve, (len(arm[1]), 1))])
    turned = np.concatenate([points, arm[0]]) @ view(rng).T
    if rng.random() < 0.5:
        turned[:, 0] *= -1  # the other hand
    return draw(turned, triangles, tones.astype(np.float32), rng)
