"""python -m models.training.judge.evaluate: how many faces detectors find, as they are served, on photographs.

Any number of ONNX files, each in fp32 and int8 as a service here would run them: `a.onnx`, `a.onnx:int8` for one form
only, `a.onnx:int8:800` at another side. A model with a closer network is judged with it, too, as detect serves it. The
release half of the photographs is looked at with --release alone.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import msgspec

from models.training.judge import alarms, sets
from models.training.judge.canvases import Canvases
from models.training.judge.counting import Judged, figures
from models.training.judge.detect import SIDE, Found, OnnxDetector
from models.training.judge.measure import Verdict, judge, landmark_errors
from models.training.judge.report import Report, table
from models.training.judge.served import FOR_RANGES, FORMS, Workshop, closer_of
from models.training.judge.sets import Photograph
from models.training.material.folder import read_picture
from models.training.material.photographs import missing_in

GREEN, RED, ORANGE = (60, 200, 60), (40, 40, 230), (0, 165, 255)


def tell(words: str) -> None:
    """Beside the report."""
    print(words, file=sys.stderr, flush=True)


def judged(one: Photograph, found: Found, side: int = SIDE) -> Judged:
    """One photograph against what was found on it at a side; sizes are told in the frame of SIDE all the same."""
    verdict = judge(found.boxes, one.faces, one.loose, found.scale * SIDE / side)
    errors = [] if one.points is None else landmark_errors(verdict, found.points, one.points, one.faces)
    return Judged(verdict, one.masked, errors)


def looked_at(
    detector: OnnxDetector, photographs: list[Photograph], options: argparse.Namespace
) -> dict[str, list[Judged]]:
    """Set -> its photographs, judged."""
    canvases = Canvases(options.kept / "canvases", detector.side)
    held: dict[str, list[Judged]] = defaultdict(list)
    for one in photographs:
        found = detector.look(canvases.of(one.path), options.confidence)
        held[one.kind].append(judged(one, found, detector.side))
        if options.draw:
            drawn(one, found, held[one.kind][-1].verdict, options.draw / detector.name)
    return held


def drawn(one: Photograph, found: Found, verdict: Verdict, folder: Path) -> None:
    """Writes the photograph with found (green), missed (red) and false (orange) boxes, unless all are found."""
    if verdict.found.all() and not verdict.false.any():
        return
    shown = read_picture(one.path).copy()
    thick = max(1, round(max(shown.shape[:2]) / 900))
    inks = [ORANGE if false else GREEN for false in verdict.false]
    marks = [*zip(found.boxes, inks, strict=True), *((box, RED) for box in one.faces[~verdict.found])]
    for box, ink in marks:
        x1, y1, x2, y2 = (int(v) for v in box)
        cv2.rectangle(shown, (x1, y1), (x2, y2), ink, thick)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{one.path.stem}.jpg"), shown)


def gathered(options: argparse.Namespace, workshop: Workshop) -> list[Photograph]:
    """All photographs asked for; both halves only for a release."""
    photographs = sets.everyday(options.everyday)
    photographs += sets.without_people(alarms.present(options.alarms))
    unmarked = {} if options.quick else sets.tuned(options.photos) | sets.left_out(options.real)
    unmarked = {path: kind for path, kind in unmarked.items() if not options.sets or kind in options.sets}
    if unmarked and options.truth.is_file():
        canvases = Canvases(options.kept / "canvases")
        photographs += sets.by_detector(unmarked, workshop.detector(options.truth, "fp32"), canvases)
    wanted = [one for one in photographs if options.release or not one.release]
    return [one for one in wanted if not options.sets or one.kind in options.sets]


def evaluated(detectors: Iterable[OnnxDetector], photographs: list[Photograph], options: argparse.Namespace) -> Report:
    """Detector by detector, half by half."""
    report = Report(confidence=options.confidence, side=SIDE, halves={})
    halves = {
        "development": [p for p in photographs if not p.release],
        "release": [p for p in photographs if p.release],
    }
    for detector in detectors:
        tell(f"{detector.name}: {len(photographs)} photographs")
        report.files[detector.name] = detector.source
        for half, some in halves.items():
            for kind, held in looked_at(detector, some, options).items():
                report.halves.setdefault(half, {}).setdefault(kind, {})[detector.name] = figures(held)
    return report


def detectors_of(options: argparse.Namespace, workshop: Workshop) -> list[OnnxDetector]:
    """By the names on the command line: a path, perhaps a form, perhaps a side."""
    made = []
    for named in options.models:
        path, form, side = [*str(named).split(":"), "", ""][:3]
        forms = [one for one in options.forms if form in ("", one)]
        looks = (False, True) if closer_of(Path(path)) else (False,)
        made += [
            workshop.detector(Path(path), one, int(side or SIDE), closer=closer) for one in forms for closer in looks
        ]
    return made


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.training.judge.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", nargs="*", default=["models/open/scrfd_500m_open.onnx"], help="FILE.onnx[:fp32|:int8]"
    )
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--quick", action="store_true", help="int8 only, and only photographs whose faces were marked")
    parser.add_argument("--release", action="store_true", help="this is for a release: look at the release half, too")
    parser.add_argument("--sets", nargs="+", help="only these: masks, samples, portraits, …")
    parser.add_argument("--everyday", type=Path, default=Path("../shared/everyday"))
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument(
        "--real", type=Path, default=Path("../shared/training/real"), help="of which training left some out"
    )
    parser.add_argument(
        "--truth", type=Path, default=Path("../shared/models/scrfd_2.5g_bnkps.onnx"), help="of --photos and --real"
    )
    parser.add_argument("--alarms", type=Path, default=alarms.FOLDER, help="photographs without people")
    parser.add_argument(
        "--calibration", type=Path, nargs="+", default=FOR_RANGES, help="folders, for models without figures"
    )
    parser.add_argument("--confidence", type=float, default=0.5)
    parser.add_argument("--draw", type=Path, help="folder for photographs with something missed or false")
    parser.add_argument("--json", type=Path, help="file for the report")
    parser.add_argument("--kept", type=Path, default=Path("build/eval"), help="prepared networks and fitted pictures")
    options = parser.parse_args(arguments)
    if options.real.is_dir() and (missing := missing_in(options.real)):
        parser.error(f"--real {options.real} lacks {', '.join(missing)}: name the folder of the recipe's photographs")
    options.forms = ["int8"] if options.quick else options.forms
    return options


def main(arguments: list[str] | None = None) -> None:
    """Looks and prints."""
    cv2.setNumThreads(1)
    options = parse(arguments)
    workshop = Workshop(options.kept, options.calibration, options.photos, tell)
    photographs = gathered(options, workshop)
    if not photographs:
        raise SystemExit(f"no labelled photographs in {options.everyday}; name a folder with --everyday")
    report = evaluated(detectors_of(options, workshop), photographs, options)
    print(table(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


if __name__ == "__main__":
    main()
