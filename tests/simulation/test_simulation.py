"""Gateways and workers in virtual time: every promise is kept in some hundred schedules; `make verify` runs thousands."""

from __future__ import annotations

import pytest

from tests.simulation.house import House, run
from tests.simulation.plan import plan_of
from tests.simulation.shrink import kind_of, shrunk


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_nothing_is_lost_answered_wrongly_or_starved_whatever_befalls_the_house(first: int) -> None:
    broken = {
        f"python -m tests.simulation --seed {seed} --trace": outcome.violations[:3]
        for seed in range(first, first + 40)
        if (outcome := run(plan_of(seed))).violations
    }
    assert broken == {}


@pytest.mark.parametrize("seed", [14, 36, 55])
def test_schedules_that_once_starved_a_gateway_or_lost_or_refused_a_request_are_well(seed: int) -> None:
    assert run(plan_of(seed)).violations == []


def test_a_schedule_runs_the_same_again() -> None:
    once, again = run(plan_of(3), traced=True), run(plan_of(3), traced=True)
    assert once == again
    assert len(once.trace) > 100


def test_a_broken_promise_is_found_and_told_with_the_fewest_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(House, "stop_worker", lambda house, worker, _: house.rules.broken(f"{worker.slot} was stopped"))
    broken = next(plan for plan in map(plan_of, range(50)) if run(plan).violations)
    kind = kind_of(run(broken).violations[0])
    small = shrunk(broken, lambda plan: kind in map(kind_of, run(plan).violations))
    assert (small.asks, [fault.what for fault in small.faults]) == ((), ["stop_worker"])
