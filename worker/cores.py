"""Which cores the threads of one run keep to, so that none waits for another's core. Cores are the kernel's numbers.

A kernel wakes a thread where it slept, and leaves two that spin on one core there for longer than a run takes: after
20 ms of rest two threads took 15.7 ms for what takes one 14.4, and 9.3 when each kept to its own core.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/core_cpus_list"


def shares(cores: Sequence[int], threads: int) -> list[list[int]]:
    """The cores in as many parts, neighbours together; none where there are more threads than cores."""
    if threads > len(cores):
        return []
    bounds = [len(cores) * part // threads for part in range(threads + 1)]
    return [list(cores[begin:end]) for begin, end in itertools.pairwise(bounds)]


def usable_in_order() -> list[int]:
    """The logical processors this process may use, those of one physical core beside each other; none where no
    process can be kept to some.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    return sorted(os.sched_getaffinity(0), key=lambda cpu: (_first_of_core(cpu), cpu))


@contextlib.contextmanager
def kept_to(cores: Collection[int], usual: Collection[int]) -> Iterator[None]:
    """This thread runs on these cores, and then where it usually may; where it may all along if they are gone."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, usual)


def _first_of_core(cpu: int) -> int:
    try:
        listed = Path(_TOPOLOGY.format(cpu)).read_text(encoding="ascii")  # "0,8" or "0-1"
    except OSError:
        return cpu
    return int(listed.replace("-", ",").split(",")[0])
