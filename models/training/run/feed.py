"""Makes batches in processes beside the trainer: alone knows their form.

The supply is built once and inherited by fork, so the portraits are decoded
and cut out a single time.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from queue import Empty
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.run.assign import Floats, Ints, assign
from models.training.scenes.composer import Canvas, Composer, Scene, finish, second_view
from models.training.scenes.layouts import compose
from models.training.scenes.photographed import Shot, photographed

DELAY = 30  # batches that wait for another view, so that a scene's views lie far apart
VIEWS = 5  # of each scene: composing one takes longer than learning from it
# Side of the canvases, pictures a batch, share of the batches.
SIZES = ((320, 8, 0.70), (448, 4, 0.10), (640, 2, 0.20))


@dataclass(frozen=True)
class Batch:
    """Pictures with what their anchors should learn.

    pictures (B, S, S, 3) uint8 BGR; rows (P,) and anchors (P,) int64 name the
    anchors that learn; boxes (P, 4) and points (P, 5, 2) float32 pixels are
    their faces; silent_rows, silent_anchors (Q,) int64 name those left out.
    """

    pictures: NDArray[np.uint8]
    rows: Ints
    anchors: Ints
    boxes: Floats
    points: Floats
    silent_rows: Ints
    silent_anchors: Ints


def collate(scenes: list[Scene]) -> Batch:
    """Scenes of one size as a batch."""
    height, width = scenes[0].picture.shape[:2]
    parts = [assign(s.boxes, s.ignored, height, width, s.regions) for s in scenes]
    return Batch(
        np.stack([s.picture for s in scenes]),
        np.concatenate([np.full(len(p.anchors), i, np.int64) for i, p in enumerate(parts)]),
        np.concatenate([p.anchors for p in parts]),
        np.concatenate([s.boxes[p.faces] for s, p in zip(scenes, parts, strict=True)]),
        np.concatenate([s.points[p.faces] for s, p in zip(scenes, parts, strict=True)]),
        np.concatenate([np.full(len(p.silent), i, np.int64) for i, p in enumerate(parts)]),
        np.concatenate([p.silent for p in parts]),
    )


class Source(Protocol):
    """What batches are made of."""

    def batches(self, rng: random.Random) -> Iterator[list[Scene]]:
        """Scenes of one size each, without end."""
        ...


@dataclass(frozen=True)
class Supply:
    """What canvases are made of; `share` of them are crops of real photographs, where there are any."""

    composer: Composer
    shots: list[Shot] = field(default_factory=list)
    share: float = 0.5

    def canvas(self, rng: random.Random, side: int) -> Canvas:
        """One scene of side x side pixels, not yet spoiled."""
        if self.shots and rng.random() < self.share:
            return photographed(self.shots, rng, side)
        return self.composed(rng, side)

    def composed(self, rng: random.Random, side: int) -> Canvas:
        """The same, of cut-outs."""
        return compose(self.composer, rng, side)

    def batches(self, rng: random.Random) -> Iterator[list[Scene]]:
        """Scenes of one size each, without end; every one is seen in VIEWS."""
        waiting: list[tuple[int, list[Canvas]]] = []
        while True:
            fresh = len(waiting) < DELAY
            view, canvases = (1, make_canvases(self, rng)) if fresh else waiting.pop(rng.randrange(DELAY))
            yield [finish(c, rng) for c in canvases]
            if view < VIEWS:
                waiting.append((view + 1, [second_view(c, rng) for c in canvases]))


def make_canvases(supply: Supply, rng: random.Random) -> list[Canvas]:
    """The scenes of one batch of a random size, not yet spoiled."""
    ((side, count, _),) = rng.choices(SIZES, [share for _, _, share in SIZES])
    return [supply.canvas(rng, side) for _ in range(count)]


def wait_while(pause_file: Path | None) -> None:
    """Sleeps as long as the file exists."""
    while pause_file is not None and pause_file.exists():
        time.sleep(1)


def produce(source: Source, seed: int, queue: Any, pause_file: Path | None) -> None:
    """Fills the queue until the parent goes away."""
    cv2.setNumThreads(0)
    parent = os.getppid()
    for scenes in source.batches(random.Random(seed)):
        if os.getppid() != parent:
            return
        wait_while(pause_file)
        queue.put(collate(scenes))


class Feed:
    """Worker processes and their queue; `take()` gives the next batch."""

    def __init__(self, source: Source, seed: int, workers: int = 2, pause_file: Path | None = None) -> None:
        context = multiprocessing.get_context("fork")
        self.queue: Any = context.Queue(maxsize=12)
        self.workers: list[ForkProcess] = []
        for place in range(workers):
            arguments = source, seed * 1009 + place, self.queue, pause_file
            worker = context.Process(target=produce, args=arguments, daemon=True)
            worker.start()
            self.workers.append(worker)

    def take(self) -> Batch:
        """Next batch; an error if a worker died."""
        while True:
            try:
                batch: Batch = self.queue.get(timeout=30)
                return batch
            except Empty:
                if not all(worker.is_alive() for worker in self.workers):
                    raise RuntimeError("a scene worker died") from None

    def close(self) -> None:
        """Ends the workers."""
        for worker in self.workers:
            worker.terminate()
            worker.join()
