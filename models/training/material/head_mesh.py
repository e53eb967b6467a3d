"""Reads a head that can be reshaped: alone knows MakeHuman's base mesh and its targets (CC0 1.0; see fetch_sources).

Wavefront text: `v x y z`, `g group`, `f a/t b/t c/t d/t`; a target is lines of `vertex dx dy dz`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Ints = NDArray[np.int64]
PARTS = ("body", "helper-l-eye", "helper-r-eye")
# The eyes in the file's decimetres: their height, where their fronts lie, how far apart they are.
HEIGHT, FRONT, APART = 7.284, 1.39, 0.616
LOWEST = 5.0  # what reaches below is left out


@dataclass(frozen=True)
class HeadMesh:
    """points (N, 3) float32, the eyes 1 apart about 0, x right as seen, y down, z near; quads (Q, 4) of them.

    targets: name -> (vertices (M,), their offsets (M, 3)); marks: the vertices of the five landmarks;
    eyeballs: those of both eyes.
    """

    points: Points
    quads: Ints
    targets: dict[str, tuple[Ints, Points]]
    marks: Ints
    eyeballs: Ints


def read_base(path: Path) -> tuple[Points, Ints, Ints]:
    """Vertices (N, 3) in the file's frame, the quads of PARTS, and which vertices are eyeballs."""
    vertices: list[list[float]] = []
    quads: list[list[int]] = []
    eyeballs: set[int] = set()
    group = ""
    for line in path.read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "g":
            group = words[0]
        elif kind == "f" and group in PARTS:
            corners = [int(word.split("/")[0]) - 1 for word in words]
            quads.append(corners if len(corners) == 4 else [*corners, corners[-1]])
            eyeballs.update(corners if group != "body" else ())
    return np.array(vertices, np.float32), np.array(quads, np.int64), np.array(sorted(eyeballs), np.int64)


def framed(vertices: Points) -> Points:
    """Vertices of the file as points of a head: eye distances, y down."""
    return np.asarray((vertices - [0, HEIGHT, FRONT]) / APART * [1, -1, 1], np.float32)


def read_target(path: Path, renamed: Ints) -> tuple[Ints, Points]:
    """The vertices (by their new numbers) that a target moves, and by how much."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    table = np.array(rows, np.float32).reshape(-1, 4)
    places = renamed[table[:, 0].astype(np.int64)]
    kept = places >= 0
    return places[kept], np.asarray(table[kept, 1:] / APART * [1, -1, 1], np.float32)


def find_marks(points: Points, eyeballs: Ints) -> Ints:
    """The vertices of eyes, nose and corners of the mouth, by where they lie on the unchanged base."""

    def nearest(x: float, y: float, z: float, among: Ints) -> int:
        return int(among[np.argmin(((points[among] - [x, y, z]) ** 2).sum(axis=1))])

    skin = np.setdiff1d(np.arange(len(points)), eyeballs)
    return np.array(
        [
            nearest(-0.5, 0, 0.02, eyeballs),
            nearest(0.5, 0, 0.02, eyeballs),
            nearest(0, 0.5, 0.47, skin),
            nearest(-0.42, 1.05, 0.1, skin),
            nearest(0.42, 1.05, 0.1, skin),
        ]
    )


def read_head(folder: Path) -> HeadMesh:
    """The base and all targets of a folder, from the shoulders up."""
    vertices, quads, eyeballs = read_base(folder / "base.obj")
    quads = quads[(vertices[quads, 1] > LOWEST).all(axis=1)]
    used = np.unique(quads)
    renamed = np.full(len(vertices), -1, np.int64)
    renamed[used] = np.arange(len(used))
    points, eyeballs = framed(vertices[used]), renamed[eyeballs]
    targets = {path.stem: read_target(path, renamed) for path in sorted(folder.glob("*.target"))}
    return HeadMesh(points, renamed[quads], targets, find_marks(points, eyeballs), eyeballs)
