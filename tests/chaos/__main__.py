"""`python -m tests.chaos [--requests N] [--kills N] [--every S] [--seconds S] [--seed N] [scenario …]`: the long runs, with a report.

Scenarios: storm overload leavers idlers mixed crowds rolling idle; all of them unless named. Exit code 0 when all kept their promises.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import plan
from tests.chaos.gallery import gallery
from tests.chaos.house import open_house
from tests.chaos.idle import idle
from tests.chaos.mixed import crowds, mixed
from tests.chaos.overload import overload
from tests.chaos.scenarios import rolling, with_service
from tests.chaos.storm import Report, Storm

SCENARIOS = ("storm", "overload", "leavers", "idlers", "mixed", "crowds", "rolling", "idle")


def storm(requests: int, kills: int, every_s: float, seed: int) -> Report:
    """Random faults until so many requests were made and processes killed; whole restarts on the way."""
    with open_house(workers=2, gateway_processes=2) as house:
        run = Storm(house, gallery(40, seed), clients=8, seed=seed)
        return asyncio.run(run.run(plan(random.Random(seed)), every_s, requests, kills))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS, metavar="scenario")
    parser.add_argument("--requests", type=int, default=20_000, help="of the storm")
    parser.add_argument("--kills", type=int, default=50, help="of processes, least number in the storm")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between the storm's faults")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each other scenario's main phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    kept = True
    for scenario in options.scenarios:
        if scenario == "storm":
            report = storm(options.requests, options.kills, options.every, options.seed)
            lines, well = report.lines(), report.kept
        elif scenario == "rolling":
            with tempfile.TemporaryDirectory(prefix="fa-") as folder:
                lines, well = asyncio.run(rolling(Path(folder), rate=60.0, rounds=3))
        elif scenario == "overload":
            lines, well = overload(options.seconds)
        elif scenario == "idle":
            lines, well = idle(options.seconds / 2)
        elif scenario == "mixed":
            lines, well = mixed(options.seconds / 4)
        elif scenario == "crowds":
            lines, well = crowds(options.seconds / 4)
        else:
            lines, well = with_service(scenario, options.seconds / 6)
        print(f"{scenario}: {'kept' if well else 'NOT KEPT'}", *(f"  {line}" for line in lines), sep="\n", flush=True)
        kept = kept and well
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
