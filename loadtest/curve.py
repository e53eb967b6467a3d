"""Recall against milliseconds: what each model finds, as `make eval` reported it, and what it costs one core.

    python -m loadtest.curve a.onnx b.onnx --report build/eval/report.json --json curve.json
    python -m loadtest.plots --curve curve.json      draws it: curve.png

Every model looks at the labelled photographs on one thread, at each in another order, so that what else the machine
does meets all alike; told is the mean processor time of a photograph that is already fitted, and its middle half.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from models.training.judge import sets
from models.training.judge.canvases import Canvases
from models.training.judge.counting import Share
from models.training.judge.detect import SIDE, Canvas, OnnxDetector
from models.training.judge.evaluate import detectors_of
from models.training.judge.report import Report
from models.training.judge.served import FOR_RANGES, FORMS, Workshop

CONFIDENCE = 0.5


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """ms: mean, lower and upper quartile. recall: set -> value, low, high."""

    detector: str
    ms: list[float]
    recall: dict[str, list[float]]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """half: of the photographs, so many. side: that they are fitted to where a detector says nothing else."""

    half: str
    side: int
    photographs: int
    points: list[Point]


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def timed(detectors: Sequence[OnnxDetector], shown: Mapping[int, Sequence[Canvas]]) -> dict[str, list[float]]:
    """Detector -> milliseconds of each photograph. shown: by side, the same photographs in one order."""
    chance = np.random.default_rng(5)
    spent: dict[str, list[float]] = {one.name: [] for one in detectors}
    for detector in detectors:
        detector.look(shown[detector.side][0], CONFIDENCE)
    for place in range(len(shown[detectors[0].side])):
        for number in chance.permutation(len(detectors)):
            one = detectors[number]
            begin = time.thread_time()
            one.look(shown[one.side][place], CONFIDENCE)
            spent[one.name].append(1000 * (time.thread_time() - begin))
    return spent


def points(spent: dict[str, list[float]], report: Report, half: str) -> list[Point]:
    """Cost and recall together; a set that a detector did not see is left out."""
    sets = report.halves[half]
    return [
        Point(
            detector=name,
            ms=[round(float(ms), 2) for ms in (np.mean(runs), *np.percentile(runs, (25, 75)))],
            recall={
                kind: found
                for kind, detectors in sets.items()
                if name in detectors and (found := _values(detectors[name].recall))
            },
        )
        for name, runs in spent.items()
    ]


def _values(share: Share) -> list[float]:
    """value, low, high; empty of nothing."""
    return [value for value in (share.value, share.low, share.high) if value is not None]


def table(curve: Curve) -> str:
    """Markdown."""
    kinds = list(dict.fromkeys(kind for one in curve.points for kind in one.recall))
    lines = [f"| {' | '.join(['model', 'ms', *kinds])} |", "| --- |" + " --- |" * (1 + len(kinds))]
    for one in curve.points:
        found = [f"{values[0]:.3f}" if (values := one.recall.get(kind)) else "" for kind in kinds]
        cells = [one.detector, f"{one.ms[0]:.1f} ({one.ms[1]:.1f}–{one.ms[2]:.1f})", *found]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measured(options: argparse.Namespace) -> Curve:
    report = msgspec.json.decode(options.report.read_bytes(), type=Report)
    workshop = Workshop(options.kept, options.calibration, options.photos, tell)
    detectors, release = detectors_of(options, workshop), options.half == "release"
    paths = [one.path for one in sets.everyday(options.everyday) if one.release == release][:: options.every]
    shown = {side: [Canvases(options.kept / "canvases", side).of(path) for path in paths] for side in sides(detectors)}
    spent = timed(detectors, shown)
    return Curve(half=options.half, side=SIDE, photographs=len(paths), points=points(spent, report, options.half))


def sides(detectors: Sequence[OnnxDetector]) -> set[int]:
    return {one.side for one in detectors}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.curve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="FILE.onnx[:fp32|:int8[:SIDE]], as for make eval")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--report", type=Path, default=Path("build/eval/report.json"), help="of make eval")
    parser.add_argument("--half", choices=("development", "release"), default="development")
    parser.add_argument("--every", type=int, default=2, help="only one of so many photographs")
    parser.add_argument("--everyday", type=Path, default=Path("../shared/everyday"))
    parser.add_argument("--json", type=Path, help="file for the curve")
    parser.add_argument(
        "--calibration", type=Path, nargs="+", default=FOR_RANGES, help="folders, for models without figures"
    )
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--kept", type=Path, default=Path("build/eval"), help="prepared networks and fitted pictures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    curve = measured(options)
    print(table(curve))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(curve), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
