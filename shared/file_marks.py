"""Whether files may have changed since they were looked at: without opening them."""

from __future__ import annotations

from pathlib import Path

#: Times of files move on in steps of a few milliseconds (the kernel's tick).
SETTLED_S = 0.1
#: Of each file its inode, its size and the time of its last change in nanoseconds; None for one that is not there.
Mark = tuple[tuple[int, int, int] | None, ...]


def mark_of(now: float, *paths: Path) -> Mark | None:
    """What stays the same while nothing of these files or folders changes, their rights neither.

    now: seconds since the epoch. None where one has changed so recently that another change may bear the same time.
    """
    mark: list[tuple[int, int, int] | None] = []
    latest = 0
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            mark.append(None)
            continue
        mark.append((found.st_ino, found.st_size, found.st_ctime_ns))
        latest = max(latest, found.st_ctime_ns)
    return tuple(mark) if now - latest * 1e-9 > SETTLED_S else None
