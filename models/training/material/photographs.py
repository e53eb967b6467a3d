"""Reads the real photographs: alone knows the form of their labels and which are held out.

Unlike portraits they hold any number of people, and not all of them are known: what is doubtful says so.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.training.material.folder import Floats, Picture, read_picture, shrunk, split_names

LONGEST = 1600  # pixels: larger photographs are read smaller
HOLD_OUT_EVERY = 10
COCO, SCENES, GATHERED = "coco", "scenes", "gathered"  # the folders of a material's real photographs
UNPROVEN = "unproven"  # in place of a licence: left out, and listed still, so that nobody else is held out or no longer
LIST = Path(__file__).with_name("gathered.tsv")  # file, licence, source, credit, others, sha256 of what was gathered


@dataclass(frozen=True)
class Photograph:
    """A photograph with what is known of the faces in it, all in its pixels.

    picture: (H, W, 3) uint8 BGR; boxes (N, 4) float32 and points (N, 5, 2) float32 of faces, points NaN where unknown;
    sure: (N,) float32 0..1, how sure of each the teacher is; doubtful: (M, 4) float32 heads that may show a face;
    regions: (K, 4) float32 places where anything may be; denied: (L, 4) float32 what the teacher takes for a face
    and is none.
    """

    name: str
    picture: Picture
    boxes: Floats
    points: Floats
    sure: Floats
    doubtful: Floats
    regions: Floats
    denied: Floats


def as_floats(values: Any, *shape: int) -> Floats:
    """JSON lists as float32 of (-1, *shape); null is NaN."""
    return np.array(values, np.float32).reshape(-1, *shape)


def read_photograph(folder: Path, name: str, label: dict[str, Any]) -> Photograph:
    """The photograph of this name below `folder`."""
    picture, scale = shrunk(read_picture(folder / name), LONGEST)
    return Photograph(
        name,
        picture,
        as_floats([face["box"] for face in label["faces"]], 4) * scale,
        as_floats([face["points"] for face in label["faces"]], 5, 2) * scale,
        as_floats([face["sure"] for face in label["faces"]]),
        as_floats(label["doubtful"], 4) * scale,
        as_floats(label["regions"], 4) * scale,
        as_floats(label["denied"], 4) * scale,
    )


def read_labels(path: Path) -> dict[str, Any]:
    """Name below the folder -> faces, doubtful, regions, denied, together."""
    held: dict[str, Any] = json.loads(path.read_text())
    return held


def gathered_rows(listed: Path = LIST) -> list[dict[str, str]]:
    """What is known of each gathered photograph, by the list's column."""
    with listed.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def missing_in(folder: Path) -> list[str]:
    """Which of the files that say what is in a folder of real photographs are not there."""
    return [name for name in (f"{COCO}/labels.json", "scenes.json") if not (folder / name).is_file()]


def names_in(folder: Path) -> dict[str, bool]:
    """Names below the folder -> whether others may show the same people.

    coco/ with keypoints, scenes/ without, and of gathered/, boxed by eye, what could be had.
    """
    marked = json.loads((folder / COCO / "labels.json").read_text())
    scenes = json.loads((folder / "scenes.json").read_text())
    names = dict.fromkeys((f"{COCO}/photos/{name}" for name in sorted(marked)), False)
    names |= {f"{SCENES}/{name}": bool(scenes[name].get("near_duplicate_risk")) for name in sorted(scenes)}
    licensed = [row for row in gathered_rows() if row["licence"] != UNPROVEN]
    there = [row for row in licensed if (folder / GATHERED / row["file"]).is_file()]
    return names | {f"{GATHERED}/{row['file']}": row["others"] == "yes" for row in there}


def held_out(together: dict[str, bool]) -> set[str]:
    """Names of the tenth that is never trained on; photographs that may show the same people stay outside, together.

    Who of the gathered is held out goes by their list: whatever of it could not be had, the others stay where they are.
    """
    first = [name for name, others in together.items() if not others and not name.startswith(f"{GATHERED}/")]
    listed = [f"{GATHERED}/{row['file']}" for row in gathered_rows() if row["others"] == "no"]
    tenths = (split_names(names, len(names) // HOLD_OUT_EVERY)[1] for names in (first, listed))
    return set().union(*tenths) & set(together)


def read_photographs(folder: Path, labels: Path) -> tuple[list[Photograph], list[Photograph]]:
    """(training, validation), by name."""
    known = read_labels(labels)
    held = held_out({name: label["together"] for name, label in known.items()})
    photographs = [read_photograph(folder, name, known[name]) for name in sorted(known)]
    return [p for p in photographs if p.name not in held], [p for p in photographs if p.name in held]
