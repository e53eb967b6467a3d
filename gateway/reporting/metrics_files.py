"""The files by which the processes of a host add their metrics up: read together, and folded when a process ended.

This file alone knows how prometheus_client keeps them in multi-process mode: `<kind>_<process>.db` in one folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER = "metrics"
#: The sums of all processes that have ended stand where a process's number would.
ENDED = "ended"
#: Who reads waits so long for who folds, and the other way round; then goes on all the same: a scrape that is off by
#: one process's counts is better than a service that waits for a process that stands still.
LOCK_S_MAX = 0.5
#: A process that starts this moment has a file with nothing in it yet.
READ_TRIES, READ_AGAIN_S = 5, 0.02


def folder(runtime_dir: Path) -> Path:
    return runtime_dir / FOLDER


class HostMetrics(Collector):
    """The metrics of all processes of this host, as prometheus_client collects them."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        for left in reversed(range(READ_TRIES)):
            try:
                with _lock(self._files, fcntl.LOCK_SH):
                    return self._read()
            except (struct.error, FileNotFoundError):
                if not left:
                    raise
                time.sleep(READ_AGAIN_S)
        raise AssertionError("the last try returns or raises")

    def _read(self) -> Iterable[Metric]:
        files = [str(path) for path in self._files.glob("*.db")]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return merged


def exposition(runtime_dir: Path) -> bytes:
    """The text of all processes of this host together."""
    registry = CollectorRegistry()
    registry.register(HostMetrics(folder(runtime_dir)))
    return generate_latest(registry)


def fold(files: Path, process: int) -> None:
    """A process has ended: its gauges go, its counts move into the sums of those that ended before it."""
    with _lock(files, fcntl.LOCK_EX):
        mark_process_dead(process, str(files))  # type: ignore[no-untyped-call]
        for kind in ("counter", "histogram"):
            counted = files / f"{kind}_{process}.db"
            with contextlib.suppress(FileNotFoundError):
                with contextlib.suppress(struct.error):  # it ended before it had written anything
                    _add(counted, files / f"{kind}_{ENDED}.db")
                counted.unlink()


def _add(counted: Path, sums: Path) -> None:
    values = MmapedDict.read_all_values_from_file(str(counted))  # type: ignore[no-untyped-call]
    known = MmapedDict(str(sums))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in values:
        known.write_value(key, known.read_value(key)[0] + value, timestamp)  # type: ignore[no-untyped-call]
    known.close()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _lock(files: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(files / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + LOCK_S_MAX
        while not _locked(descriptor, kind) and time.monotonic() < end:
            time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
