"""The photographs that looks are judged on: read where they lie, turned and cut in memory, never copied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from loadtest.looks_judge import Boxes, as_boxes, turned, turned_size
from models.training.judge.sets import is_release

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
#: A face that is cut out must be this large, and gets so many times its side around it.
CROP_SIDE_MIN, CROP_AROUND = 64, 3.0
GREY = (114, 114, 114)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Photograph:
    """faces: to be found. loose: what else may be found without being false."""

    name: str
    file: bytes
    faces: Boxes
    loose: Boxes

    @property
    def kind(self) -> str:
        """What its set calls it: the first word of its name."""
        return self.name.split("_")[0]


def files_of(folder: Path, every: int, *, release: bool = True) -> list[Path]:
    """One of `every`, by a hash of its name, so that the choice has nothing to do with what a picture shows.

    release: also what is looked at before a release only (models/training/judge/sets.py).
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    chosen = [path for path in paths if hashlib.sha256(path.name.encode()).digest()[0] % every == 0]
    return [path for path in chosen if release or not is_release(path.name)]


def labelled_in(folder: Path, every: int, *, release: bool = True) -> list[Photograph]:
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    photos = folder / "photos" if (folder / "photos").is_dir() else folder
    return [
        Photograph(path.name, path.read_bytes(), as_boxes(one["faces"]), as_boxes(one.get("loose", [])))
        for path in files_of(photos, every, release=release)
        if (one := labels.get(path.name))
    ]


def cut_out(photograph: Photograph) -> Photograph | None:
    """Its largest face with room around it; None where it has no large one."""
    pixels = decoded(photograph.file)
    height, width = pixels.shape[:2]
    sizes = np.sqrt(np.prod(photograph.faces[:, 2:] - photograph.faces[:, :2], axis=1))
    if not len(sizes) or sizes.max() < CROP_SIDE_MIN:
        return None
    face = photograph.faces[sizes.argmax()]
    half, centre = CROP_AROUND * sizes.max() / 2, (face[:2] + face[2:]) / 2
    left, top = np.clip(centre - half, 0, [width, height]).astype(int)
    right, bottom = np.clip(centre + half, 0, [width, height]).astype(int)
    cut = np.ascontiguousarray(pixels[top:bottom, left:right])
    moved = [boxes - np.array([left, top, left, top]) for boxes in (photograph.faces, photograph.loose)]
    return Photograph(
        photograph.name, encoded(cut), face[None] - np.array([left, top, left, top]), np.concatenate(moved)
    )


def turned_file(photograph: Photograph, degrees: float) -> tuple[bytes, Boxes, Boxes]:
    """The file of it turned counter-clockwise, grey in the corners, and where its faces and loose ones lie there."""
    pixels = decoded(photograph.file)
    height, width = pixels.shape[:2]
    known = [turned(boxes, width, height, degrees) for boxes in (photograph.faces, photograph.loose)]
    return encoded(_turned(pixels, degrees)), known[0], known[1]


def _turned(pixels: Pixels, degrees: float) -> Pixels:
    """Quarter turns move pixels and change none."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(pixels, int(degrees // 90)))
    height, width = pixels.shape[:2]
    size = turned_size(width, height, degrees)
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), np.float64)
    matrix[:, 2] += (np.array(size) - np.array([width, height])) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderValue=GREY), np.uint8)


def decoded(file: bytes) -> Pixels:
    """Upright BGR."""
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SystemExit("a file is no picture that OpenCV reads")
    return cast("Pixels", pixels)


def encoded(pixels: Pixels) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
