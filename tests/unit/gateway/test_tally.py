"""Histograms counted in memory say exactly what prometheus_client would have said of each observation."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from gateway.reporting.tally import Tally

EDGES = (0.125, 0.25, 1.0, 32.0)  # sums of such numbers are exact in any order
VALUES = [0.0, 0.125, 0.15625, 0.25, 0.5, 1.0, 32.0, 32.5, 1e6]


def told(registry: CollectorRegistry) -> str:
    return "\n".join(line for line in generate_latest(registry).decode().splitlines() if "_created" not in line)


@pytest.mark.parametrize("label", ["", "stage"])
def test_it_says_what_single_observations_say(label: str) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("seconds", "Words", EDGES, ours, label)
    histogram = Histogram("seconds", "Words", [label] if label else [], buckets=EDGES, registry=theirs)
    numbers = random.Random(1)
    for _ in range(3):
        for value in numbers.sample(VALUES, len(VALUES)):
            names = [numbers.choice(["decode", "queue"])] if label else []
            tally.observe(value, *names)
            (histogram.labels(*names) if label else histogram).observe(value)
        tally.hand_in()
    assert told(ours) == told(theirs)


def test_nothing_is_told_before_it_is_handed_in_and_nothing_twice() -> None:
    registry = CollectorRegistry()
    tally = Tally("seconds", "Words", EDGES, registry)
    tally.observe(0.5)
    assert registry.get_sample_value("seconds_count") == 0
    for _ in range(2):
        tally.hand_in()
        assert registry.get_sample_value("seconds_count") == 1
        assert registry.get_sample_value("seconds_sum") == 0.5
