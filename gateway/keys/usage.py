"""How often each key was used, per day (UTC), and when last: the counts that outlive the process.

Blocking. Processes hand in what they gathered at most once a minute; no version changes, so nobody reloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from sqlalchemy import and_, case, delete, func, select, text, update

from gateway.keys.database import Database
from gateway.keys.tables import TABLES

KEPT_DAYS = 400
KEYS, USE = TABLES.keys, TABLES.use


class Used(msgspec.Struct):
    """What one key did since the last hand-in."""

    requests: int = 0
    errors: int = 0
    last_at: float = 0.0


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
