"""Cuts people out of portraits: alone knows sprites and how they are turned.

A sprite is a person with soft edges; a turned sprite imitates a half profile
by wrapping the face round a cylinder; one seen from behind has no face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from models.training.material import Floats, Picture, Portrait

FACE_SIDE = 104.0  # pixels of the face's longer side in a sprite's finest level
TURNS = (-48.0, -28.0, 28.0, 48.0)  # degrees of yaw added to the portrait's own
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


def cut_out(portrait: Portrait) -> tuple[Picture, Floats, Floats]:
    """(h, w, 4) uint8 BGRA around head and shoulders, with box and points in it."""
    box = portrait.box
    fw, fh = box[2] - box[0], box[3] - box[1]
    height, width = portrait.picture.shape[:2]
    left, right = max(0, int(box[0] - 1.2 * fw)), min(width, int(box[2] + 1.2 * fw))
    top, bottom = max(0, int(box[1] - 0.8 * fh)), min(height, int(box[3] + 1.5 * fh))
    crop = portrait.picture[top:bottom, left:right]
    scale = min(1.5, FACE_SIDE / max(fw, fh))
    size = max(8, round((right - left) * scale)), max(8, round((bottom - top) * scale))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    box = ((box - [left, top, left, top]) * scale).astype(np.float32)
    points = ((portrait.points - [left, top]) * scale).astype(np.float32)
    return np.dstack([crop, silhouette(crop, box)]), box, points


def turn(cut: Picture, box: Floats, points: Floats, yaw: float) -> tuple[Picture, Floats, Floats]:
    """The cut-out as if the head had turned by `yaw` degrees to the picture's right."""
    height, width = cut.shape[:2]
    centre, radius = (box[0] + box[2]) / 2, (box[2] - box[0]) * 0.54
    u = (np.arange(width, dtype=np.float32) - centre) / radius
    angle = np.arcsin(np.clip(u, -1, 1)) - np.radians(yaw)
    back = np.sin(np.clip(angle, -np.pi / 2, np.pi / 2))
    # Beyond the rim the side of the head comes into view, taken as it lies.
    back += np.clip(angle + np.pi / 2, -9, 0) + np.clip(angle - np.pi / 2, 0, 9)
    outside = np.where(np.abs(u) > 1, u - np.sign(u), 0)
    # Rows below the chin turn less: the body keeps its place.
    rows = np.arange(height, dtype=np.float32)[:, None]
    fade = np.clip((rows - box[3]) / (0.35 * (box[3] - box[1])), 0, 1)
    map_x = (back + outside)[None] * (1 - fade) + u[None] * fade
    map_x = (map_x * radius + centre).astype(np.float32)
    map_y = np.broadcast_to(rows, map_x.shape).astype(np.float32)
    turned = cv2.remap(cut, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def forward(x: Floats, limit: float) -> Floats:
        phi = np.degrees(np.arcsin(np.clip((x - centre) / radius, -1, 1)))
        phi = np.clip(np.clip(phi, -limit, limit) + yaw, -90, 90)
        return np.asarray(centre + radius * np.sin(np.radians(phi)), np.float32)

    box, points = box.copy(), points.copy()
    box[[0, 2]] = forward(box[[0, 2]], OVAL_LIMIT)
    points[:, 0] = forward(points[:, 0], 90)
    return np.asarray(turned, np.uint8), box, points


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


def people(portraits: list[Portrait], seed: int) -> tuple[list[list[Sprite]], list[Sprite]]:
    """Per portrait its sprites (as photographed, then turned); heads from behind."""
    rng = np.random.default_rng(seed)
    faces, backs = [], []
    for portrait in portraits:
        cut, box, points = cut_out(portrait)
        own = [Sprite(pyramid(cut), box, points)]
        for yaw in TURNS:
            turned, turned_box, turned_points = turn(cut, box, points, yaw)
            own.append(Sprite(pyramid(turned), turned_box, turned_points))
        faces.append(own)
        # The box stays for scale; a head from behind is pasted without a label.
        back = Sprite(pyramid(from_behind(cut, box, rng)), box, points)
        backs.append(replace(back, points=None))
    return faces, backs
