"""`make fuzz`: every target in turn, one process at a time, coverage-guided; ends with a table, or with JSON.

The corpus lies outside the repository and grows from run to run. A broken promise or a crash is kept in its folder
`findings` and told with the command that shows it again; the run goes on. Exit code 1 when there is any.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.corpus import Corpus
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
#: One input may take so many seconds, on a machine that does other things as well, and so many MB.
SECONDS_MAX, MEGABYTES_MAX = 30, 1024
#: For less no process is started.
_SHORTEST_S = 2.0
#: What C decoders say of damaged files goes nowhere; libFuzzer keeps its own standard error.
_NO_WORDS_OF_DECODERS = "-close_fd_mask=2"
_STATUS = re.compile(r"^#(\d+)\s.*cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_DONE = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@dataclass(slots=True)
class Outcome:
    """Of one target: executions and seconds of this run; edges and features that the corpus reaches; inputs in it."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    inputs: int = 0
    findings: int = 0

    def add(self, said: str) -> bool:
        """What one process of libFuzzer told; whether it has executed anything."""
        lines = _STATUS.findall(said)
        if lines:
            count, *reached = map(int, lines[-1])
            self.edges, self.features, self.inputs = reached
            done = _DONE.findall(said)
            self.executions += int(done[-1]) if done else count
        return bool(lines)


def fuzz(target: Target, corpus: Corpus, seconds: float) -> Outcome:
    """Fuzzes one target for so long, in as many processes as it takes: a crash ends one."""
    corpus.prepare(target)
    corpus.settle(target, lambda path: _keeps(target, path))
    outcome, begin = Outcome(target.name), time.monotonic()
    while (left := seconds - (time.monotonic() - begin)) > _SHORTEST_S:
        with tempfile.TemporaryDirectory(prefix="face-api-fuzz-") as folder:
            ended = subprocess.run(
                _command(target, corpus, left), cwd=ROOT, env=os.environ | {"TMPDIR": folder},
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
        said = ended.stderr.decode("utf-8", "replace")
        if not outcome.add(said):
            raise SystemExit(f"{target.name} does not start:\n{said[-4000:]}")
    outcome.seconds = round(time.monotonic() - begin, 1)
    corpus.settle(target, lambda path: _keeps(target, path))
    outcome.findings = len(corpus.found(target))
    return outcome


def _keeps(target: Target, path: Path) -> bool:
    """Whether an input keeps the promise; asked in a process of its own, since it may end it."""
    command = [sys.executable, "-m", "tests.fuzz.again", target.name, str(path)]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS_MAX, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _command(target: Target, corpus: Corpus, seconds: float) -> list[str]:
    return [
        sys.executable, "-m", "tests.fuzz.one", target.name, str(corpus.folder), f"-max_total_time={int(seconds)}",
        f"-max_len={target.longest}", f"-timeout={SECONDS_MAX}", f"-report_slow_units={SECONDS_MAX}", f"-rss_limit_mb={MEGABYTES_MAX}",
        *([f"-dict={corpus.dictionary(target)}"] if target.words else []),
        f"-artifact_prefix={corpus.findings}/{target.name}-",
        "-print_final_stats=1", _NO_WORDS_OF_DECODERS, str(corpus.inputs(target)),
    ]  # fmt: skip


def table(outcomes: list[Outcome]) -> str:
    """The figures as Markdown."""
    head = "| target | executions | seconds | edges | features | inputs | findings |\n|---|---|---|---|---|---|---|"
    rows = [
        f"| {each.target} | {each.executions:,} | {each.seconds:,.0f} | {each.edges} | {each.features} "
        f"| {each.inputs} | {each.findings} |"
        for each in outcomes
    ]
    return "\n".join([head, *rows])


def main(arguments: list[str]) -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=TARGETS)
    parser.add_argument("--corpus", type=Path, default=ROOT / "var" / "fuzz")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    options = parser.parse_args(arguments)
    logging.disable()
    corpus, outcomes = Corpus(options.corpus.resolve()), []
    for name in options.targets:
        seconds = options.minutes * 60 / len(options.targets)
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        outcomes.append(fuzz(TARGETS[name], corpus, seconds))
        for path in corpus.found(TARGETS[name]):
            print(f"  found: python -m tests.fuzz.again {name} {path}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(each) for each in outcomes], indent=2) if options.json else table(outcomes))
    return int(any(each.findings for each in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
