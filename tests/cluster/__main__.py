"""`python -m tests.cluster [--hosts N] [--only WORD] [--json FILE] [envoy|haproxy|state|records|compose|plan …]`: hosts struck under load.

envoy, haproxy: behind which balancer. state: what hosts share, taken away and given back, and more of the same hosts.
records: two hosts on one database and one bucket. compose: what the compose file says. plan: the planner's check (5 minutes).
Needs root, `ip`, and the programs of all that; everything runs in namespaces of its own. Exit code 0 when nothing was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.settings import MEBIBYTE
from tests.callers import PYTHON as RECIPES
from tests.chaos.gallery import gallery
from tests.cluster import servers
from tests.cluster.alone import alone, is_alone, lay_the_wire, what_lacks
from tests.cluster.balancers import BALANCERS, Balancer
from tests.cluster.composed import rehearse_compose
from tests.cluster.faults import FAULTS, Fault
from tests.cluster.hosts import BALANCER, open_hosts
from tests.cluster.planned import rehearse_plan
from tests.cluster.records import rehearse_records
from tests.cluster.rehearsal import LOAD, Outcome, Rehearsal
from tests.cluster.state import rehearse_state

#: What is no balancer alone.
SHARED = {"state": rehearse_state, "records": rehearse_records, "compose": rehearse_compose}
#: What measures, and wants the machine for itself: only where it is asked for.
ASKED_FOR = {"plan": rehearse_plan}
#: Files like small photographs, one that every balancer just holds, and one like the largest that is served.
PICTURES = (29, 60_000), (1, MEBIBYTE - 20_000), (1, 20 * MEBIBYTE - 10_000)


def rehearse(
    balancers: Sequence[Balancer], faults: Sequence[Fault], count: int, keep: Path | None, load: float = LOAD
) -> list[Outcome]:
    """keep: where the balancers' files and logs stay. load: of what the hosts that are left can answer."""
    pictures = [one for seed, (number, size) in enumerate(PICTURES) for one in gallery(number, seed, size)]
    outcomes = []
    with open_hosts(count) as hosts:
        for balancer in balancers:
            with tempfile.TemporaryDirectory(prefix="fa-balancer-") as temporary:
                folder = Path(temporary) if keep is None else keep / balancer.name
                folder.mkdir(parents=True, exist_ok=True)
                with balancer.running([host.address for host in hosts], folder):
                    outcomes += asyncio.run(Rehearsal(balancer, hosts, pictures, load).run(faults))
    return outcomes


def told(outcomes: Sequence[Outcome]) -> list[str]:
    head = f"{'':9}{'':30}{'asked':>7}{'lost':>6}{'in hand':>9}{'asked again':>13}{'slowest':>9}{'allowed':>9}"
    return [head, *(line for one in outcomes for line in _lines(one))]


def _lines(one: Outcome) -> list[str]:
    figures = f"{one.requests:7}{sum(one.lost.values()):6}{one.in_hand:9}{one.asked_again:13}"
    times = f"{one.slowest_s:7.1f} s{one.allowed_s:7.1f} s"
    row = f"{one.balancer:9}{one.fault:30}{figures}{times}  {'kept' if one.kept else 'NOT KEPT'}"
    lost = [f"{'':11}{count} × {what}" for what, count in one.lost.items()]
    return [
        row,
        *lost,
        *(f"{'':11}{count} × {what}, of what it does not hold" for what, count in one.too_large.items()),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    names = [balancer.name for balancer in BALANCERS]
    parser.add_argument(
        "parts", nargs="*", choices=[*names, *SHARED, *ASKED_FOR, []], default=[*names, *SHARED], metavar="part"
    )
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--only", default="", metavar="WORD", help="faults whose name holds it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the balancers' files and logs stay")
    parser.add_argument("--json", type=Path, help="where the outcomes go as JSON")
    options = parser.parse_args(arguments)
    wanted = [balancer for balancer in BALANCERS if balancer.name in options.parts]
    missing = [f"{one.name} is not installed" for one in wanted if one.program() is None]
    if SHARED.keys() & options.parts and (wanting := servers.what_lacks()):
        missing.append(wanting)
    if "records" in options.parts and not (RECIPES / "weed").exists():
        missing.append(f"{RECIPES.parent.name} is not set up")
    if lacks := what_lacks() or ", ".join(missing):
        print(f"no rehearsal here: {lacks}", file=sys.stderr)
        return 2
    if not is_alone():
        return alone("tests.cluster", arguments)
    lay_the_wire(BALANCER)
    faults = [one for one in FAULTS if options.only in one.name]
    outcomes = rehearse(wanted, faults, options.hosts, options.keep) if wanted else []
    seen = [one for part, rehearsed in (SHARED | ASKED_FOR).items() if part in options.parts for one in rehearsed()]
    if outcomes:
        print(*told(outcomes), sep="\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        report = {"balancers": outcomes, "seen": seen}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return 0 if all(one.kept for one in [*outcomes, *seen]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
