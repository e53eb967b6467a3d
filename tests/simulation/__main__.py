"""`python -m tests.simulation [--first N] [--schedules N] [--jobs N] [--json FILE]`: thousands of schedules, and a table.
`python -m tests.simulation --seed N [--trace]`: one of them again, shortened to what breaks it.
With `--split` gateways and workers have hosts of their own.

Exit code 0 when every promise was kept in every schedule.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.simulation.house import House, Outcome, run
from tests.simulation.plan import plan_of
from tests.simulation.shrink import kind_of, shrunk
from tests.simulation.split_house import SplitHouse
from tests.simulation.split_plan import split_plan_of

#: Violations told of one schedule, and schedules told of by name.
TOLD_MAX = 5


def outcome_of(seed: int) -> Outcome:
    return run(plan_of(seed))


def split_outcome_of(seed: int) -> Outcome:
    return run(split_plan_of(seed), make=SplitHouse)


def outcomes(seeds: Sequence[int], jobs: int, *, split: bool = False) -> Iterator[Outcome]:
    each = split_outcome_of if split else outcome_of
    if jobs == 1:
        yield from map(each, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(each, seeds, chunksize=20)


def table(found: Sequence[Outcome]) -> list[str]:
    """What happened, in lines of two columns."""
    endings: Counter[str] = Counter()
    for outcome in found:
        endings.update(outcome.endings)
    rows = [
        ("schedules", len(found)),
        ("messages", sum(outcome.letters for outcome in found)),
        ("faults", sum(outcome.faults for outcome in found)),
        ("hours of virtual time", round(sum(outcome.seconds for outcome in found) / 3600, 1)),
        ("requests", sum(outcome.requests for outcome in found)),
        *((f"  {name}", count) for name, count in endings.most_common()),
        ("schedules that broke a promise", sum(bool(outcome.violations) for outcome in found)),
    ]
    return [f"{name:<32}{value:>12,}" for name, value in rows]


def complaints(found: Sequence[Outcome], *, split: bool = False) -> list[str]:
    """Each kind of broken promise: how many schedules broke it, and how to see one of them again."""
    seeds: dict[str, list[int]] = {}
    for outcome in found:
        for kind in {kind_of(violation) for violation in outcome.violations}:
            seeds.setdefault(kind, []).append(outcome.seed)
    lines = []
    for kind, broke in sorted(seeds.items(), key=lambda item: -len(item[1])):
        again = f"python -m tests.simulation {'--split ' * split}--seed {broke[0]} --trace"
        lines += [f"{len(broke)} × {kind}", f"    again: {again}"]
    return lines


def again(seed: int, *, traced: bool, split: bool) -> bool:
    """One schedule, shortened if it breaks something. Whether it is well."""
    plan, make = (split_plan_of(seed), SplitHouse) if split else (plan_of(seed), House)
    outcome = run(plan, make=make)
    if not outcome.violations:
        print(f"seed {seed}: every promise is kept; {outcome.endings}")
        return True
    kind = kind_of(outcome.violations[0])
    plan = shrunk(plan, lambda less: kind in map(kind_of, run(less, make=make).violations))
    outcome = run(plan, traced=traced, make=make)
    print(*plan.lines(), *outcome.trace, *outcome.violations[:TOLD_MAX], sep="\n")
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first schedule")
    parser.add_argument("--schedules", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="writes every outcome there")
    parser.add_argument("--seed", type=int, help="only this one, shortened if it breaks a promise")
    parser.add_argument("--split", action="store_true", help="gateways and workers on hosts of their own")
    parser.add_argument("--trace", action="store_true", help="with --seed: every message")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return 0 if again(options.seed, traced=options.trace, split=options.split) else 1
    began = time.monotonic()
    found = list(outcomes(range(options.first, options.first + options.schedules), options.jobs, split=options.split))
    took = f"{'seconds':<32}{time.monotonic() - began:>12,.0f}"
    print(*table(found), took, *complaints(found, split=options.split), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in found]))
    return 1 if any(outcome.violations for outcome in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
