"""Where workers can be reached: one small file per worker generation in `<runtime_dir>/workers/`.

A worker writes its own after it bound its endpoint; its pool removes it when the process is gone. Gateways
only read. A file name never returns: the generation is in it, so a replacement never inherits a link.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from shared.file_marks import Mark, mark_of

FOLDER = "workers"
#: The longest path a unix socket may have (sockaddr_un.sun_path, less the closing zero), and the longest generation.
SOCKET_PATH_MAX, GENERATION_MAX = 107, 14


class Announcement(msgspec.Struct, frozen=True):
    """endpoint: a ZeroMQ address. pid, pool: process ids of the worker and of its pool on this host."""

    slot: int
    generation: str
    endpoint: str
    pid: int
    pool: int = 0


def folder(runtime_dir: Path) -> Path:
    return runtime_dir / FOLDER


def announce(runtime_dir: Path, announcement: Announcement) -> None:
    """Makes a worker visible; readers see the whole file or none."""
    path = _path(runtime_dir, announcement.generation)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.encode(announcement))
    unfinished.rename(path)


def withdraw(runtime_dir: Path, generation: str) -> None:
    """Makes it invisible, with its unix socket; both may be gone already."""
    _path(runtime_dir, generation).unlink(missing_ok=True)
    socket_path(runtime_dir, generation).unlink(missing_ok=True)


def announced(runtime_dir: Path) -> dict[str, Announcement]:
    """Every worker announced now, by generation."""
    found = {}
    for path in folder(runtime_dir).glob("*.json"):
        try:
            announcement = msgspec.json.decode(path.read_bytes(), type=Announcement)
        except (FileNotFoundError, msgspec.MsgspecError):
            continue  # withdrawn this moment, or not written by a worker
        found[announcement.generation] = announcement
    return found


@dataclass(slots=True)
class Watch:
    """`announced`, but read again only when the folder has changed: looking often costs next to nothing."""

    runtime_dir: Path
    _mark: Mark | None = None
    _found: dict[str, Announcement] = field(default_factory=dict)

    def announced(self, now: float) -> dict[str, Announcement]:
        """now: seconds since the epoch."""
        mark = mark_of(now, folder(self.runtime_dir))
        if mark is None or mark != self._mark:
            self._found, self._mark = announced(self.runtime_dir), mark
        return self._found


def workers_of(runtime_dir: Path, pool: int) -> int:
    """How many workers of this pool (its process id) are announced."""
    return sum(announcement.pool == pool for announcement in announced(runtime_dir).values())


def expect(runtime_dir: Path, pool: int, workers: int) -> None:
    """A pool tells, before it starts any, how many workers it is going to keep."""
    mark = _wanted(runtime_dir, pool)
    unfinished = mark.with_suffix(".part")
    unfinished.write_text(str(workers), encoding="ascii")
    unfinished.rename(mark)


def expected(runtime_dir: Path, pool: int) -> int:
    """How many workers this pool keeps; 0 while it has not told."""
    try:
        return int(_wanted(runtime_dir, pool).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def mark_full(runtime_dir: Path, pool: int) -> None:
    """A pool tells that every one of its workers has come up once."""
    (folder(runtime_dir) / f"{pool}.full").touch()


def forget_pool(runtime_dir: Path, pool: int) -> None:
    """After a pool has ended: its marks go, and what workers of it left that were killed with it."""
    (folder(runtime_dir) / f"{pool}.full").unlink(missing_ok=True)
    _wanted(runtime_dir, pool).unlink(missing_ok=True)
    for announcement in announced(runtime_dir).values():
        if announcement.pool == pool:
            withdraw(runtime_dir, announcement.generation)


def is_full(runtime_dir: Path, pool: int) -> bool:
    return (folder(runtime_dir) / f"{pool}.full").exists()


def socket_path(runtime_dir: Path, generation: str) -> Path:
    """The unix socket of one generation; short, for the system's limit."""
    return folder(runtime_dir) / f"{generation}.sock"


def has_room_for_sockets(runtime_dir: Path) -> bool:
    """Whether unix sockets in the folder have paths that the system takes, whatever their generation."""
    return len(os.fsencode(socket_path(runtime_dir, "x" * GENERATION_MAX))) <= SOCKET_PATH_MAX


def _wanted(runtime_dir: Path, pool: int) -> Path:
    return folder(runtime_dir) / f"{pool}.wanted"


def _path(runtime_dir: Path, generation: str) -> Path:
    return folder(runtime_dir) / f"{generation}.json"
