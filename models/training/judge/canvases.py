"""Photographs decoded and fitted once, kept in a folder, so that judging often is quick."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.training.judge.detect import SIDE, Canvas, letterbox
from models.training.material.folder import read_picture


@dataclass(frozen=True)
class Canvases:
    """folder: where fitted pixels are kept; it may be removed at any time. side: of the square."""

    folder: Path
    side: int = SIDE

    def of(self, path: Path) -> Canvas:
        """The canvas of a photograph: kept from earlier while the file is the same, or made now."""
        kept = self.folder / f"{self._key(path)}.npz"
        if kept.is_file():
            with np.load(kept) as held:
                return Canvas(held["pixels"], float(held["scale"]), self.side)
        canvas = letterbox(read_picture(path), self.side)
        self._keep(kept, canvas)
        return canvas

    def _key(self, path: Path) -> str:
        facts = path.stat()
        words = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns} {self.side}"
        return hashlib.sha256(words.encode()).hexdigest()[:24]

    def _keep(self, kept: Path, canvas: Canvas) -> None:
        """Whole or not at all: several may judge at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}.part")
        with fresh.open("wb") as file:
            np.savez(file, pixels=canvas.pixels, scale=canvas.scale)
        fresh.replace(kept)
