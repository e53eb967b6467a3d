"""QuarantineFolder: one memory of pictures that ended workers for all gateway processes of a service.

<runtime_dir>/gateways/quarantine/<digest>.<milliseconds>.<standing>    an empty file for each finding
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway import presence
from gateway.dispatching.quarantine import Finding, Quarantine, Standing, digest_of, in_force, quarantine_of
from gateway.dispatching.work_queue import Work
from shared.file_marks import SETTLED_S

FOLDER = "quarantine"


def folder(runtime_dir: Path) -> Path:
    """Inside the gateways' own folder, which a launcher empties when it starts."""
    return runtime_dir / presence.FOLDER / FOLDER


@dataclass(slots=True)
class QuarantineFolder:
    """One process's view of the folder. `now` is CLOCK_MONOTONIC everywhere; told hears why nothing can be shared.

    What cannot be written is remembered by this process alone. noted, acquitted: hear what this process adds and takes
    back, for other hosts.
    """

    path: Path
    told: Callable[[str], None] = lambda _why: None
    noted: Callable[[Finding], None] = lambda _finding: None
    acquitted: Callable[[bytes], None] = lambda _digest: None
    _view: Quarantine = field(default_factory=Quarantine)
    _alone: set[str] = field(default_factory=set)
    _elsewhere: set[str] = field(default_factory=set)
    _changed: int | None = None
    _settled_at: float = float("-inf")
    _where: str = field(init=False)

    def __post_init__(self) -> None:
        self._where = str(self.path)

    def open(self) -> None:
        """Makes the folder, so that looking at it is one system call that does not fail."""
        with contextlib.suppress(OSError):
            self._make()

    def standing(self, work: Work, now: float) -> Standing | None:
        """What any process found of this picture. The folder is read only when it has changed, or a finding is over."""
        changed = self._time_of_change()
        if changed != self._changed or now < self._settled_at or now >= self._view.until:
            self._read(changed, now)
        return self._view.standing(work)

    def last_standing(self, work: Work) -> Standing | None:
        """The same as of the last look, without one."""
        return self._view.standing(work)

    def note(self, suspected: Iterable[Work], poison: Iterable[Work], now: float) -> None:
        """A worker ended: what it had in hand, and what it ran alone."""
        for work in suspected:
            if self._view.standings.get(digest_of(work)) is None:
                self._add(Finding(digest_of(work), now, "suspected"))
        for work in poison:
            self._add(Finding(digest_of(work), now, "poison"))
        self._read(self._time_of_change(), now)

    def acquit(self, work: Work, now: float) -> None:
        """A worker has run it and lives: it is suspected no longer."""
        if not work.digest:
            return
        names = [name for name in self._names() if name.startswith(work.digest.hex()) and name.endswith("suspected")]
        self._remove(names)
        self.acquitted(work.digest)
        self._read(self._time_of_change(), now)

    def hear(self, findings: Iterable[Finding]) -> None:
        """All that other hosts found, by this host's clock; read with the next request."""
        names = {finding.name for finding in findings}
        if names != self._elsewhere:
            self._elsewhere, self._changed = names, None

    def _add(self, finding: Finding) -> None:
        self._write(finding.name)
        self.noted(finding)

    def _time_of_change(self) -> int:
        try:
            return os.stat(self._where).st_mtime_ns  # noqa: PTH116 — for every request: half of Path.stat's time
        except OSError:
            return 0

    def _names(self) -> set[str]:
        with contextlib.suppress(OSError):
            return self._alone.union(self._elsewhere, os.listdir(self._where))  # noqa: PTH208 — names are all there is
        return self._alone | self._elsewhere

    def _read(self, changed: int, now: float) -> None:
        """changed: from before the reading. One so recent that another may bear the same time is not trusted."""
        if changed != self._changed:
            self._changed, self._settled_at = changed, now + SETTLED_S
        names = self._names()
        findings = in_force(names, now)
        self._view = quarantine_of(findings)
        self._remove(names - {finding.name for finding in findings})

    def _make(self) -> None:
        for made in (self.path.parent, self.path):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _write(self, name: str) -> None:
        try:
            self._make()
            os.close(os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            self._alone.add(name)
            self.told(str(error))

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._alone.discard(name)
            self._elsewhere.discard(name)
            with contextlib.suppress(OSError):  # another process was quicker, or it is a folder
                (self.path / name).unlink()
