"""What the gateway processes of one host did, added up: requests, answers, times, faces, and what they say of now.

Times are wall time, which may be set back, also over a reboot that keeps the file: what lies ahead counts for nothing.

Each process counts in memory and hands in its sums once a second; anyone may read the total. It alone knows the
file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.stores.sqlite_files import connect_scratch, is_busy, make_sqlite_file

FILE_NAME = "counters.sqlite"
HAND_IN_S = 1.0
KEPT_MINUTES = 180
STALE_S = 5.0  # a process that said nothing for so long is gone
NAMES_MAX = 10_000
ALL_TIME = 0  # the "minute" that holds the sum since the start

# Upper edges in milliseconds; about 20 % apart in the middle, where a percentile is read from them.
EDGES_MS: tuple[int, ...] = (
    *(1, 2, 3, 5, 7, 10, 12, 15, 18, 22, 27, 33, 40, 48, 58, 70, 85, 100, 120, 145, 175, 210, 250, 300, 370),
    *(450, 550, 700, 850, 1000, 1300, 1700, 2200, 3000, 4000, 6000, 10_000, 20_000, 60_000),
)

_SCHEMA = (
    "CREATE TABLE counts (minute INTEGER, name TEXT, n REAL NOT NULL, PRIMARY KEY (minute, name)) WITHOUT ROWID",
    "CREATE TABLE present (process INTEGER PRIMARY KEY, at REAL NOT NULL, facts TEXT NOT NULL)",
)
_ADD = """INSERT INTO counts (minute, name, n) VALUES (?1, ?2, ?3)
ON CONFLICT (minute, name) DO UPDATE SET n = n + excluded.n"""
_SAY = """INSERT INTO present (process, at, facts) VALUES (?1, ?2, ?3)
ON CONFLICT (process) DO UPDATE SET at = excluded.at, facts = excluded.facts"""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One inference worker as a gateway process sees it."""

    name: str
    state: str
    model: str = ""
    precision: str = ""
    provider: str = ""
    license: str = ""
    note: str = ""


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway process says of this moment."""

    in_flight: int = 0
    queued: int = 0
    workers: tuple[Worker, ...] = ()
    use: dict[str, int] = {}  # requests per key that the key store was not told of yet


class Counters:
    """One per process. `add` is a dictionary access; `hand_in` is called every HAND_IN_S and at the end."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE_NAME
        self._clock = clock
        self._sums: dict[tuple[int, str], float] = defaultdict(float)
        self._ever: dict[str, int] = defaultdict(int)
        self._source: Callable[[], Present] = Present
        self._connection: sqlite3.Connection | None = None
        self._said = ""
        self._said_at = 0.0
        self._log = logging.getLogger("face_api.counters")
        self._complained = False

    def add(self, name: str, amount: float = 1) -> None:
        """Counts something, in this minute and since the start. Names are few: never a client's text."""
        if self._count(self._minute(), name, amount) and name.startswith(("refused.", "limiter_failures.")):
            self._ever[name] += int(amount)

    def _minute(self) -> int:
        return int(self._clock()) // 60

    def _count(self, minute: int, name: str, amount: float) -> bool:
        """False where there are too many names."""
        key = (minute, name)
        if key not in self._sums and len(self._sums) >= NAMES_MAX:
            return False
        self._sums[key] += amount
        return True

    def refused(self) -> dict[str, int]:
        """Requests that this process refused at the door since it started, by reason: for other outlets."""
        return self._of("refused.")

    def failures(self) -> dict[str, int]:
        """How often each limiter of this process could not count, since it started: for other outlets."""
        return {f"limiter_failed_{name}": n for name, n in self._of("limiter_failures.").items()}

    def _of(self, prefix: str) -> dict[str, int]:
        found = {name[len(prefix) :]: n for name, n in self._ever.items() if name.startswith(prefix)}
        return {name.lower().replace(".", "_").replace("-", "_"): n for name, n in found.items()}

    def answered(self, endpoint: str, status: int, milliseconds: float, faces: int) -> None:
        """One request that was answered."""
        minute = self._minute()
        self._count(minute, f"requests.{endpoint}", 1)
        self._count(minute, f"status.{status}", 1)
        self._count(minute, "faces", faces)
        if status < 400:
            self._count(minute, f"ms.{endpoint}.{bisect_left(EDGES_MS, milliseconds)}", 1)

    def say_of_now(self, source: Callable[[], Present]) -> None:
        """Who can tell what is going on in this process; asked once a second, from now on alone."""
        self._source = source

    def hand_in(self) -> None:
        """Adds this process's sums to the file; what cannot be added now stays for the next time."""
        facts = msgspec.json.encode(self._source()).decode()
        now = self._clock()
        if not self._sums and facts == self._said and 0 <= now - self._said_at < STALE_S / 2:
            return  # idle: nothing to tell
        try:
            self._write(now, facts)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def total(self, minutes: int = 0) -> dict[str, float]:
        """Sums by name since the start, or over the last so many whole and begun minutes. {} if unreadable."""
        with contextlib.suppress(sqlite3.Error, OSError):
            return self._read(minutes)
        return {}

    def by_minute(self, minutes: int) -> list[dict[str, float]]:
        """Sums by name for each of the last so many minutes, the present one last."""
        last = self._minute()
        rows: list[dict[str, float]] = [{} for _ in range(minutes)]
        with contextlib.suppress(sqlite3.Error, OSError):
            query = "SELECT minute, name, n FROM counts WHERE minute > ?"
            for minute, name, n in self._open().execute(query, (last - minutes,)):
                if minute <= last:
                    rows[minute - last - 1][name] = n
        return rows

    def present(self) -> list[Present]:
        """What each living process of this host said last."""
        query = "SELECT facts FROM present WHERE at > ? AND at < ? ORDER BY process"
        now = self._clock()
        with contextlib.suppress(sqlite3.Error, OSError, msgspec.MsgspecError):
            rows = self._open().execute(query, (now - STALE_S, now + STALE_S)).fetchall()
            return [msgspec.json.decode(facts, type=Present) for (facts,) in rows]
        return []

    def key_use(self) -> dict[str, int]:
        """Requests per key that this host's processes have counted and the key store does not know yet."""
        sums: dict[str, int] = {}
        for present in self.present():
            for key_id, count in present.use.items():
                sums[key_id] = sums.get(key_id, 0) + count
        return sums

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("DELETE FROM present WHERE process = ?", (os.getpid(),))
            self._connection.close()
            self._connection = None

    def _write(self, now: float, facts: str) -> None:
        connection, sums = self._open(), self._sums
        connection.execute("BEGIN IMMEDIATE")
        try:
            rows = [(minute, name, n) for (minute, name), n in sums.items()]
            connection.executemany(_ADD, rows + [(ALL_TIME, name, n) for _, name, n in rows])
            connection.execute(_SAY, (os.getpid(), now, facts))
            minute = int(now) // 60
            connection.execute("DELETE FROM counts WHERE minute > 0 AND minute < ?", (minute - KEPT_MINUTES,))
            connection.execute("DELETE FROM counts WHERE minute > ?", (minute + 1,))
            connection.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._sums = defaultdict(float)
        self._said, self._said_at, self._complained = facts, now, False

    def _read(self, minutes: int) -> dict[str, float]:
        if not minutes:
            rows: Any = self._open().execute("SELECT name, n FROM counts WHERE minute = ?", (ALL_TIME,))
        else:
            last = self._minute()
            query = "SELECT name, SUM(n) FROM counts WHERE minute > ? AND minute <= ? GROUP BY name"
            rows = self._open().execute(query, (last - minutes, last))
        return dict(rows.fetchall())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            make_sqlite_file(self._path, _SCHEMA)
            self._connection = connect_scratch(self._path)
        return self._connection

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and is_busy(error):
            return
        if not self._complained:
            self._log.warning("counts cannot be handed in (%s)", error)
        self._complained = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def percentile(total: dict[str, float], endpoints: tuple[str, ...], share: float) -> float | None:
    """Milliseconds below which `share` of the good answers stayed, to about 10 %; None without any."""
    counts = [sum(total.get(f"ms.{name}.{edge}", 0) for name in endpoints) for edge in range(len(EDGES_MS) + 1)]
    wanted, below = share * sum(counts), 0.0
    if not wanted:
        return None
    for edge, count in enumerate(counts):
        if below + count >= wanted:
            low = EDGES_MS[edge - 1] if edge else 0
            high = EDGES_MS[edge] if edge < len(EDGES_MS) else low * 2
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(EDGES_MS[-1])
