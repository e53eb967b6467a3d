"""Recall against milliseconds: what each model finds, as `make eval` reported it, and what it costs one core.

    python -m loadtest.curve a.onnx b.onnx --report build/eval/report.json --json curve.json
    python -m loadtest.plots --curve curve.json      draws it: curve.png

Every network runs a whole square of 640 on one thread, each once a round, in another order each round, so that what
else the machine does meets all alike; told is the median of the processor time and its middle half.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from models.training.judge.counting import Share
from models.training.judge.detect import SIDE, OnnxDetector
from models.training.judge.evaluate import detectors_of
from models.training.judge.report import Report
from models.training.judge.served import FOR_RANGES, FORMS, Workshop

ROUNDS = 60


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """ms: median, lower and upper quartile. recall: set -> value, low, high."""

    detector: str
    ms: list[float]
    recall: dict[str, list[float]]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """half: of the photographs. side: of the squares that were run, rounds: how often."""

    half: str
    side: int
    rounds: int
    points: list[Point]


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def timed(detectors: Sequence[OnnxDetector], rounds: int) -> dict[str, list[float]]:
    """Detector -> milliseconds of each of its runs."""
    chance = np.random.default_rng(5)
    squares = {one.name: chance.integers(0, 256, (one.side, one.side, 3), np.uint8) for one in detectors}
    spent: dict[str, list[float]] = {one.name: [] for one in detectors}
    for detector in detectors:
        detector.heads(squares[detector.name])
    for _ in range(rounds):
        for place in chance.permutation(len(detectors)):
            one = detectors[place]
            begin = time.thread_time()
            one.heads(squares[one.name])
            spent[one.name].append(1000 * (time.thread_time() - begin))
    return spent


def points(spent: dict[str, list[float]], report: Report, half: str) -> list[Point]:
    """Cost and recall together; a set that a detector did not see is left out."""
    sets = report.halves[half]
    return [
        Point(
            detector=name,
            ms=[round(float(np.percentile(runs, share)), 2) for share in (50, 25, 75)],
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
    spent = timed(detectors_of(options, workshop), options.rounds)
    return Curve(half=options.half, side=SIDE, rounds=options.rounds, points=points(spent, report, options.half))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.curve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="FILE.onnx[:fp32|:int8[:SIDE]], as for make eval")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--report", type=Path, default=Path("build/eval/report.json"), help="of make eval")
    parser.add_argument("--half", choices=("development", "release"), default="development")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="file for the curve")
    parser.add_argument(
        "--calibration", type=Path, nargs="+", default=FOR_RANGES, help="folders, for models without figures"
    )
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"))
    parser.add_argument("--kept", type=Path, default=Path("build/eval"), help="prepared networks")
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
