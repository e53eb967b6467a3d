"""Processor time of other processes, to the nanosecond, and of the whole machine. Knows /proc and CPU clocks."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


def processes_below(pid: int) -> list[int]:
    """Ids of all children, grandchildren and so on."""
    found = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(text) for task in tasks for text in (task / "children").read_text().split()]
    except OSError:
        return []
    for child in children:
        found += [child, *processes_below(child)]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of one process; 0.0 when it is gone."""
    # clock_getcpuclockid(3): the process's CPU clock, linux/posix-timers.h MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def tree_cpu_seconds(pid: int) -> float:
    """Of a process and everything below it."""
    return sum(cpu_seconds(one) for one in [pid, *processes_below(pid)])


def tree_memory_bytes(pid: int) -> dict[int, int]:
    """Proportional set size (shared pages divided among their users) by process."""
    return {one: size for one in [pid, *processes_below(pid)] if (size := _proportional_bytes(one))}


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@dataclass(frozen=True, slots=True)
class MachineTime:
    """Processor seconds of the whole machine since it started."""

    busy: float
    total: float

    @staticmethod
    def now() -> MachineTime:
        fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        tick = os.sysconf("SC_CLK_TCK")
        idle = fields[3] + fields[4]
        return MachineTime((sum(fields) - idle) / tick, sum(fields) / tick)
