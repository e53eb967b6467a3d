"""python -m models.training.labelling.write: what is known of the faces in the real photographs, for training.

Alone knows when a face is sure, doubtful or left to chance: people's keypoints where there are any, what the detector
agrees upon with itself (looks.py), and what was corrected (corrections.json) or boxed (gathered.json) by eye.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.training.judge.detect import OnnxDetector
from models.training.judge.measure import iou_table
from models.training.labelling.keypoints import Head, head_of
from models.training.labelling.looks import Sighting, sightings_of
from models.training.material.folder import Floats, read_picture
from models.training.material.photographs import COCO, as_floats, names_in

CORRECTIONS = Path(__file__).with_name("corrections.json")
BOXED = Path(__file__).with_name("gathered.json")  # name -> faces, and hidden: boxes of which nothing is known
SURE = 0.6, 2  # score and looks of a face that nobody marked
LIKELY = 0.3, 2  # of what may be a face although people marked everyone
SAME = 0.3  # IoU at which a sighting and a head are one
AGREE = 0.5  # IoU from which on a box is the mean of both
MISFIT = 1.6  # centimetres: worse heads are doubtful unless the detector sees them, too
NOSE, EARS, SHOULDERS, HIPS = 0, (3, 4), (5, 6), (11, 12)  # COCO's keypoints
UNKNOWN = [[None, None]] * 5
SAVED_EVERY = 200  # photographs; all of them take half an hour

Label = dict[str, Any]


def sure(one: Sighting) -> bool:
    """Whether the detector agrees with itself upon a face."""
    return one.score >= SURE[0] and one.seen >= SURE[1]


def face(box: Floats, points: Floats | None = None) -> Label:
    """As it is written."""
    marks = UNKNOWN if points is None else [[round(float(v), 1) for v in xy] for xy in points]
    return {"box": [round(float(v), 1) for v in box], "points": marks}


def visible(keypoints: Floats, places: tuple[int, ...]) -> bool:
    """Whether all of them are marked, covered or not."""
    return bool((keypoints[list(places), 2] > 0).all())


def lean_of(keypoints: Floats) -> float:
    """Degrees by which a body leans in the picture; 0 where it does not tell."""
    if visible(keypoints, SHOULDERS + HIPS):
        up = keypoints[list(SHOULDERS), :2].mean(axis=0) - keypoints[list(HIPS), :2].mean(axis=0)
        return float(np.degrees(np.arctan2(up[0], -up[1])))
    return 0.0


def head_box(person: dict[str, Any], keypoints: Floats) -> Floats | None:
    """Roughly where a head is of which little is marked: about its marks, or above the shoulders."""
    marks = keypoints[:5][keypoints[:5, 2] > 0, :2]
    shoulders = keypoints[list(SHOULDERS), :2]
    wide = float(np.hypot(*(shoulders[0] - shoulders[1]))) if visible(keypoints, SHOULDERS) else 0.0
    side = max(
        0.7 * wide, 0.12 * max(person["bbox"][2:]), 2.2 * float(np.ptp(marks, axis=0).max()) if len(marks) else 0
    )
    if len(marks):
        middle = marks.mean(axis=0)
    elif visible(keypoints, SHOULDERS):
        middle = shoulders.mean(axis=0) - [0, 0.7 * side]
    else:
        return None
    return np.array([*(middle - side / 2), *(middle + side / 2)], np.float32)


def matching(box: Floats, sightings: list[Sighting]) -> int | None:
    """Which sighting is the same face."""
    if not sightings:
        return None
    overlaps = iou_table(box[None], np.array([one.box for one in sightings]))[0]
    place = int(overlaps.argmax())
    return place if overlaps[place] >= SAME else None


def with_eyes(points: Floats | None, keypoints: Floats) -> Floats:
    """Five landmarks: nose and eyes as a person marked them, the mouth as the detector sees it, NaN else."""
    marks = np.full((5, 2), np.nan, np.float32) if points is None else points.copy()
    for place, keypoint in ((0, 2), (1, 1), (2, NOSE)):  # the person's right eye is the left one in the picture
        marks[place] = keypoints[keypoint, :2] if keypoints[keypoint, 2] == 2 else np.nan
    return marks


def is_face(head: Head, keypoints: Floats, sighting: Sighting | None) -> bool:
    """Whether what shows is a face to be taught: seen from the side at most, or seen by the detector, too."""
    if sighting is not None and sighting.score >= LIKELY[0]:
        return True
    return bool(keypoints[NOSE, 2] == 2) and head.misfit <= MISFIT


def people_label(people: list[dict[str, Any]], crowds: list[list[float]], sightings: list[Sighting]) -> Label:
    """The label of a photograph whose people are marked."""
    faces, doubtful, used = [], [], set()
    for person in people:
        keypoints = np.array(person["keypoints"], np.float32)
        head = head_of(keypoints, lean_of(keypoints))
        if head is None:
            box = head_box(person, keypoints)
            if box is not None and (keypoints[:5, 2] > 0).any():
                doubtful.append(box)
            continue
        place = matching(head.box, sightings)
        own = sightings[place] if place is not None else None
        if place is not None:
            used.add(place)
        if not is_face(head, keypoints, own):
            doubtful.append(head.box)
            continue
        box, points = head.box, None
        if own is not None:
            points = own.points
            if iou_table(box[None], own.box[None])[0, 0] >= AGREE or own.score >= SURE[0]:
                weight = 0.5 if own.score < SURE[0] else 0.75
                box = np.asarray(weight * own.box + (1 - weight) * box, np.float32)
        faces.append(face(box, with_eyes(points, keypoints)))
    regions = as_floats([[x, y, x + w, y + h] for x, y, w, h in crowds], 4)
    for place, one in enumerate(sightings):
        if place in used:
            continue
        if lies_in(one.box, regions) and sure(one):
            faces.append(face(one.box, one.points))
        elif one.score >= LIKELY[0] and one.seen >= LIKELY[1]:
            doubtful.append(one.box)
    return {"faces": faces, "doubtful": rounded(doubtful), "regions": rounded(list(regions))}


def seen_label(sightings: list[Sighting]) -> Label:
    """The label of a photograph in which nobody marked anyone."""
    faces = [face(one.box, one.points) for one in sightings if sure(one)]
    return {"faces": faces, "doubtful": rounded([one.box for one in sightings if not sure(one)]), "regions": []}


def boxed_label(known: dict[str, list[list[float]]], sightings: list[Sighting]) -> Label:
    """The label of a photograph that was looked through by eye: what nobody boxed is no face.

    The detector only adds where eyes, nose and mouth are, in faces of which it is sure.
    """
    clear, faces = [one for one in sightings if sure(one)], []
    for box in as_floats(known["faces"], 4):
        place = matching(box, clear)
        faces.append(face(box, None if place is None else clear[place].points))
    return {"faces": faces, "doubtful": [], "regions": known["hidden"]}


def denied(label: Label, sightings: list[Sighting]) -> list[list[float]]:
    """Boxes of finds that the eye took for no face in a photograph that was looked through."""
    faces = as_floats([one["box"] for one in label["faces"]], 4)
    found = [one.box for one in sightings if one.score >= LIKELY[0] and not iou_table(one.box[None], faces).any()]
    return rounded([box for box in found if not lies_in(box, as_floats(label["regions"], 4))])


def lies_in(box: Floats, regions: Floats) -> bool:
    """Whether the middle of a box (4,) lies in one of the regions (N, 4)."""
    middle = (box[:2] + box[2:]) / 2
    return bool(((middle >= regions[:, :2]) & (middle <= regions[:, 2:])).all(axis=1).any())


def sureness(box: list[float], sightings: list[Sighting]) -> float:
    """Score 0..1 of the look that sees a face best; 0 where none does."""
    place = matching(np.array(box, np.float32), sightings)
    return 0.0 if place is None else round(sightings[place].score, 3)


def rounded(boxes: list[Floats]) -> list[list[float]]:
    """As they are written."""
    return [[round(float(v), 1) for v in box] for box in boxes]


def corrected(label: Label, wrong: Label) -> Label:
    """What was seen by eye comes last.

    drop: points [x, y] in faces that are none, and background; doubt: points in faces that become doubtful; hide: boxes
    of which nothing is known; add: boxes of faces nobody else saw.
    """
    kept = label["faces"]
    for x, y in wrong.get("doubt", []):
        label["doubtful"] += [one["box"] for one in kept if holds(one["box"], x, y)]
    for x, y in wrong.get("drop", []):
        label["doubtful"] = [box for box in label["doubtful"] if not holds(box, x, y)]
    gone = [*wrong.get("drop", []), *wrong.get("doubt", [])]
    kept = [one for one in kept if not any(holds(one["box"], x, y) for x, y in gone)]
    added = [face(np.array(box, np.float32)) for box in wrong.get("add", [])]
    return {**label, "faces": kept + added, "regions": label["regions"] + wrong.get("hide", [])}


def holds(box: list[float], x: float, y: float) -> bool:
    """Whether a place lies in a box."""
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def cached_sightings(detector: OnnxDetector, folder: Path, names: list[str], cache: Path) -> dict[str, list[Sighting]]:
    """The sightings of every photograph, kept in a file: nobody has to look twice, and what is broken off goes on."""
    held: dict[str, Any] = json.loads(cache.read_text()) if cache.exists() else {}
    cache.parent.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in names if name not in held]
    for place, name in enumerate(wanted, start=1):
        seen = sightings_of(detector, read_picture(folder / name))
        held[name] = [
            {"box": s.box.tolist(), "points": s.points.tolist(), "score": s.score, "seen": s.seen} for s in seen
        ]
        if place % SAVED_EVERY == 0 or place == len(wanted):
            part = cache.with_suffix(".part")
            part.write_text(json.dumps(held))
            part.replace(cache)
            print(f"{place} of {len(wanted)} photographs looked at", flush=True)
    return {
        name: [
            Sighting(np.array(s["box"], np.float32), np.array(s["points"], np.float32), s["score"], s["seen"])
            for s in held[name]
        ]
        for name in names
    }


def labels_of(folder: Path, detector: OnnxDetector, cache: Path) -> dict[str, Label]:
    """Name -> label of every photograph below the folder."""
    marked = json.loads((folder / COCO / "labels.json").read_text())
    names = names_in(folder)
    sightings = cached_sightings(detector, folder, list(names), cache)
    corrections, by_eye = json.loads(CORRECTIONS.read_text()), json.loads(BOXED.read_text())
    labels = {}
    for name, together in names.items():
        if known := marked.get(name.removeprefix(f"{COCO}/photos/")):
            label = people_label(known["people"], known["crowd_regions"], sightings[name])
        elif boxed := by_eye.get(name):
            label = boxed_label(boxed, sightings[name])
        else:
            label = seen_label(sightings[name])
        label = corrected(label, corrections.get(name, {}))
        for one in label["faces"]:
            one["sure"] = sureness(one["box"], sightings[name])
        none = denied(label, sightings[name]) if name in by_eye else []
        labels[name] = {**label, "denied": none, "together": together}
    return labels


def main() -> None:
    """Writes the labels; prints how many of each kind."""
    parser = argparse.ArgumentParser(prog="python -m models.training.labelling.write", description=__doc__)
    parser.add_argument("--photographs", type=Path, default=Path("../shared/training/real"))
    parser.add_argument("--teacher", type=Path, default=Path("models/open/scrfd_500m_open.onnx"))
    parser.add_argument(
        "--sightings", type=Path, default=Path("build/training/sightings.json"), help="kept between runs"
    )
    parser.add_argument("--out", type=Path, default=Path("build/training/faces.json"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    labels = labels_of(options.photographs, OnnxDetector(options.teacher), options.sightings)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(labels, indent=1) + "\n")
    for kind in ("faces", "doubtful", "regions", "denied"):
        print(f"{sum(len(label[kind]) for label in labels.values())} {kind}")


if __name__ == "__main__":
    main()
