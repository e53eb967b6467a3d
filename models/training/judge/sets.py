"""Which photographs detectors are judged on, what is true of each, and which half of a set it is in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.judge.canvases import Canvases
from models.training.judge.detect import OnnxDetector
from models.training.judge.measure import Floats
from models.training.material.photographs import COCO, GATHERED, SCENES, held_out, names_in

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
#: `../shared/photos` by the first word of the name. They were tuned to, all of them.
TUNED = {"crowd": "crowds and groups", "group": "crowds and groups", "portrait": "portraits"}
WITHOUT_PEOPLE = "without people"
#: `../shared/training/real` by its folders: what training left out. What a score means was chosen by them, too.
LEFT_OUT = {COCO: "everyday scenes", SCENES: "gatherings", GATHERED: "further scenes"}
#: Where another detector is the truth: its score that makes a face, and the one that excuses a finding.
STRICT, LOOSE = 0.5, 0.3
MASKED, BARE, UNKNOWN = 1, 0, -1


@dataclass(frozen=True)
class Photograph:
    """faces: (N, 4) to be found; loose: (M, 4), what else may be found; pixels of the photograph.

    masked: (N,) MASKED, BARE or UNKNOWN. points: (N, 5, 2) where they are known. release: whether it is in the half
    that is looked at before a release only.
    """

    path: Path
    kind: str
    faces: Floats
    loose: Floats
    masked: NDArray[np.int8]
    points: Floats | None = None
    release: bool = False


def is_release(name: str) -> bool:
    """Which half a photograph is in, by nothing but its file's name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[0], 16) % 2 == 1


def boxes(rows: object) -> Floats:
    """Any nested list of four numbers each, or none."""
    return np.asarray(rows, np.float32).reshape(-1, 4)


def pictures_in(folder: Path) -> list[Path]:
    """By name; none where the folder is not there."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)


def everyday(folder: Path) -> list[Photograph]:
    """A folder with labels.json: {name: {faces, loose, kinds}}, pictures beside it or in photos/.

    The set is the first word of the name.
    """
    held = folder / "labels.json"
    labels = json.loads(held.read_text(encoding="utf-8")) if held.is_file() else {}
    pictures = folder / "photos" if (folder / "photos").is_dir() else folder
    return [
        Photograph(
            pictures / name,
            name.split("_")[0],
            boxes(one["faces"]),
            boxes(one.get("loose", [])),
            _masked(one.get("kinds") or [], len(one["faces"])),
            release=is_release(name),
        )
        for name, one in sorted(labels.items())
    ]


def _masked(kinds: list[str], faces: int) -> NDArray[np.int8]:
    known = [BARE if kind == "without_mask" else MASKED for kind in kinds]
    return np.array(known or [UNKNOWN] * faces, np.int8)


def tuned(folder: Path) -> dict[Path, str]:
    """The photographs that choices were made by, and the set of each."""
    kinds = {path: TUNED.get(path.name.split("_")[0]) for path in pictures_in(folder)}
    return {path: kind for path, kind in kinds.items() if kind}


def left_out(folder: Path) -> dict[Path, str]:
    """The real photographs that training never saw, and the set of each; none where the folder is not there."""
    names = sorted(held_out(names_in(folder))) if folder.is_dir() else []
    return {folder / name: LEFT_OUT[name.split("/")[0]] for name in names}


def by_detector(kinds: dict[Path, str], truth: OnnxDetector, canvases: Canvases) -> list[Photograph]:
    """Photographs of which nobody marked the faces: what is true is another detector's."""
    photographs = []
    for path, kind in kinds.items():
        loose = truth.look(canvases.of(path), LOOSE)
        strict = loose.at(STRICT)
        masked = np.full(len(strict.boxes), UNKNOWN, np.int8)
        photographs.append(Photograph(path, kind, strict.boxes, loose.boxes, masked, strict.points))
    return photographs


def without_people(paths: Iterable[Path]) -> list[Photograph]:
    """Where everything found is false."""
    none, unknown = boxes([]), np.zeros(0, np.int8)
    return [Photograph(path, WITHOUT_PEOPLE, none, none, unknown, release=is_release(path.name)) for path in paths]
