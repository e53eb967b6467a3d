"""Sheets of doubted cells as scenes to learn from: alone knows how they are laid, and what is done to each cell."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from models.training.doubted.cells import SIDE, Cell, read
from models.training.landmarks import MIRRORED
from models.training.material.folder import Floats, Picture
from models.training.scenes.composer import SMALLEST, Matrix, Scene
from shared.cells import CLOSER_SHEETS

CELL = CLOSER_SHEETS.cell
ACROSS = 4  # cells to a sheet's side
FULL = 0.8  # of the sheets have no empty cell
SHIFT, STRETCH = 5.0, 0.07  # pixels a find is off the middle at most, and spread of its size's logarithm
WHOLE = 0.6  # share of a face that must lie in its cell to be taught
TOUCHED = 0.05  # share from which on it is ignored
REAL = 0.6  # of the cells were seen by a camera, where there are such
IN_A_BATCH, REFRESHED = 6, 200  # sheets, and batches after which new cells are looked for
# What the cells show: whether a face, whether likely to whoever doubted it, and their share.
KINDS = (((True, False), 0.32), ((True, True), 0.13), ((False, True), 0.37), ((False, False), 0.18))
LIKELY_FACE, LIKELY_OTHER = 0.5, 0.2  # scores from which on a find is called likely


class Pool:
    """The cells of a folder, by what they show. Takes in what is added to it whenever `refresh` is called."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, set[Path]()
        self._cells: dict[tuple[bool, bool, bool], list[Cell]] = defaultdict(list)
        self.refresh()
        if not self._cells:
            raise FileNotFoundError(f"no cells in {folder}: python -m models.training.doubted.collect writes them")

    def refresh(self) -> None:
        """Reads new files."""
        for path in sorted(set(self._folder.glob("*.cells")) - self._seen):
            self._seen.add(path)
            for cell in read(path):
                likely = cell.score >= (LIKELY_FACE if cell.face else LIKELY_OTHER)
                self._cells[cell.face, likely, cell.real].append(cell)

    def draw(self, rng: random.Random) -> Cell:
        """Any cell, by the shares of KINDS and REAL as far as there are such."""
        while True:
            ((face, likely),) = rng.choices([kind for kind, _ in KINDS], [share for _, share in KINDS])
            real = rng.random() < REAL
            if found := self._cells.get((face, likely, real)) or self._cells.get((face, likely, not real)):
                return rng.choice(found)

    def batches(self, rng: random.Random) -> Iterator[list[Scene]]:
        """Sheets without end; a `models.training.run.feed.Source`."""
        while True:
            self.refresh()
            for _ in range(REFRESHED):
                yield [sheet(self, rng) for _ in range(IN_A_BATCH)]


def sheet(pool: Pool, rng: random.Random) -> Scene:
    """A scene of ACROSS x ACROSS cells."""
    side = CELL * ACROSS
    picture = np.zeros((side, side, 3), np.uint8)
    boxes, points, ignored = [], [], []
    for place in range(ACROSS**2 if rng.random() < FULL else rng.randint(1, ACROSS**2)):
        y, x = (CELL * step for step in divmod(place, ACROSS))
        shown = changed(pool.draw(rng), rng)
        picture[y : y + CELL, x : x + CELL] = shown.picture
        corner = np.array([x, y], np.float32)
        boxes.append(shown.boxes + np.tile(corner, 2))
        points.append(shown.points + corner)
        ignored.append(shown.ignored + np.tile(corner, 2))
    return Scene(picture, np.concatenate(boxes), np.concatenate(points), np.concatenate(ignored))


def changed(cell: Cell, rng: random.Random) -> Scene:
    """A cell of CELL pixels: nearer, off its middle, mirrored, in another light."""
    matrix, mirrored = placed(rng)
    picture = cv2.warpAffine(cell.pixels, matrix, (CELL, CELL), flags=cv2.INTER_LINEAR)
    points = _mapped(cell.points, matrix)
    boxes, ignored = _mapped_boxes(cell.boxes, matrix), _mapped_boxes(cell.ignored, matrix)
    within = np.clip(boxes, 0, CELL)
    shares, sizes = _areas(within) / np.maximum(_areas(boxes), 1e-6), np.sqrt(_areas(boxes))
    taught = (shares >= WHOLE) & (sizes >= SMALLEST)
    ignored = np.concatenate([np.clip(ignored, 0, CELL), within[~taught & (shares > TOUCHED)]])
    points = points[:, MIRRORED] if mirrored else points
    return Scene(lit(np.asarray(picture, np.uint8), rng), within[taught], points[taught], ignored[_areas(ignored) > 1])


def placed(rng: random.Random) -> tuple[Matrix, bool]:
    """(2, 3): from a cell of SIDE to one of CELL; whether it mirrors."""
    scale = max(CELL / SIDE, math.exp(rng.gauss(0, STRETCH)))
    free = min(SHIFT, (SIDE * scale - CELL) / 2)
    x, y = ((SIDE * scale - CELL) / 2 + rng.uniform(-free, free) for _ in range(2))
    matrix = np.array([[scale, 0, -x], [0, scale, -y]])
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix[0] = np.array([0, 0, CELL - 1]) - matrix[0]
    return matrix, mirrored


def lit(picture: Picture, rng: random.Random) -> Picture:
    """Brighter or darker, tinted, grey, noisy, compressed: each now and then. Black stays black."""
    noise = np.random.default_rng(rng.randrange(1 << 30))
    changed = np.asarray(picture, np.float32)
    if rng.random() < 0.7:
        changed = changed * math.exp(rng.gauss(0, 0.18)) + rng.gauss(0, 8) * (changed > 0)
    if rng.random() < 0.2:
        changed *= np.exp(noise.normal(0, 0.08, 3)).astype(np.float32)
    if rng.random() < 0.06:
        changed = np.repeat(changed.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.25:
        changed += noise.normal(0, rng.uniform(1, 8), changed.shape).astype(np.float32)
    whole = np.clip(changed, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        _, data = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 80)])
        whole = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return whole


def _mapped(points: Floats, matrix: Matrix) -> Floats:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _mapped_boxes(boxes: Floats, matrix: Matrix) -> Floats:
    corners = _mapped(boxes.reshape(-1, 2, 2), matrix)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).reshape(-1, 4)


def _areas(boxes: Floats) -> Floats:
    return np.asarray(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1), np.float32)
