"""Exact limits for all gateway processes of one host, without a server: a SQLite file that they share.

It alone knows the file and its statements. One takes about 10 µs on the event loop; another process's lock is
waited for by giving the loop away, never by blocking it, and after GIVE_UP_S with LimiterDown.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.access.rate_limit import Hit, LimiterDown
from gateway.stores.sqlite_files import connect_scratch, is_busy, make_sqlite_file

FILE_NAME = "limits.sqlite"
# Both: a process that got no CPU for a while has not tried, and the lock is free by then.
GIVE_UP_S, GIVE_UP_AFTER = 0.25, 24
FIRST_PAUSE_S, PAUSE_S_MAX = 0.0005, 0.01
TIDY_EVERY = 64
SWEPT_AT_ONCE = 128
# A window that ends later than one that begins now belongs to another boot, whose clock had run longer. This much later
# is still ours: it was begun by a process that looked at the clock a little after this one.
AHEAD_S = 1.0
WINDOW_S_MAX = 3600.0  # that the settings allow

_SCHEMA = (
    "CREATE TABLE windows (bucket TEXT PRIMARY KEY, ends REAL NOT NULL, n INTEGER NOT NULL)",
    "CREATE INDEX windows_ends ON windows (ends)",
)
# ?2 is now, ?5 the latest end of a window of this boot. A row comes back when the request is allowed: it began a
# window, or there was room in the present one.
_HIT = """INSERT INTO windows (bucket, ends, n) VALUES (?1, ?2 + ?3, 1)
ON CONFLICT (bucket) DO UPDATE SET
    n = CASE WHEN ends <= ?2 OR ends > ?5 THEN 1 ELSE n + 1 END,
    ends = CASE WHEN ends <= ?2 OR ends > ?5 THEN ?2 + ?3 ELSE ends END
WHERE ends <= ?2 OR ends > ?5 OR n < ?4
RETURNING n, ends"""
_LOOK = "SELECT ends FROM windows WHERE bucket = ?1"
_REFUND = "UPDATE windows SET n = n - 1 WHERE bucket = ?1 AND ends = ?2 AND n > 0"
_SWEEP = "DELETE FROM windows WHERE rowid IN (SELECT rowid FROM windows WHERE ends <= ?1 OR ends > ?2 LIMIT ?3)"

Rows = list[tuple[Any, ...]]


class SqliteLimiter:
    """`now` is a clock that all processes of the host share: Linux's CLOCK_MONOTONIC, which every boot begins anew."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._path = folder / FILE_NAME
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._until_tidy = TIDY_EVERY

    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        def charge() -> tuple[Any, ...]:
            now = self._now()  # of the try that succeeds, however long the lock was waited for
            return bucket, now, window_s, limit, now + window_s + AHEAD_S

        rows = await self._patiently(_HIT, charge)
        now = self._now()
        self._until_tidy -= 1
        if self._until_tidy <= 0:
            self._tidy(now)
        if rows:
            count, ends = rows[0]
            return Hit(True, limit, max(0, limit - count), min(window_s, ends - now), bucket, ends, self)
        rows = await self._patiently(_LOOK, lambda: (bucket,))
        ends = rows[0][0] if rows else now + window_s
        return Hit(False, limit, 0, min(window_s, max(0.0, ends - now)), bucket, ends, self)

    async def refund(self, hit: Hit) -> None:
        with contextlib.suppress(LimiterDown):  # then the client is charged one too many
            await self._patiently(_REFUND, lambda: (hit.bucket, hit.window))

    async def aclose(self) -> None:
        self._close()

    def open(self) -> sqlite3.Connection:
        """Makes and opens the file; sqlite3.Error, OSError."""
        make_sqlite_file(self._path, _SCHEMA)
        self._connection = connect_scratch(self._path)
        self._inode = self._path.stat().st_ino
        return self._connection

    async def _patiently(self, statement: str, values: Callable[[], tuple[Any, ...]]) -> Rows:
        """The statement's rows, as soon as nobody else holds the lock."""
        deadline, pause, tries = time.monotonic() + GIVE_UP_S, FIRST_PAUSE_S, 0
        while True:
            tries += 1
            try:
                return (self._connection or self.open()).execute(statement, values()).fetchall()
            except sqlite3.Error as error:
                if not is_busy(error):
                    self._close()
                    raise LimiterDown(str(error)) from error
            except OSError as error:
                raise LimiterDown(str(error)) from error
            if tries >= GIVE_UP_AFTER and time.monotonic() > deadline:
                raise LimiterDown("the limits file stayed locked")
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — spreads processes, hides nothing
            pause = min(PAUSE_S_MAX, pause * 2)

    def _tidy(self, now: float) -> None:
        """Drops some ended windows, and lets go of a file that was removed or replaced."""
        self._until_tidy = TIDY_EVERY
        try:
            if self._connection is not None:
                self._connection.execute(_SWEEP, (now, now + WINDOW_S_MAX + AHEAD_S, SWEPT_AT_ONCE))
            if self._path.stat().st_ino != self._inode:
                self._close()
        except sqlite3.Error:
            pass  # busy: the next time does
        except OSError:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
