"""What people do with keys, as the console and the admin API ask for it: beside the event loop, told to everyone.

It alone joins what the store knows with what the processes counted since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from gateway.keys import audit, usage
from gateway.keys.audit import Actor
from gateway.keys.keeping import Keys
from gateway.keys.records import Draft, KeyRecord, State, iso
from gateway.keys.shown import ListedKey, shown
from gateway.keys.store import Made

CHART_DAYS = 30
Listed = TypeVar("Listed", bound=ListedKey)


class KeyRow(msgspec.Struct, frozen=True):
    """A key and what it did today (UTC), on all hosts as far as they told, on this one to the second."""

    record: KeyRecord
    state: State
    requests_today: int
    last_used_at: float | None

    def shown(self, kind: type[Listed], now: float, **more: Any) -> Listed:
        today, used = self.requests_today, iso(self.last_used_at)
        return shown(kind, self.record, now, requests_today=today, last_used_at=used, **more)


class Administration:
    """counted: requests per key that the store was not told of yet. `now` is wall-clock time."""

    def __init__(self, keys: Keys, counted: Callable[[], dict[str, int]], now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._store = keys.store
        self._counted = counted
        self._now = now

    async def create(self, draft: Draft, actor: Actor) -> Made:
        peppers, now = self._keys.cache.peppers, self._now()
        made = await self._keys.threads.call(lambda: self._store.create(draft, peppers, actor, now))
        await self._keys.changed()
        return made

    async def rotate(self, key_id: str, grace_s: float, actor: Actor) -> Made:
        peppers, now = self._keys.cache.peppers, self._now()
        made = await self._keys.threads.call(lambda: self._store.rotate(key_id, grace_s, peppers, actor, now))
        await self._keys.changed()
        return made

    async def revoke(self, key_id: str, actor: Actor) -> KeyRecord:
        now = self._now()
        record = await self._keys.threads.call(lambda: self._store.revoke(key_id, actor, now))
        await self._keys.changed()
        return record

    async def page(
        self, *, search: str = "", state: State | None = None, offset: int = 0, count: int = 50
    ) -> tuple[list[KeyRow], int]:
        """So many of them, and how many there are."""
        now = self._now()

        def look() -> tuple[list[KeyRecord], int, dict[str, int]]:
            found, total = self._store.page(now, search=search, state=state, offset=offset, count=count)
            today = usage.requests_on(self._store.database, usage.day_of(now), [record.id for record in found])
            return found, total, today

        found, total, today = await self._keys.threads.call(look)
        fresh = self._counted()
        rows = [_row(record, today.get(record.id, 0), fresh.get(record.id, 0), now) for record in found]
        return rows, total

    async def one(self, key_id: str) -> tuple[KeyRow, list[tuple[str, int]]]:
        """A key, and its requests on each of the last CHART_DAYS days, today last. NotFound."""
        now = self._now()
        days = [usage.day_of(now - back * 86_400) for back in range(CHART_DAYS - 1, -1, -1)]

        def look() -> tuple[KeyRecord, dict[str, int]]:
            record = self._store.get(key_id)
            return record, usage.days_of(self._store.database, record.id, days[0])

        record, counted = await self._keys.threads.call(look)
        row = _row(record, counted.get(days[-1], 0), self._counted().get(record.id, 0), now)
        counted[days[-1]] = row.requests_today
        return row, [(day, counted.get(day, 0)) for day in days]

    async def audit(self, *, search: str = "", before: str = "", count: int = 50) -> list[audit.AuditRow]:
        def look() -> list[audit.AuditRow]:
            with self._store.database.read() as connection:
                return audit.entries(connection, search=search, before=before, count=count)

        return await self._keys.threads.call(look)


def _row(record: KeyRecord, handed_in: int, fresh: int, now: float) -> KeyRow:
    """What was not handed in yet happened within the last minute: near enough to now."""
    return KeyRow(record, record.state(now), handed_in + fresh, now if fresh else record.last_used_at)
