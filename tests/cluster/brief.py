"""`python -m tests.cluster.brief`: three minutes of the rehearsal, for every change.

Two hosts behind Envoy, then gateways and hosts of workers: what was lost, and who was blamed. Times are told and not
held, and little is asked, since a machine that checks changes may be slow. One that allows no namespaces says so: 0.
"""

from __future__ import annotations

import sys

from tests.cluster import __main__ as whole
from tests.cluster import split
from tests.cluster.alone import alone, is_alone, lay_the_wire, what_lacks
from tests.cluster.balancers import Envoy
from tests.cluster.faults import FAULTS
from tests.cluster.hosts import BALANCER

#: A share of what the hosts that are left could answer on a machine as busy as it was at first.
LOAD = 0.25
FAULT_NAMES = ("kill -9 of a host", "cut off without a reset", "rolling update, host by host")
CUT_S = 2.0


def main() -> int:
    if lacks := what_lacks("ss"):
        print(f"no rehearsal here: {lacks}", file=sys.stderr)
        return 0
    if not is_alone():
        return alone("tests.cluster.brief", [])
    lay_the_wire(BALANCER)
    faults = [one for one in FAULTS if one.name in FAULT_NAMES]
    struck = whole.rehearse([Envoy()], faults, 2, None, LOAD)
    print(*whole.told(struck), "", split.HEAD, sep="\n", flush=True)
    cut = split.rehearse(2, [CUT_S], "")
    well = [*(not one.lost and bool(one.requests) for one in struck), *(one.blameless for one in cut)]
    print("nothing was lost, nobody was blamed" if all(well) else "NOT KEPT: something was lost, or somebody blamed")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
