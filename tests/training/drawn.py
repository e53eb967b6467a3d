"""Portraits drawn for tests: alone knows how to make material without photographs."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import cv2
import numpy as np

from models.training.material.folder import Material, Portrait
from models.training.material.mesh import Mesh
from models.training.scenes import clutter
from models.training.scenes import composer as scenes
from models.training.scenes.hands import BONES, FINGERS, THUMB


def portrait(seed: int) -> Portrait:
    """A drawn head with eyes, nose and mouth, 256 x 256."""
    rng = np.random.default_rng(seed)
    picture = np.full((256, 256, 3), rng.integers(90, 200, 3), np.uint8)
    picture = cv2.add(picture, rng.integers(0, 30, picture.shape, np.uint8))
    skin = tuple(int(v) for v in rng.integers(60, 230, 3))
    cx, cy = (int(v) for v in rng.integers(110, 146, 2))
    cv2.rectangle(picture, (cx - 70, cy + 55), (cx + 70, 256), (40, 40, 90), -1)
    cv2.ellipse(picture, (cx, cy), (40, 52), 0, 0, 360, skin, -1)
    points = [(cx - 16, cy - 10), (cx + 16, cy - 10), (cx, cy + 6), (cx - 12, cy + 24), (cx + 12, cy + 24)]
    for x, y in points[:2]:
        cv2.circle(picture, (x, y), 5, (20, 20, 20), -1)
    cv2.line(picture, points[3], points[4], (40, 40, 140), 4)
    box = np.array([cx - 40, cy - 52, cx + 40, cy + 52], np.float32)
    return Portrait(f"drawn_{seed}", picture, box, np.array(points, np.float32))


def material(count: int = 4) -> Material:
    """Drawn portraits, two backgrounds of noise and gradient, and a hand."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (200, 200, 3), np.uint8)
    gradient = np.tile(np.linspace(0, 255, 200, dtype=np.uint8)[None, :, None], (200, 1, 3))
    return Material([portrait(i) for i in range(count)], [noise, np.ascontiguousarray(gradient)], hand())


def composer() -> scenes.Composer:
    """With a handful of pages and things to lay around: a run's hundreds take longer to draw than all that is tested."""
    with patch.object(scenes, "PAGES", 6), patch.object(clutter, "bank", partial(clutter.bank, each=6)):
        return scenes.Composer(material(), 1)


def hand() -> Mesh:
    """A hand of twenty-five little triangles, one a joint, each moved by its joint alone; y grows towards the wrist."""
    places = {"wrist": np.array([0.0, 0.06, 0.0])}
    for row, finger in enumerate(FINGERS):
        z = 0.02 * (row - 1.5)
        places[f"{finger}-metacarpal"] = np.array([0.0, 0.03, z])
        places |= {f"{finger}-{bone}": np.array([0.0, -0.03 * step, z]) for step, bone in enumerate(BONES)}
    places |= {joint: np.array([0.0, 0.02 - 0.02 * step, -0.05]) for step, joint in enumerate(THUMB)}
    names = sorted(places)
    corner = np.array([[0, 0, 0], [0, 0.01, 0.005], [0.005, 0.01, 0]])
    return Mesh(
        np.concatenate([places[name] + corner for name in names]),
        np.arange(3 * len(names)).reshape(-1, 3),
        np.repeat(np.arange(len(names)), 3)[:, None].repeat(4, axis=1),
        np.tile([1.0, 0.0, 0.0, 0.0], (3 * len(names), 1)),
        names,
        places,
    )
