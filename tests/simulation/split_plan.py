"""Schedules of a house whose workers have hosts of their own: what befalls hosts and the links to them, too."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from tests.simulation.plan import FAULTS, Fault, Kind, Make, Plan, Tour, ask_of

_FAULTS = (
    *FAULTS, "cut_host", "cut_host", "reset_host", "reset_host", "kill_host", "freeze_host", "stop_host", "lose_names",
    "lose_store",
)  # fmt: skip
_MUCH = {
    "freeze_worker": (0.2, 6.0), "freeze_gateway": (0.2, 7.0), "slow_worker": (0.1, 0.6), "cut_host": (0.2, 9.0),
    "kill_host": (0.5, 4.0), "freeze_host": (0.2, 5.0), "stop_host": (1.0, 5.0), "lose_names": (0.5, 8.0),
    "lose_store": (0.5, 6.0),
}  # fmt: skip
#: What may befall a house in which a picture ends no more workers than it may.
_GENTLE = ("slow_worker", "stop_worker", "stop_host", "start_gateway")


def split_plan_of(seed: int) -> Plan:
    """Every fourth is a tour of a picture that kills."""
    chance = random.Random(f"split {seed}")
    touring = seed % 4 == 3
    hosts, each = chance.randint(1, 3), chance.choice((1, 2))
    if touring:
        hosts, each = max(2, hosts), 2
    workers, gateways = hosts * each, 3 if touring else chance.randint(1, 3)
    run_s = chance.choice((0.004, 0.02, 0.08))
    make = Make(
        chance.choice((1, 2, 4)), chance.choice((1, 1, 2)), chance.choice((1, 4)), chance.choice((0.0, 0.005)), run_s
    )
    seconds = chance.choice((2.0, 5.0, 10.0))
    count = min(120, max(6, int(chance.choice((0.3, 1.0)) * workers / run_s * seconds)))
    asks = tuple(ask_of(chance, seconds, gateways, number) for number in range(count))
    faults = tuple(
        _fault(chance, seconds, gateways, workers, hosts, _GENTLE if touring else _FAULTS)
        for _ in range(chance.choice((0, 1, 2) if touring else (0, 1, 2, 4, 6)))
    )
    late_s, room = chance.choice((0.0005, 0.005, 0.05)), chance.choice((4, 200))
    plan = Plan(seed, gateways, workers, make, late_s, room, asks, faults, hosts, chance.choice((16, 16, 2)))
    return _touring(plan, chance, seconds) if touring else plan


def _touring(plan: Plan, chance: random.Random, seconds: float) -> Plan:
    """Nobody else asks for what ends a worker."""
    harmless = tuple(one for one in plan.asks if Kind.of(one.picture) in (Kind.PLAIN, Kind.BAD))
    order = tuple(chance.sample(range(plan.gateways), plan.gateways))
    tour = Tour(chance.uniform(0.5, seconds), 16 * 1000 + Kind.KILLER, order)
    return replace(plan, asks=harmless, tours=(tour,))


def _fault(
    chance: random.Random, seconds: float, gateways: int, workers: int, hosts: int, kinds: tuple[str, ...]
) -> Fault:
    what: Any = chance.choice(kinds)
    count = workers if "worker" in what else hosts if "host" in what else gateways + 1
    much = chance.uniform(*_MUCH[what]) if what in _MUCH else 0.0
    return Fault(chance.uniform(0.2, seconds), what, chance.randrange(count), much)
