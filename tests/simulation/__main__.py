"""`python -m tests.simulation [--first N] [--schedules N] [--jobs N] [--json FILE]`: thousands of schedules, and a table.
`python -m tests.simulation --seed N [--trace]`: one of them again, shortened to what breaks it.

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

from tests.simulation.house import Outcome, run
from tests.simulation.plan import plan_of
from tests.simulation.shrink import kind_of, shrunk

#: Violations told of one schedule, and schedules told of by name.
TOLD_MAX = 5


def outcome_of(seed: int) -> Outcome:
    return run(plan_of(seed))


def outcomes(seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(outcome_of, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(outcome_of, seeds, chunksize=20)


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


def complaints(found: Sequence[Outcome]) -> list[str]:
    """Each kind of broken promise: how many schedules broke it, and how to see one of them again."""
    seeds: dict[str, list[int]] = {}
    for outcome in found:
        for kind in {kind_of(violation) for violation in outcome.violations}:
            seeds.setdefault(kind, []).append(outcome.seed)
    lines = []
    for kind, broke in sorted(seeds.items(), key=lambda item: -len(item[1])):
        lines += [f"{len(broke)} × {kind}", f"    again: python -m tests.simulation --seed {broke[0]} --trace"]
    return lines


def again(seed: int, *, traced: bool) -> bool:
    """One schedule, shortened if it breaks something. Whether it is well."""
    plan = plan_of(seed)
    outcome = run(plan)
    if not outcome.violations:
        print(f"seed {seed}: every promise is kept; {outcome.endings}")
        return True
    kind = kind_of(outcome.violations[0])
    plan = shrunk(plan, lambda less: kind in map(kind_of, run(less).violations))
    outcome = run(plan, traced=traced)
    print(*plan.lines(), *outcome.trace, *outcome.violations[:TOLD_MAX], sep="\n")
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first schedule")
    parser.add_argument("--schedules", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="writes every outcome there")
    parser.add_argument("--seed", type=int, help="only this one, shortened if it breaks a promise")
    parser.add_argument("--trace", action="store_true", help="with --seed: every message")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return 0 if again(options.seed, traced=options.trace) else 1
    began = time.monotonic()
    found = list(outcomes(range(options.first, options.first + options.schedules), options.jobs))
    print(*table(found), f"{'seconds':<32}{time.monotonic() - began:>12,.0f}", *complaints(found), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in found]))
    return 1 if any(outcome.violations for outcome in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
