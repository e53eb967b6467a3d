"""The bench's pictures: JPEG files of a size with few or many faces, made at run time, never committed.

Composed from photographs where a folder of them is given, else from the drawn faces of the canary picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.canary import canary_picture

Pixels = NDArray[np.uint8]

#: Different files of one kind, so that no cache sees the same one twice in a row.
VARIANTS = 6
#: What cameras and phones commonly write.
JPEG_QUALITY = 90
#: Columns and rows of portraits.
FACES = {"few": (3, 1), "many": (16, 9)}
SIZES = {"360p": (640, 360), "1080p": (1920, 1080), "12mp": (4000, 3000)}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture: a size and how crowded it is."""

    size: str
    faces: str

    @property
    def name(self) -> str:
        return f"{self.size}-{self.faces}"


def core_kinds() -> list[Kind]:
    """What `make bench` runs on."""
    return [Kind(size, faces) for size in ("360p", "1080p") for faces in ("few", "many")]


def make(kind: Kind, folder: Path, photos: Path | None) -> list[Path]:
    """Writes the files of one kind into `folder` and returns them in order."""
    folder.mkdir(parents=True, exist_ok=True)
    sitters = list(_sitters(photos))
    width, height = SIZES[kind.size]
    paths = []
    for variant in range(VARIANTS):
        picture = _sheet(sitters[variant:] + sitters[:variant], *FACES[kind.faces], width, height)
        path = folder / f"{variant}.jpg"
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"cannot write {path}")
        paths.append(path)
    return paths


def _sheet(sitters: Sequence[Pixels], columns: int, rows: int, width: int, height: int) -> Pixels:
    """(height, width, 3) uint8 BGR: a contact sheet of sitters, each cropped to its cell from the middle."""
    sheet = np.zeros((height, width, 3), dtype=np.uint8)
    xs, ys = np.linspace(0, width, columns + 1).astype(int), np.linspace(0, height, rows + 1).astype(int)
    for cell in range(columns * rows):
        row, column = divmod(cell, columns)
        place = np.s_[ys[row] : ys[row + 1], xs[column] : xs[column + 1]]
        sheet[place] = _cover(sitters[cell % len(sitters)], *sheet[place].shape[:2])
    return sheet


def _cover(sitter: Pixels, height: int, width: int) -> Pixels:
    """The sitter, scaled to cover a cell; what stands out is cut off evenly."""
    scale = max(height / sitter.shape[0], width / sitter.shape[1])
    size = (max(width, round(sitter.shape[1] * scale)), max(height, round(sitter.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(sitter, size, interpolation=way)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return cast("Pixels", scaled[top : top + height, left : left + width])


def _sitters(photos: Path | None) -> Iterator[Pixels]:
    paths = sorted(photos.glob("portrait_*.jpg")) if photos is not None else []
    if not paths:
        yield from _drawn()
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise OSError(f"cannot read {path}")
        yield cast("Pixels", picture)


def _drawn() -> Iterator[Pixels]:
    """Faces cut from the canary picture, with the grain of a sensor so that they are as dear to decode."""
    canary = canary_picture()
    grain = np.random.default_rng(7)
    for x, y, size in ((115, 215, 86), (300, 130, 50), (300, 350, 58), (470, 120, 36)):
        half = int(1.9 * size)
        cut = canary[max(0, y - half) : y + half, max(0, x - half) : x + half]
        large = cv2.resize(cut, (800, 800), interpolation=cv2.INTER_CUBIC)
        yield np.clip(large + grain.normal(0, 4, large.shape), 0, 255).astype(np.uint8)
