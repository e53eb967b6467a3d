"""SQLite files that several processes share: made whole, private and with a write-ahead log, or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from gateway.stores.private_files import make_private_folder, private_temporary

SQLITE_MIN = (3, 35)  # RETURNING


def make_sqlite_file(path: Path, schema: Iterable[str] = ()) -> None:
    """Makes the file with its tables unless it is there; several processes may try at once.

    OSError, sqlite3.Error.
    """
    if path.exists():
        return
    make_private_folder(path.parent)
    with private_temporary(path, "") as temporary:
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file: nobody has to switch it under load
            for statement in schema:
                connection.execute(statement)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)


def connect_scratch(path: Path) -> sqlite3.Connection:
    """A connection to what need not survive a power cut: no waiting for the disk, none for other processes' locks."""
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=rw", uri=True, timeout=0, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the lock just now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
