"""A doubtful find with its surroundings: alone knows how it is cut, which of them teach, and the form of the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.training.judge.detect import Found, cell
from models.training.judge.measure import ENOUGH, iou_table
from models.training.material.folder import Floats, Picture
from models.training.scenes.composer import Scene
from shared.cells import cuts

SIDE = 120  # pixels of a cell's sides: more than a sheet's, for it is shown nearer and off its middle
SMALLEST = 6.0  # pixels of a find's shorter side: smaller ones show nothing
SURE = 0.9  # finds that score more are no doubts
# Of a find that is a face: from this overlap on; below the other one it is none, and in between nobody knows.
NO_FACE = 0.25
# Of a find that lies in what is doubtful: from this share on it teaches nothing.
IN_DOUBT = 0.25


@dataclass(frozen=True)
class Cell:
    """pixels (SIDE, SIDE, 3) uint8 BGR, black beyond the picture. All else in its pixels.

    found (4,): the find, scored `score`; face: whether it is one. boxes (N, 4), points (N, 5, 2): of faces; ignored
    (M, 4): places that teach nothing. real: whether a camera saw it.
    """

    pixels: Picture
    found: Floats
    score: float
    face: bool
    boxes: Floats
    points: Floats
    ignored: Floats
    real: bool


class _Row(msgspec.Struct, array_like=True):
    """A cell as it lies in a file: the arrays' bytes."""

    pixels: bytes
    found: bytes
    score: float
    face: bool
    boxes: bytes
    points: bytes
    ignored: bytes
    real: bool

    @staticmethod
    def of(cell: Cell) -> _Row:
        return _Row(
            cell.pixels.tobytes(),
            cell.found.tobytes(),
            cell.score,
            cell.face,
            cell.boxes.tobytes(),
            cell.points.tobytes(),
            cell.ignored.tobytes(),
            cell.real,
        )


def write(path: Path, cells: Iterable[Cell]) -> None:
    """A file of cells, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.msgpack.encode([_Row.of(cell) for cell in cells]))
    part.replace(path)


def read(path: Path) -> list[Cell]:
    """The cells of a file."""
    rows = msgspec.msgpack.decode(path.read_bytes(), type=list[_Row])
    return [
        Cell(
            np.frombuffer(row.pixels, np.uint8).reshape(SIDE, SIDE, 3),
            _floats(row.found, 4)[0],
            row.score,
            row.face,
            _floats(row.boxes, 4),
            _floats(row.points, 5, 2),
            _floats(row.ignored, 4),
            row.real,
        )
        for row in rows
    ]


def _floats(data: bytes, *shape: int) -> Floats:
    return np.frombuffer(data, np.float32).reshape(-1, *shape)


def cells_of(scene: Scene, found: Found, *, real: bool) -> list[Cell]:
    """Cells of those finds in a scene of which somebody knows what they are; sure ones and tiny ones are none."""
    unknown = np.concatenate([scene.ignored, scene.regions])
    return [
        _cell(scene, box, float(score), unknown, face=face, real=real)
        for box, score in zip(found.boxes, found.scores, strict=True)
        if score <= SURE and min(box[2:] - box[:2]) >= SMALLEST
        if (face := is_face(box, scene.boxes, unknown)) is not None
    ]


def is_face(box: Floats, faces: Floats, unknown: Floats) -> bool | None:
    """Whether a find (4,) is one of the faces; None where nobody knows."""
    best = _most(iou_table(box[None], faces))
    if best >= ENOUGH:
        return True
    if best > NO_FACE or _most(_shares_within(box, unknown)) > IN_DOUBT:
        return None
    return False


def _cell(scene: Scene, box: Floats, score: float, unknown: Floats, *, face: bool, real: bool) -> Cell:
    rows, cols = scene.picture.shape[:2]
    (shown,), (corner,), ((zoom,),) = cuts(box[None], (cols, rows), SIDE)

    def moved(points: Floats) -> Floats:
        return np.asarray((points.reshape(-1, 2) - corner) * zoom, np.float32)

    boxes, ignored = moved(scene.boxes).reshape(-1, 4), moved(unknown).reshape(-1, 4)
    pixels, points = cell(shown, scene.picture, SIDE), moved(scene.points).reshape(-1, 5, 2)
    return Cell(pixels, moved(box).reshape(4), score, face, boxes, points, ignored, real)


def _shares_within(box: Floats, others: Floats) -> Floats:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return np.asarray(shared / max(1e-6, float(np.prod(box[2:] - box[:2]))), np.float32)


def _most(values: NDArray[np.float32]) -> float:
    return float(values.max(initial=0.0))
