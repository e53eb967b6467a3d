"""The least latency that arrivals and work allow."""

from __future__ import annotations

import pytest

from loadtest.client import arrival_times
from loadtest.measure import WARM_S, Measured, percentile
from loadtest.queueing import least_latencies
from loadtest.report import least, summary


def test_one_core_serves_them_one_after_the_other() -> None:
    assert least_latencies([0.0, 0.0, 0.0, 1.0], [10.0], 1) == pytest.approx([10, 20, 30, 10])


def test_two_cores_share_whoever_waits() -> None:
    assert least_latencies([0.0, 0.0, 0.0, 0.005], [10.0], 2) == pytest.approx([10, 10, 20, 15])


def test_work_is_taken_in_its_order_over_and_over() -> None:
    assert least_latencies([0.0, 1.0, 2.0], [10.0, 30.0], 1) == pytest.approx([10, 30, 10])


def measured(contestant: str, load: str, **more: object) -> Measured:
    facts = {"seconds": 4.0, "answers": 1, "rate": 100.0, "cpu_ms": 10.0, "others": 0.0, "latencies_ms": [10.0]}
    return Measured(contestant=contestant, load=load, **(facts | more))  # type: ignore[arg-type]


def test_the_verdict_says_what_was_possible_for_the_arrivals_of_all_rounds() -> None:
    rows = [
        measured("limit", "bare 2"),
        measured("face-api", "1 client", clients=1),
        measured("limit", "bare 1"),
        measured("mosec", "1 client", clients=1),
    ]
    offered = [measured("mosec", "open 150.0/s", offered=150.0, round=number) for number in (0, 1)]
    ours = [measured("face-api", "open 150.0/s", offered=150.0, round=number, latencies_ms=[40.0]) for number in (0, 1)]
    expected = []
    for number in (0, 1):
        times = arrival_times(150.0, WARM_S + 4.0, "poisson", number)
        late = least_latencies(times, [10.0], 2)
        expected += [ms for at, ms in zip(times, late, strict=True) if at >= WARM_S]
    assert least(rows, offered) == expected
    words = summary({"few": [*rows, *offered, *ours]})
    assert f"p99 40 ms against its 10 ms, {percentile(expected, 0.99):.0f} ms at best" in words


def test_shares_are_of_the_limit_as_the_service_runs_the_network() -> None:
    rows = [
        measured("limit", "bare 2", rate=200.0),
        measured("limit, whole", "bare 2", rate=100.0),
        measured("face-api", "8 clients", clients=8, rate=190.0),
        measured("face-api", "8 clients, raw", clients=8, body="raw", rate=209.0),
        measured("mosec", "8 clients", clients=8, rate=95.0),
    ]
    lines = summary({"few": rows}).splitlines()
    assert "0.950 of the limit" in lines[0]
    assert lines[1] == "  raw bodies: 1.10 times as many answers as in forms"
    assert lines[2] == "  mosec: we answer 2.00 times as many, of raw bodies 2.20"
