"""The processes of a service by their part in it: which ended, and how much memory each part takes. Reads /proc."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.cpu_time import processes_below, tree_memory_bytes

INTERVAL_S = 0.2
#: A word of its command line → the part a process plays.
PARTS = {"gateway.pictures.picture_child": "picture children", "gunicorn": "gateway processes", "--slot": "workers"}
#: What gateway and children hand each other is no process's own while nobody touches it; others may use it too.
SHARED = "shared, whole machine"
#: Those whose memory is the gateway's.
GATEWAY = ("gateway processes", "picture children")


@dataclass(slots=True)
class Memory:
    """Bytes of a part's processes together (shared pages divided among their users): first seen, most, last seen."""

    begin: int = 0
    peak: int = 0
    end: int = 0

    def saw(self, size: int) -> None:
        self.begin, self.peak, self.end = self.begin or size, max(self.peak, size), size


@dataclass(slots=True)
class Watch:
    """Looks at the processes below `pid` from `start` to `stop`.

    memory: by part, and of the gateway's parts together. largest: by part, the most one process ever had resident.
    ended: by part, how many processes were seen that are no longer there.
    """

    pid: int
    memory: dict[str, Memory] = field(default_factory=lambda: defaultdict(Memory))
    largest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _seen: dict[int, str] = field(default_factory=dict)
    _alive: set[int] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self.look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """One look more, after which nothing changes."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.look()

    @property
    def ended(self) -> dict[str, int]:
        gone = [part for pid, part in self._seen.items() if pid not in self._alive]
        return {part: gone.count(part) for part in PARTS.values()}

    def look(self) -> None:
        """Once; several times a second while it runs."""
        parts = {pid: _part(pid) for pid in processes_below(self.pid)}
        self._alive = {pid for pid, part in parts.items() if part is not None}
        self._seen |= {pid: part for pid, part in parts.items() if part is not None}
        sums: dict[str, int] = defaultdict(int)
        for pid, size in tree_memory_bytes(self.pid).items():
            if part := self._seen.get(pid):
                sums[part] += size
                self.largest[part] = max(self.largest[part], _resident_peak(pid))
        sums["gateway and its children"] = sum(sums[part] for part in GATEWAY)
        sums[SHARED] = _shared_bytes()
        for part, size in sums.items():
            self.memory[part].saw(size)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self.look()


def _part(pid: int) -> str | None:
    """None: it has ended, buried or not. Empty: none of ours; also for a moment what is about to become one."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    words = line.decode(errors="replace").split("\0")
    return next((part for word, part in PARTS.items() if word in words), "") if line else None


def _shared_bytes() -> int:
    """Memory that belongs to no file on a disk and is shared among processes, of the whole machine."""
    words = Path("/proc/meminfo").read_text(encoding="ascii").split()
    return int(words[words.index("Shmem:") + 1]) * 1024


def _resident_peak(pid: int) -> int:
    """Most bytes the process ever had in memory."""
    try:
        words = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    except (OSError, ValueError):
        return 0
