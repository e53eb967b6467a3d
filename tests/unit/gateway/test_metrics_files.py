"""Counts of processes that ended stay, their files do not; what is read while a process starts is whole."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.reporting import metrics_files
from tests.service import ROOT

#: A process like any of ours: counts, observes, sets a gauge, says its number, and ends.
PROCESS = """
import os, sys
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
registry, count = CollectorRegistry(), int(sys.argv[1])
Counter("things", "Things", ["kind"], registry=registry).labels("a").inc(count)
Histogram("seconds", "Seconds", buckets=(1.0, 2.0), registry=registry).observe(count)
Gauge("now", "Now", registry=registry, multiprocess_mode="livesum").set(count)
print(os.getpid())
"""


def count_in(files: Path, count: int) -> int:
    """A process that counted so much and ended; its number."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(count)],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(files)}, cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout)


def values(runtime_dir: Path) -> dict[str, float]:
    families = text_string_to_metric_families(metrics_files.exposition(runtime_dir).decode())
    return {sample.name + str(sample.labels): sample.value for family in families for sample in family.samples}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    made = metrics_files.folder(tmp_path)
    made.mkdir()
    return made


def test_counts_of_ended_processes_stay_and_their_files_and_gauges_go(files: Path) -> None:
    processes = [count_in(files, count) for count in (1, 2, 5)]
    before = values(files.parent)
    assert before["things_total{'kind': 'a'}"] == before["now{}"] == before["seconds_sum{}"] == 8
    for process in processes:
        metrics_files.fold(files, process)
    after = values(files.parent)
    assert "now{}" not in after
    assert {**before, "now{}": 0} == {**after, "now{}": 0}
    assert sorted(path.name for path in files.iterdir()) == ["counter_ended.db", "histogram_ended.db", "lock"]


def test_folding_a_process_that_counted_nothing_or_was_folded_before_changes_nothing(files: Path) -> None:
    process = count_in(files, 3)
    for _ in range(2):
        metrics_files.fold(files, process)
    metrics_files.fold(files, 1)
    assert values(files.parent)["things_total{'kind': 'a'}"] == 3


def test_a_file_that_a_starting_process_has_not_filled_yet_is_read_again(files: Path) -> None:
    count_in(files, 3)
    begun = files / "counter_1.db"
    begun.touch()
    finishing = threading.Timer(0.03, begun.unlink)
    finishing.start()
    assert values(files.parent)["things_total{'kind': 'a'}"] == 3
    finishing.join()


def test_who_holds_the_lock_and_stands_still_holds_nobody_up_for_long(files: Path) -> None:
    process = count_in(files, 3)
    with metrics_files._lock(files, metrics_files.fcntl.LOCK_EX):
        metrics_files.fold(files, process)
        assert values(files.parent)["things_total{'kind': 'a'}"] == 3


def test_a_process_that_ended_before_it_had_counted_anything_is_folded_away(tmp_path: Path) -> None:
    for kind in ("counter", "histogram", "gauge_livesum"):
        (tmp_path / f"{kind}_77.db").touch()
    metrics_files.fold(tmp_path, 77)
    assert not list(tmp_path.glob("*_77.db"))


def test_whatever_fails_after_a_gateway_process_has_ended_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FACE_API_RUNTIME_DIR", str(tmp_path))
    gunicorn = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    gunicorn["child_exit"](SimpleNamespace(pid=1), SimpleNamespace(pid=77))  # there is no folder for metrics
    assert "the files of a gateway process" in caplog.text
