"""The folder for sockets: one launcher's alone while anything of its family lives, and removed once nothing does.

This file alone knows how a living family is told from a dead one: the launcher locks a file in the folder, its parts
inherit the lock, and the kernel gives it up with the last of them, however they ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import presence
from gateway.reporting import metrics_files
from shared import announcement
from shared.errors import ConfigurationError

PREFIX = "face-api-"
LOCK = "launcher.lock"
#: In the lock file of a folder that a launcher made itself: such a folder may be removed, one that was set never.
MADE = b"made by the launcher\n"
#: What a run makes in the folder; a folder that was set may hold other things, which stay.
OURS = (announcement.FOLDER, presence.FOLDER, metrics_files.FOLDER)


@dataclass(frozen=True, slots=True)
class RuntimeDir:
    """path: the folder. lock: a descriptor that holds it; a part that inherits it keeps the folder from removal."""

    path: Path
    lock: int


@contextlib.contextmanager
def runtime_dir(wanted: str) -> Iterator[RuntimeDir]:
    """The folder that was set, with nothing of earlier runs in it, or one of our own, removed at the end.

    Raises ConfigurationError when the folder cannot be had: it is in use by a living service, or not writable.
    """
    remove_dead(Path(tempfile.gettempdir()))
    with contextlib.ExitStack() as opened:
        try:
            path = Path(wanted or tempfile.mkdtemp(prefix=PREFIX))
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            lock = _lock_of_a_set_one(folder, path) if wanted else _lock_of_a_new_one(folder)
            opened.callback(os.close, lock)
        except OSError as error:
            raise ConfigurationError(
                f"cannot use {wanted or tempfile.gettempdir()} for sockets: {error.strerror or error}; name a folder "
                "that this user may write with FACE_API_RUNTIME_DIR"
            ) from None
        if not wanted:
            opened.callback(_remove, path, folder)
        _keep_cleaners_off(folder)
        yield RuntimeDir(path, lock)


def remove_dead(place: Path) -> None:
    """Removes the folders of launchers that died, with all their parts, before they could do it."""
    for path in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            opened.callback(os.close, folder)
            if not _is_ours(os.fstat(folder), stat.S_IFDIR | 0o700):
                continue
            lock = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            opened.callback(os.close, lock)
            if _is_ours(os.fstat(lock), stat.S_IFREG | 0o600) and _taken(lock) and _may_go(lock):
                _remove(path, folder)


def _lock_of_a_new_one(folder: int) -> int:
    """The lock file is born under another name: whoever sees it sees it locked."""
    unborn = f"{LOCK}.new"
    lock = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, MADE)
    os.rename(unborn, LOCK, src_dir_fd=folder, dst_dir_fd=folder)
    return lock


def _lock_of_a_set_one(folder: int, path: Path) -> int:
    """Taken, and what an earlier run left in the folder removed; not left behind locked when that fails."""
    with contextlib.ExitStack() as opened:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        opened.callback(os.close, lock)
        if not _taken(lock):
            raise ConfigurationError(
                f"FACE_API_RUNTIME_DIR={path} is in use by a service that still runs: stop that one, or set another "
                "folder for this one (empty makes one of its own)"
            )
        os.truncate(lock, 0)  # chosen by somebody: from now on it is not for a launcher to remove
        for name in OURS:
            _remove_entry(name, folder)
        opened.pop_all()
        return lock


def _is_ours(found: os.stat_result, mode: int) -> bool:
    return found.st_uid == os.geteuid() and found.st_mode == mode


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _may_go(lock: int) -> bool:
    """Made by a launcher; and no other start has removed it between our opening it and taking its lock."""
    return os.pread(lock, len(MADE) + 1, 0) == MADE and os.fstat(lock).st_nlink > 0


def _remove(path: Path, folder: int) -> None:
    """With its lock held. The lock file goes last: what is left by a removal cut short, the next start removes."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name != LOCK:
                _remove_entry(name, folder)
        os.unlink(LOCK, dir_fd=folder)
        path.rmdir()


def _remove_entry(name: str, folder: int) -> None:
    """A folder with all in it, or a file; a link goes, not what it leads to. Being gone already is well."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def _keep_cleaners_off(folder: int) -> None:
    """systemd-tmpfiles removes what is many days old from temporary folders, but nothing below a folder that is locked.

    A help, not a need: some file systems lock no folders. Source: tmpfiles.d(5), "Age".
    """
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
