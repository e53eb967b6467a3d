"""The folder of prepared models: keys, the lock, whole entries or none. This file alone knows its layout.

<data_dir>/cache/<key>/serving.onnx, serving.json, …   <data_dir>/cache/lock
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ConfigurationError

#: Prepared models kept; the least recently used go first.
ENTRIES_MAX = 16
#: How long one process waits for another that is preparing, in seconds.
WAIT_S = 600.0
_POLL_S = 0.1


class Cache:
    """Entries made once, under a lock, visible only when whole."""

    def __init__(self, data_dir: Path, wait_s: float = WAIT_S) -> None:
        self._root = data_dir / "cache"
        self._wait_s = wait_s

    def entry(self, key: str, valid: Callable[[Path], bool], build: Callable[[Path], None]) -> Path:
        """The folder of `key`: as it is where `valid` says so, else made by `build` in a folder of its own.

        Raises ConfigurationError when the folder cannot be written or another process holds it too long.
        """
        place = self._root / key
        if valid(place):
            return self._used(place)
        with self._locked():
            if not valid(place):
                self._make(place, build)
                self._prune(keep=place)
        return place

    def _make(self, place: Path, build: Callable[[Path], None]) -> None:
        fresh = Path(tempfile.mkdtemp(prefix="making-", dir=self._root))
        try:
            build(fresh)
            if place.exists():
                shutil.rmtree(place)
            fresh.rename(place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _used(self, place: Path) -> Path:
        try:
            os.utime(place)
        except OSError:
            pass  # a cache that may only be read still serves; only its order of use is lost
        return place

    def _prune(self, keep: Path) -> None:
        """Drop leftovers of killed processes and the entries used longest ago; called under the lock."""
        folders = [folder for folder in self._root.iterdir() if folder.is_dir() and folder != keep]
        broken = [folder for folder in folders if folder.name.startswith("making-")]
        whole = sorted((set(folders) - set(broken)), key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in [*broken, *whole[ENTRIES_MAX - 1 :]]:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            file = (self._root / "lock").open("w")
        except OSError as error:
            raise ConfigurationError(
                f"{self._root}: cannot be written ({error.strerror}); set FACE_API_DATA_DIR to a folder that can"
            ) from error
        with file:
            self._acquire(file.fileno())
            yield

    def _acquire(self, descriptor: int) -> None:
        patience_ends = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= patience_ends:
                    raise ConfigurationError(
                        f"another process has been preparing models in {self._root} for over {self._wait_s:.0f} s; "
                        "stop it or set another FACE_API_DATA_DIR"
                    ) from None
                time.sleep(_POLL_S)
