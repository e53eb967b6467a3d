"""python -m models.training.judge.groups: recall by group of the held-out portraits.

Alone knows what is known of a portrait: gender from the file's name (drawn
portraits only) and how bright the cheek is. Ages are not recorded anywhere.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.training.judge.detect import SIDE, OnnxDetector, Picture
from models.training.judge.measure import ENOUGH, iou_table
from models.training.judge.served import closer_of
from models.training.material.folder import DEFAULT_FOLDER, Floats, Portrait, read_material
from models.training.scenes.clutter import skin_patch

SIZES = (12, 16, 24, 48, 120, 240)  # pixels of the face, root of the area
LEANS = (-30.0, 0.0, 30.0)  # degrees in the picture's plane


def placed(portrait: Portrait, size: float, lean: float) -> tuple[Picture, Floats]:
    """(640, 640, 3) canvas with the portrait so large and so tilted, and the box of its face."""
    box = portrait.box
    own = math.sqrt(float((box[2] - box[0]) * (box[3] - box[1])))
    scale = size / own
    source = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    picture = portrait.picture
    while scale < 0.5:  # halve with averaging first, as a photograph's own resolution would
        picture = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        source, scale = (source[0] / 2, source[1] / 2), scale * 2
    matrix = np.asarray(cv2.getRotationMatrix2D(source, lean, scale), np.float64)
    matrix[:, 2] += SIDE / 2 - np.array(source)
    canvas = cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderValue=(90, 90, 90))
    half = np.array([box[2] - box[0], box[3] - box[1]]) / 2 / own * size
    reach = np.hypot(math.cos(math.radians(lean)) * half, math.sin(math.radians(lean)) * half[::-1])
    return np.asarray(canvas, np.uint8), np.concatenate([SIDE / 2 - reach, SIDE / 2 + reach])


def groups_of(portrait: Portrait, middle: float) -> list[str]:
    """The groups one portrait counts in; `middle` parts darker from lighter cheeks."""
    known = {"ai_female": "female (drawn)", "ai_male": "male (drawn)"}
    kind = next((group for start, group in known.items() if portrait.name.startswith(start)), "stock")
    return ["all", kind, "darker cheeks" if cheek(portrait) < middle else "lighter cheeks"]


def cheek(portrait: Portrait) -> float:
    """Median brightness 0..255 between eyes and mouth."""
    return float(np.median(cv2.cvtColor(skin_patch(portrait, 32), cv2.COLOR_BGR2GRAY)))


def found(detector: OnnxDetector, portrait: Portrait, size: float, lean: float, score: float) -> bool:
    """Whether the face is found."""
    canvas, box = placed(portrait, size, lean)
    boxes = detector.detect(canvas, score).boxes
    return bool(len(boxes)) and bool(iou_table(boxes, box[None]).max() >= ENOUGH)


def survey(detector: OnnxDetector, portraits: list[Portrait], score: float) -> dict[str, Any]:
    """Group -> {size: recall}, and how many portraits it holds."""
    middle = float(np.median([cheek(p) for p in portraits]))
    hits: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for portrait in portraits:
        for size in SIZES:
            for lean in LEANS:
                hit = found(detector, portrait, size, lean, score)
                for group in groups_of(portrait, middle):
                    hits[group][size].append(hit)
    return {
        group: {
            "portraits": len(sizes[SIZES[0]]) // len(LEANS),
            **{str(size): round(float(np.mean(all_hits)), 3) for size, all_hits in sizes.items()},
        }
        for group, sizes in hits.items()
    }


def main() -> None:
    """Prints the survey of the model named on the command line, with its closer network where it has one."""
    parser = argparse.ArgumentParser(prog="python -m models.training.judge.groups", description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/open/scrfd_500m_open.onnx"))
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--confidence", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    _, held_out = read_material(options.material)
    detector = OnnxDetector(options.model)
    if closer := closer_of(options.model):
        detector.closer = OnnxDetector(closer)
    report = survey(detector, held_out.portraits, options.confidence)
    print(f"{'':18}{'portraits':>10}" + "".join(f"{size:>7}px" for size in SIZES))
    for group, row in report.items():
        print(f"{group:18}{row['portraits']:>10}" + "".join(f"{row[str(s)]:>9.2f}" for s in SIZES))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
