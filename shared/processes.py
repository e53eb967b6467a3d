"""What all sides ask of the operating system: die with the parent, count cores, give memory back, hold many files."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent_pid: int, sign: signal.Signals = signal.SIGTERM) -> None:
    """Makes the kernel end this process with `sign` when its parent ends; exits at once when that already happened.

    parent_pid: as the parent knew itself when it started this process. On systems without prctl it does
    nothing: there the closed pipes and sockets are the sign.
    """
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, sign, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent_pid:
        raise SystemExit(0)


def forbid_core_files() -> None:
    """A crash must not leave somebody's photograph on the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_memory_back(but: int = 0) -> None:
    """Returns what was freed to the kernel, as far as the C library can, but so many bytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(but))


def allow_open_files(wanted: int) -> int:
    """Raises this process's limit on open files to `wanted`, as far as the hard limit goes; the limit there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(soft, wanted)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return reachable


def usable_cores() -> int:
    """Whole CPU cores this process may use: its affinity, cut by the cgroup's quota; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def gateway_processes(wanted: int) -> int:
    """How many gateway processes to start; wanted: the setting, where 0 leaves it to the machine.

    Few keep one true queue; one more is worth it only where cores are plenty.
    """
    return wanted or max(1, min(8, usable_cores() // 4))


def _cgroup_quota() -> float | None:
    """Cores granted by cgroup v2 `cpu.max` or v1 `cpu.cfs_quota_us`; None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)
