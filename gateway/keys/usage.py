"""How often each key was used, per day (UTC), and when last: the counts that outlive the process.

Blocking. Processes hand in what they gathered at most once a minute; no version changes, so nobody reloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from sqlalchemy import and_, case, delete, func, select, text, update

from gateway.stores.database import Database
from gateway.stores.tables import TABLES

KEPT_DAYS = 400
KEYS, USE = TABLES.keys, TABLES.use


class Used(msgspec.Struct):
    """What one key did since the last hand-in."""

    requests: int = 0
    errors: int = 0
    last_at: float = 0.0


class Gathering:
    """What the keys did in this process since the last hand-in. Bounded by the number of keys. No I/O."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], Used] = {}

    def note(self, key_id: str, now: float, *, error: bool) -> None:
        used = self._used.setdefault((key_id, day_of(now)), Used())
        used.requests += 1
        used.errors += error
        used.last_at = now

    def take(self) -> dict[tuple[str, str], Used]:
        taken, self._used = self._used, {}
        return taken

    def give_back(self, taken: Mapping[tuple[str, str], Used]) -> None:
        """What could not be handed in counts the next time."""
        for key, used in taken.items():
            mine = self._used.setdefault(key, Used())
            mine.requests += used.requests
            mine.errors += used.errors
            mine.last_at = max(mine.last_at, used.last_at)

    def on_day(self, day: str) -> dict[str, int]:
        return {key_id: used.requests for (key_id, its_day), used in self._used.items() if its_day == day}


def day_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def hand_in(database: Database, gathered: Mapping[tuple[str, str], Used]) -> None:
    """Adds (key id, day) → Used to the store, all of it or none."""
    add = text(
        "INSERT INTO key_use (key_id, day, requests, errors) VALUES (:key_id, :day, :requests, :errors) "
        "ON CONFLICT (key_id, day) DO UPDATE SET "
        "requests = key_use.requests + excluded.requests, errors = key_use.errors + excluded.errors"
    )
    with database.write() as connection:
        for (key_id, day), used in sorted(gathered.items()):  # one order everywhere: no deadlock between hosts
            row = {"key_id": key_id, "day": day, "requests": used.requests, "errors": used.errors}
            connection.execute(add, row)
            later = case((KEYS.c.last_used_at > used.last_at, KEYS.c.last_used_at), else_=used.last_at)
            connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(last_used_at=later))


def requests_on(database: Database, day: str, key_ids: Iterable[str]) -> dict[str, int]:
    """Requests of each key on that day, as far as they were handed in."""
    query = select(USE.c.key_id, USE.c.requests).where(and_(USE.c.day == day, USE.c.key_id.in_(list(key_ids))))
    with database.read() as connection:
        return {key_id: int(count) for key_id, count in connection.execute(query)}


def days_of(database: Database, key_id: str, since: str) -> dict[str, int]:
    """Requests per day of one key from the day `since` on."""
    query = select(USE.c.day, func.sum(USE.c.requests)).where(and_(USE.c.key_id == key_id, USE.c.day >= since))
    with database.read() as connection:
        return {day: int(count) for day, count in connection.execute(query.group_by(USE.c.day))}


def forget_old(database: Database, now: float) -> None:
    """Drops the days that are older than KEPT_DAYS."""
    with database.write() as connection:
        connection.execute(delete(USE).where(USE.c.day < day_of(now - KEPT_DAYS * 86_400)))
