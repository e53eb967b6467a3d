"""Beats: loops of one period fall on the same moments, none twice."""

from __future__ import annotations

import pytest

from shared import beat


@pytest.mark.parametrize("period_s", [0.1, 0.5, 1.0, 60.0])
def test_whoever_waits_from_wherever_wakes_on_a_multiple_of_the_period(monkeypatch, period_s: float) -> None:
    for step in range(100):
        now = 1000.0 + step * period_s / 33
        monkeypatch.setattr(beat, "monotonic", lambda now=now: now)
        wait = beat.to_next_beat(period_s)
        assert 0 < wait <= period_s + beat._LATE_S
        beyond = (now + wait - beat._LATE_S - beat._PHASE_S) / period_s
        assert abs(beyond - round(beyond)) < 1e-6


def test_a_timer_that_comes_a_little_early_does_not_come_twice(monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(beat, "monotonic", lambda: now)
    now += beat.to_next_beat(1.0) - beat._LATE_S / 2
    assert beat.to_next_beat(1.0) > 0.99


def test_who_does_not_pause_does_not_wait() -> None:
    assert beat.to_next_beat(0.0) == 0.0
