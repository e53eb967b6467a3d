"""python -m models.training.doubted.collect: scenes, what weights are unsure of in them, files of cells.

Alone knows which scenes, whose doubts, and which of them are kept.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from models.training.doubted import cells
from models.training.doubted.cells import Cell, cells_of
from models.training.judge.detect import Found, OnnxDetector, decode, suppress
from models.training.judge.measure import iou_table
from models.training.material.folder import Picture, read_material
from models.training.material.photographs import GATHERED
from models.training.run.feed import Supply
from models.training.run.train import ask_for_scenes, supply_of
from models.training.scenes.composer import Canvas, Scene, finish, second_view, similarity
from models.training.scenes.photographed import SPINS, Shot, photographed, settled, warped
from models.training.scenes.sprites import pyramid

LEAST = 0.08  # finds that score less are too many, and hardly ever faces
BARE, PHOTOGRAPHED = 0.3, 0.4  # shares of the scenes: crops of pictures without faces, and of photographs with people
SIDES = ((320, 0.8), (640, 0.2))  # pixels of a scene, and share
KEPT = 40  # scenes that wait for their second view
SEEN_TWICE = 0.5  # share of the scenes that are second views
# Faces over a half in score are many: so many of them are kept.
LIKELY, LIKELY_KEPT = 0.5, 0.4
# Whoever looked through photographs of people overlooked some. What scores so much there, or closer, is not taught as
# no face, but where each find of a thorough look was confirmed or denied by eye.
OVERLOOKED, OVERLOOKED_CLOSER, SAME = 0.3, 0.25, 0.2
IN_A_FILE = 400


class Scenes:
    """Endless scenes, half of them seen twice: bare, composed, photographed, or boxed: photographed, and by eye."""

    def __init__(self, supply: Supply, bare: list[list[Picture]], rng: random.Random) -> None:
        self._supply, self._bare, self._rng = supply, bare, rng
        self._photographs: dict[str, list[Shot]] = {"photographed": [], "boxed": []}
        for one in supply.shots:
            by_eye = one.known.name.startswith(f"{GATHERED}/")
            self._photographs["boxed" if by_eye else "photographed"].append(one)
        self._waiting: list[tuple[str, Canvas]] = []

    def next(self) -> tuple[str, Scene]:
        """Its kind, and the scene."""
        rng = self._rng
        if self._waiting and rng.random() < SEEN_TWICE:
            kind, canvas = self._waiting.pop(rng.randrange(len(self._waiting)))
            canvas = second_view(canvas, rng)
        else:
            kind, canvas = self._new(rng.choices([side for side, _ in SIDES], [share for _, share in SIDES])[0])
            self._waiting = [*self._waiting, (kind, canvas)][-KEPT:]
        return kind, finish(canvas, rng)

    def _new(self, side: int) -> tuple[str, Canvas]:
        rng, drawn = self._rng, self._rng.random()
        if drawn < BARE:
            return "bare", bare_crop(rng.choice(self._bare), rng, side)
        if drawn < BARE + PHOTOGRAPHED and self._supply.shots:
            kind = rng.choices(list(self._photographs), [len(shots) for shots in self._photographs.values()])[0]
            return kind, photographed(self._photographs[kind], rng, side)
        return "composed", self._supply.composed(rng, side)


def bare_crop(levels: list[Picture], rng: random.Random, side: int) -> Canvas:
    """A crop of a picture without faces, nearer or farther, leaning."""
    height, width = levels[0].shape[:2]
    scale = min(2.5, side / min(height, width) * math.exp(rng.uniform(-0.7, 1.0)))
    source = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    matrix = similarity(source, (side / 2, side / 2), scale, rng, rng.choice(SPINS))
    return Canvas.of(warped(levels, settled(matrix, width, height, side), side, 0.0))


def doubts(detector: OnnxDetector, picture: Picture) -> Found:
    """What it finds in the picture as it is, from LEAST on."""
    boxes, scores, points = decode(detector.heads(picture), (picture.shape[0], picture.shape[1]), LEAST)
    kept = suppress(boxes, scores)
    return Found(boxes[kept], scores[kept], points[kept], 1.0)


def is_kept(cell: Cell, kind: str, detector: OnnxDetector, rng: random.Random) -> bool:
    """Whether a cell teaches: not every likely face, and nobody in a photograph who may have been overlooked."""
    if cell.face:
        return cell.score <= LIKELY or rng.random() < LIKELY_KEPT
    return kind != "photographed" or not perhaps_overlooked(cell, detector)


def perhaps_overlooked(cell: Cell, detector: OnnxDetector) -> bool:
    """Whether its find scores much, in the picture or in the cell."""
    if cell.score >= OVERLOOKED:
        return True
    shown = np.zeros((128, 128, 3), np.uint8)
    shown[: cells.SIDE, : cells.SIDE] = cell.pixels
    closer = doubts(detector, shown)
    same = iou_table(cell.found[None], closer.boxes)[0] >= SAME
    return float(closer.scores[same].max(initial=0.0)) >= OVERLOOKED_CLOSER


def collected(scenes: Scenes, detector: OnnxDetector, rng: random.Random, counts: Counter[str]) -> Iterator[Cell]:
    """Cells without end; counts: how many scenes, and cells by kind."""
    while True:
        kind, scene = scenes.next()
        counts["scenes"] += 1
        for cell in cells_of(scene, doubts(detector, scene.picture), real=kind != "composed"):
            if is_kept(cell, kind, detector, rng):
                counts[f"{kind} {'faces' if cell.face else 'others'}"] += 1
                yield cell


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.doubted.collect", description=__doc__)
    ask_for_scenes(parser)
    parser.add_argument("--weights", type=Path, default=Path("models/open/scrfd_500m_open.onnx"), help="whose doubts")
    parser.add_argument("--out", type=Path, default=Path("build/training/cells"), help="folder of the files")
    parser.add_argument("--files", type=int, default=150, help=f"files of {IN_A_FILE} cells; those there count")
    parser.add_argument("--held-out", action="store_true", help="of people and pictures that are never trained on")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.held_out and options.sprites:
        parser.error("--held-out: other people are cut out, so leave --sprites away")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Collects as the command line says; goes on where it was broken off."""
    options = parse(arguments)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    there = len(list(options.out.glob("*.cells")))
    sides = read_material(options.material, options.more_backgrounds, options.hand, options.head)
    material = sides[options.held_out]
    rng, detector = random.Random(options.seed * 1009 + there), OnnxDetector(options.weights, threads=1)
    supply = supply_of(material, options, options.seed, held_out=options.held_out)
    scenes = Scenes(supply, [pyramid(picture) for picture in material.backgrounds], rng)
    counts: Counter[str] = Counter()
    stream, began = collected(scenes, detector, rng, counts), time.monotonic()
    for number in range(there, options.files):
        cells.write(options.out / f"{number:04}.cells", [next(stream) for _ in range(IN_A_FILE)])
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        print(f"{number + 1} of {options.files} files, {time.monotonic() - began:.0f} s: {told}", flush=True)


if __name__ == "__main__":
    main()
