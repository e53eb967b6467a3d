"""python -m models.training.judge.evaluate: compares two ONNX detectors on photographs.

Alone knows which photographs count as crowds and portraits, the face-free
pictures, and the drawing of what was found, missed and false. Needs no torch.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import cv2

from models.training.judge.detect import Found, OnnxDetector, Picture
from models.training.judge.measure import Tally, Verdict, judge
from models.training.material.folder import (
    BACKGROUNDS_HELD_OUT,
    DEFAULT_FOLDER,
    read_picture,
    split_names,
)
from models.training.scenes import clutter

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
GROUPS = {"crowds and groups": ("crowd_", "group_"), "portraits": ("portrait_",), "others": ("",)}
GREEN, RED, ORANGE = (60, 200, 60), (40, 40, 230), (0, 165, 255)


def group_of(name: str) -> str:
    """Which group a photograph counts in."""
    return next(group for group, starts in GROUPS.items() if name.startswith(starts))


def draw(picture: Picture, findings: Found, strict: Found, verdict: Verdict, path: Path) -> None:
    """Writes the photograph with found (green), missed (red) and false (orange) faces."""
    shown = picture.copy()
    thick = max(1, round(max(picture.shape[:2]) / 900))
    false = set(verdict.false)
    marks = [(findings.boxes[i], ORANGE if i in false else GREEN) for i in range(len(findings.boxes))]
    marks += [(strict.boxes[i], RED) for i in verdict.missed]
    for box, ink in marks:
        x1, y1, x2, y2 = (int(v) for v in box)
        cv2.rectangle(shown, (x1, y1), (x2, y2), ink, thick)
    for index, face in enumerate(findings.points):
        for x, y in face:
            cv2.circle(shown, (int(x), int(y)), thick, (255, 255, 0), -1)
        x1, y1 = (int(v) for v in findings.boxes[index, :2])
        label = f"{findings.scores[index]:.2f}"
        cv2.putText(shown, label, (x1, y1 - 2), cv2.FONT_HERSHEY_PLAIN, 0.8 * thick, GREEN, thick)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), shown)


def compare(
    subject: OnnxDetector, truth: OnnxDetector, photos: list[Path], options: argparse.Namespace
) -> dict[str, Any]:
    """Figures by group and by photograph."""
    tallies: dict[str, Tally] = {group: Tally() for group in GROUPS}
    each: dict[str, Any] = {}
    for path in photos:
        picture = read_picture(path)
        loose = truth.detect(picture, options.excuse)
        strict = truth.detect(picture, options.confidence)
        findings = subject.detect(picture, options.confidence)
        verdict = judge(findings, strict, loose)
        tallies[group_of(path.name)].add(verdict)
        single = Tally()
        single.add(verdict)
        each[path.name] = single.figures()
        if options.draw:
            draw(picture, findings, strict, verdict, options.draw / f"{path.stem}.jpg")
    groups = {group: tally.figures() for group, tally in tallies.items() if tally.truth}
    return {"groups": groups, "photographs": each}


def procedures() -> list[Picture]:
    """Sixty drawn pages without a face: gradients, noise, stripes, checks, text, facades."""
    rng = random.Random(77)
    kinds = clutter.PROCEDURES
    return [clutter.procedure(rng, 512, kinds[i % len(kinds)]) for i in range(60)]


def held_out_backgrounds(material: Path) -> list[Picture]:
    """The backgrounds no training run saw; none where the material is not at hand."""
    folder = material / "backgrounds"
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir()]
    _, held = split_names(names, min(BACKGROUNDS_HELD_OUT, len(names) // 2))
    return [read_picture(folder / name) for name in held]


def alarms(subject: OnnxDetector, pictures: list[Picture], confidence: float) -> dict[str, int]:
    """How many face-free pictures there were and how many faces were found in them."""
    found = sum(len(subject.detect(p, confidence).scores) for p in pictures)
    return {"pictures": len(pictures), "faces": found}


def table(report: dict[str, Any]) -> str:
    """The report for a reader."""
    lines = [f"{report['subject']} against {report['truth']} at {report['confidence']}"]
    head = f"{'':24}{'truth':>6}{'found':>6}{'recall':>8}{'false':>6}{'precision':>10}{'(>=16px)':>9}{'landmarks':>10}"
    lines.append(head)
    for name, f in {**report["groups"], **report["photographs"]}.items():
        lines.append(
            f"{name:24}{f['truth']:6}{f['found']:6}{f['recall']:8.3f}{f['false']:6}"
            f"{f['precision']:10.3f}{f['precision_16px']:9.3f}{f['landmark_error_median']:10.3f}"
        )
    for name, f in report["face_free"].items():
        lines.append(f"{name:24}{f['pictures']:6} pictures, {f['faces']} faces found")
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.judge.evaluate", description=__doc__)
    parser.add_argument("subject", type=Path, nargs="?", default=Path("models/open/scrfd_500m_open.onnx"))
    parser.add_argument("truth", type=Path, nargs="?", default=Path("../shared/models/scrfd_2.5g_bnkps.onnx"))
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--confidence", type=float, default=0.5)
    parser.add_argument("--excuse", type=float, default=0.3, help="truth faces that are no alarm")
    parser.add_argument("--draw", type=Path, help="folder for the photographs with faces drawn")
    parser.add_argument("--json", type=Path, help="file for the report")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Compares and prints."""
    options = parse(arguments)
    subject, truth = OnnxDetector(options.subject), OnnxDetector(options.truth)
    photos = sorted(p for p in options.photos.iterdir() if p.suffix.lower() in SUFFIXES)
    report: dict[str, Any] = {
        "subject": subject.name,
        "truth": truth.name,
        "confidence": options.confidence,
        **compare(subject, truth, photos, options),
        "face_free": {
            "held-out backgrounds": alarms(subject, held_out_backgrounds(options.material), options.confidence),
            "noise, text, gradients": alarms(subject, procedures(), options.confidence),
        },
    }
    print(table(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
