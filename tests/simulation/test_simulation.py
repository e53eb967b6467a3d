"""Gateways and workers in virtual time: every promise is kept in some hundred schedules; `make verify` runs thousands."""

from __future__ import annotations

import pytest

from gateway.dispatching.quarantine_folder import QuarantineFolder
from gateway.dispatching.roster import Roster
from gateway.dispatching.split_roster import SplitRoster
from tests.simulation.__main__ import split_outcome_of
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


@pytest.mark.parametrize("first", [0, 20])
def test_nor_where_workers_have_hosts_that_are_cut_off_reset_killed_or_lose_their_names(first: int) -> None:
    broken = {
        f"python -m tests.simulation --split --seed {seed} --trace": outcome.violations[:3]
        for seed in range(first, first + 20)
        if (outcome := split_outcome_of(seed)).violations
    }
    assert broken == {}


def test_who_takes_a_cut_link_for_a_death_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SplitRoster, "_closed", Roster._closed)
    violations = {kind_of(violation) for seed in range(12) for violation in split_outcome_of(seed).violations}
    assert any("mourns" in violation for violation in violations), violations


def test_a_picture_that_hosts_do_not_tell_one_another_of_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuarantineFolder, "hear", lambda _folder, _findings: None)
    violations = {kind_of(violation) for seed in range(3, 24, 4) for violation in split_outcome_of(seed).violations}
    assert any("workers on its tour" in violation for violation in violations), violations


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
