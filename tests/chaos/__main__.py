"""`python -m tests.chaos [--requests N] [--every S] [--seconds S] [--seed N] [scenario …]`: the long runs, with a report.

Scenarios: storm overload leavers idlers rolling; all of them unless named. Exit code 0 when all kept their promises.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.gallery import gallery, settings
from tests.chaos.scenarios import port_of, rolling, with_service
from tests.chaos.storm import Report, Storm, events_of
from tests.service import START_S_MAX, Service, running_service, start

SCENARIOS = ("storm", "overload", "leavers", "idlers", "rolling")
FAULTS = (*["worker kill"] * 5, *["worker stop"] * 3, *["gateway kill"] * 2, "gateway stop", "replace now")


def storm(requests: int, every_s: float, seed: int, clients: int = 8) -> Report:
    """Random faults until so many requests were answered; the whole is restarted once on the way."""
    numbers = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="fa-") as short, tempfile.TemporaryDirectory(prefix="fa-data-") as data:
        runtime_dir, data_dir = Path(short), Path(data)
        wanted = settings(data_dir, workers=2, gateway_processes=2, runtime_dir=runtime_dir)
        with running_service(data_dir, **wanted) as service:
            run = Storm(service, runtime_dir, gallery(40, seed), clients, seed)

            async def restart() -> Service:
                wanted["port"] = port_of(service)
                code = await asyncio.to_thread(service.stop)
                service.close()
                assert code == 0, service.output
                again = start(data_dir, **wanted)
                await asyncio.to_thread(again.ready.wait, START_S_MAX)
                service.__dict__.update(again.__dict__)
                return service

            run.restart = restart

            async def enough() -> Report:
                half = [numbers.choice(FAULTS) for _ in range(10_000)]
                faults = [*half[:20], "restart all", *half[20:]]
                return await run.run_until(requests, faults, every_s)

            report = asyncio.run(enough())
            report.events = events_of(service)
            return report


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS, metavar="scenario")
    parser.add_argument("--requests", type=int, default=20_000, help="of the storm")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between the storm's faults")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each other scenario's main phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    kept = True
    for scenario in options.scenarios:
        if scenario == "storm":
            report = storm(options.requests, options.every, options.seed)
            lines, well = report.lines(), not report.wrong and not report.lost
        elif scenario == "rolling":
            with tempfile.TemporaryDirectory(prefix="fa-") as folder:
                lines, well = asyncio.run(rolling(Path(folder), rate=20.0, rounds=2))
        else:
            seconds = options.seconds if scenario == "overload" else options.seconds / 6
            lines, well = with_service(scenario, seconds)
        print(f"{scenario}: {'kept' if well else 'NOT KEPT'}", *(f"  {line}" for line in lines), sep="\n", flush=True)
        kept = kept and well
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
