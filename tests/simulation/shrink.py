"""The same broken promise with less: actions are left out as long as it still breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.plan import Ask, Fault, Plan

#: Runs that shortening may take.
TRIES_MAX = 250


def kind_of(violation: str) -> str:
    """A violation without its numbers and names."""
    return re.sub(r"w?\d[\d.]*", "#", violation)


def shrunk(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    """A plan that `breaks` with as few actions as could be found."""
    actions: list[Ask | Fault] = sorted((*plan.asks, *plan.faults), key=lambda action: action.at)
    size, tries = len(actions) // 2, 0
    while size and tries < TRIES_MAX:
        start = 0
        while start < len(actions) and tries < TRIES_MAX:
            fewer = actions[:start] + actions[start + size :]
            tries += 1
            if breaks(_with(plan, fewer)):
                actions = fewer
            else:
                start += size
        size //= 2
    return _with(plan, actions)


def _with(plan: Plan, actions: list[Ask | Fault]) -> Plan:
    asks = tuple(action for action in actions if isinstance(action, Ask))
    return replace(plan, asks=asks, faults=tuple(action for action in actions if isinstance(action, Fault)))
