"""What a crop costs on the wire, measured both ways."""

from __future__ import annotations

from loadtest.wire_cost import SIZES, costs


def test_both_ways_are_measured_for_every_size() -> None:
    found = costs(rounds=1, count=3)
    assert [(cost.rows, cost.cols) for cost in found] == list(SIZES)
    assert all(cost.socket_ms > 0 and cost.reference_ms > 0 for cost in found)
