"""`python -m tests.differential`: thousands of odd files, judged. Ends with 1 when there is a fault.

--seeds 20: how many examples of every kind. --first 1: the first seed. --format jpeg: one format alone (may be repeated).
--keep FOLDER: an example of every fault, as a file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.differential.browser import browser
from tests.differential.trial import MAKERS, Trial, files, tried


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--format", action="append", choices=list(MAKERS))
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    with browser() as witness:
        print("Chromium testifies as well" if witness else "There is no Chromium here to testify")
        trials = {name: tried(files(MAKERS[name], seeds), witness) for name in options.format or MAKERS}
    for name, trial in trials.items():
        show(name, trial)
        if options.keep:
            keep(trial, options.keep / name)
    return int(any(trial.faults for trial in trials.values()))


def show(name: str, trial: Trial) -> None:
    print(f"{name}: {trial.files} files, {trial.served} served, {trial.faults.total()} faults")
    for why, count in sorted(trial.decided.items()):
        print(f"  {count:5} as decided: {why}")
    for kind, count in sorted(trial.faults.items()):
        _oddity, reading = trial.examples[kind]
        print(f"  {count:5} {kind}")
        print(f"        service: {reading.service or 'served'}")
        print(f"        Pillow: {reading.pillow or 'read'}; Chromium: {reading.chromium or 'read'}")
        print(f"        OpenCV: {reading.opencv or 'read'} {reading.complaint[:200]}")
        print(f"        witnesses apart {reading.alike:.2f}, service from the nearer {reading.ours:.2f}")


def keep(trial: Trial, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (oddity, _reading) in enumerate(trial.examples.values()):
        (folder / str(number)).write_bytes(oddity.data)


if __name__ == "__main__":
    sys.exit(main())
