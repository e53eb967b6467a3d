"""Counts of all processes together."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.reporting.counters import EDGES_MS, FILE_NAME, KEPT_MINUTES, Counters, Present, Worker, percentile


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_counts_of_two_processes_add_up(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from gateway.reporting.counters import Counters\n"
        f"c = Counters(Path({str(tmp_path)!r}))\n"
        "for _ in range(10): c.answered('detect', 200, 12.5, 3)\n"
        "c.hand_in(); c.close()"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    total = Counters(tmp_path).total()
    assert (total["requests.detect"], total["status.200"], total["faces"]) == (20, 20, 60)


def test_nothing_is_visible_before_it_is_handed_in_and_nothing_twice(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    counters.add("x")
    assert counters.total() == {}
    counters.hand_in()
    counters.hand_in()
    assert counters.total() == {"x": 1}


def test_what_cannot_be_handed_in_is_kept(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    counters.add("x")
    counters.hand_in()
    holder = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    counters.add("x", 4)
    counters.hand_in()
    holder.execute("ROLLBACK")
    holder.close()
    counters.hand_in()
    assert counters.total() == {"x": 5}


def test_a_broken_file_is_no_reason_to_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nothing of the kind" * 100)
    counters = Counters(tmp_path)
    counters.add("x")
    counters.hand_in()
    counters.hand_in()
    assert counters.total() == {}
    assert counters.present() == []
    assert len(caplog.records) == 1


def test_minutes_are_kept_apart_and_old_ones_go(tmp_path: Path) -> None:
    clock = Clock()
    counters = Counters(tmp_path, clock)
    for _ in range(KEPT_MINUTES + 5):
        counters.add("x")
        counters.hand_in()
        clock.now += 60
    clock.now -= 60
    counters.add("x", 6)
    counters.hand_in()
    assert [row.get("x") for row in counters.by_minute(3)] == [1, 1, 7]
    assert counters.total(1) == {"x": 7}
    assert counters.total(3) == {"x": 9}
    assert counters.total() == {"x": KEPT_MINUTES + 11}
    assert counters.total(10_000) == {"x": KEPT_MINUTES + 1 + 6}


def test_a_process_says_what_is_going_on_until_it_is_gone(tmp_path: Path) -> None:
    clock = Clock()
    counters = Counters(tmp_path, clock)
    worker = Worker(name="worker-0", state="serving", model="m", provider="CPU")
    counters.say_of_now(lambda: Present(in_flight=2, queued=1, workers=(worker,), use={"key_1": 3}))
    counters.hand_in()
    assert counters.present() == [Present(in_flight=2, queued=1, workers=(worker,), use={"key_1": 3})]
    clock.now += 10
    assert counters.present() == []
    counters.hand_in()
    assert len(counters.present()) == 1
    counters.close()
    assert Counters(tmp_path, clock).present() == []


def test_what_was_said_and_counted_before_the_clock_was_set_back_is_no_part_of_now(tmp_path: Path) -> None:
    clock = Clock()
    gone, here = Counters(tmp_path, clock), Counters(tmp_path, clock)
    gone.say_of_now(lambda: Present(in_flight=7))
    gone.add("x", 5)
    gone.hand_in()
    clock.now -= 3600
    assert here.present() == []
    assert here.total(10) == {}
    here.add("x")
    here.hand_in()
    assert here.total(120) == {"x": 1}
    clock.now -= 3600
    here.hand_in()  # idle, and yet it says that it is here
    assert here.present() == [Present()]
    clock.now += 7200
    assert here.total(60) == {}
    assert here.total() == {"x": 6}


def test_a_file_that_breaks_again_after_it_was_well_is_complained_of_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counters = Counters(tmp_path)
    for complaints in (1, 2):
        counters.add("x")
        (tmp_path / FILE_NAME).unlink(missing_ok=True)
        (tmp_path / FILE_NAME).mkdir()
        counters.close()
        counters.hand_in()
        assert len(caplog.records) == complaints
        (tmp_path / FILE_NAME).rmdir()
        counters.hand_in()


def test_an_idle_process_writes_next_to_nothing(tmp_path: Path) -> None:
    clock = Clock()
    counters = Counters(tmp_path, clock)
    counters.add("x")
    counters.hand_in()
    before = (tmp_path / (FILE_NAME + "-wal")).stat().st_mtime_ns
    clock.now += 1
    counters.hand_in()
    assert (tmp_path / (FILE_NAME + "-wal")).stat().st_mtime_ns == before


def test_percentiles_are_right_to_a_bucket(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    for ms in range(1, 1001):
        counters.answered("detect", 200, ms, 0)
        counters.answered("detect", 503, 9999, 0)
    counters.hand_in()
    total = counters.total()
    for share in (0.5, 0.95, 0.99):
        found = percentile(total, ("detect", "mask"), share)
        assert found is not None
        assert abs(found - 1000 * share) < 150 * share
    assert percentile({}, ("detect",), 0.5) is None
    counters.answered("detect", 200, 10**9, 0)
    counters.hand_in()
    assert percentile(counters.total(), ("detect",), 1.0) is not None
    assert list(EDGES_MS) == sorted(set(EDGES_MS))
