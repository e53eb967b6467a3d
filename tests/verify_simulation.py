"""Gateways and workers in virtual time through thousands of schedules; `python -m tests.simulation` tells more of them."""

from __future__ import annotations

import os

from tests.simulation.__main__ import complaints, outcomes, table

SCHEDULES, SPLIT_SCHEDULES = 4000, 2000


def test_every_promise_is_kept_in_thousands_of_schedules() -> None:
    found = list(outcomes(range(1000, 1000 + SCHEDULES), len(os.sched_getaffinity(0))))
    print(*table(found), sep="\n")
    assert complaints(found) == []


def test_every_promise_is_kept_in_thousands_of_schedules_over_several_hosts() -> None:
    found = list(outcomes(range(1000, 1000 + SPLIT_SCHEDULES), len(os.sched_getaffinity(0)), split=True))
    print(*table(found), sep="\n")
    assert complaints(found, split=True) == []
