"""Reads the training material: alone knows its folder and who is held out.

Portraits with one labelled face each, face-free backgrounds, and the split by
identity (every portrait shows another person) that validation relies on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.material.head_mesh import HeadMesh, read_head
from models.training.material.mesh import Mesh, read_mesh

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

DEFAULT_FOLDER = Path("../shared/training")
HOLD_OUT_EVERY = 8  # portraits: one in eight is never trained on
BACKGROUNDS_HELD_OUT = 20
EXTRA_LONGEST = 800  # pixels: further backgrounds are read no larger


@dataclass(frozen=True)
class Portrait:
    """One photograph of one face.

    picture: (H, W, 3) uint8 BGR; box: (4,) float32 x1 y1 x2 y2 in pixels;
    points: (5, 2) float32 pixels, left eye, right eye, nose, left and right
    mouth corner as seen in the picture.
    """

    name: str
    picture: Picture
    box: Floats
    points: Floats


@dataclass(frozen=True)
class Material:
    """One side of the split."""

    portraits: list[Portrait]
    backgrounds: list[Picture]
    hand: Mesh | None = None
    head: HeadMesh | None = None


def read_picture(path: Path) -> Picture:
    """(H, W, 3) uint8 BGR, or an error that names the file."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"not a readable picture: {path}")
    return np.asarray(picture, np.uint8)


def shrunk(picture: Picture, longest: int) -> tuple[Picture, float]:
    """The picture with no side over `longest` pixels, and its scale."""
    scale = min(1.0, longest / max(picture.shape[:2]))
    if scale == 1:
        return picture, scale
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8), scale


def read_portraits(folder: Path) -> list[Portrait]:
    """Every labelled portrait, by name."""
    labels = json.loads((folder / "labels.json").read_text())
    portraits = []
    for name in sorted(labels):
        (face,) = labels[name]["faces"]
        portraits.append(
            Portrait(
                name,
                read_picture(folder / "portraits" / name),
                np.array(face["bbox"], np.float32),
                np.array(face["landmarks"], np.float32),
            )
        )
    return portraits


def split_names(names: list[str], held_out: int) -> tuple[list[str], list[str]]:
    """Names to train on and `held_out` names spread evenly over the sorted list."""
    names = sorted(names)
    picks = {names[int((i + 0.5) * len(names) / held_out)] for i in range(held_out)}
    return [n for n in names if n not in picks], [n for n in names if n in picks]


def read_material(
    folder: Path, more_backgrounds: Path | None = None, hand: Path | None = None, head: Path | None = None
) -> tuple[Material, Material]:
    """(training, validation). `more_backgrounds` are only trained on; both sides pose the same hand and head."""
    mesh = read_mesh(hand) if hand is not None else None
    shape = read_head(head) if head is not None else None
    portraits = read_portraits(folder)
    kept, held = split_names([p.name for p in portraits], len(portraits) // HOLD_OUT_EVERY)
    names = [path.name for path in (folder / "backgrounds").iterdir()]
    trained, validated = split_names(names, min(BACKGROUNDS_HELD_OUT, len(names) // 2))
    extra = sorted(more_backgrounds.iterdir()) if more_backgrounds else []
    train = Material(
        [p for p in portraits if p.name in kept],
        [read_picture(folder / "backgrounds" / n) for n in trained]
        + [shrunk(read_picture(path), EXTRA_LONGEST)[0] for path in extra],
        mesh,
        shape,
    )
    valid = Material(
        [p for p in portraits if p.name in held],
        [read_picture(folder / "backgrounds" / n) for n in validated],
        mesh,
        shape,
    )
    return train, valid
