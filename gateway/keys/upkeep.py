"""What the key store is told beside the requests: how keys were used, which move to another pepper; its tidying."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from gateway.keys.audit import prune
from gateway.keys.keeping import Keys
from gateway.keys.usage import Gathering, forget_old, hand_in
from gateway.stores.database import Database
from shared.errors import FaceApiError

HAND_IN_S = 60.0
TIDY_S = 3600.0
MOVED_MAX = 1000  # keys that wait to be moved to another pepper

#: Drops of a store what nobody will look at again; blocking, with the time of day.
Forget = Callable[[Database, float], None]


class Upkeep:
    """One per process. audit_keep: entries of the audit log that stay. also: what others keep in the same store."""

    def __init__(self, keys: Keys, audit_keep: int, also: Sequence[Forget] = ()) -> None:
        self.gathering = Gathering()
        self._keys, self._audit_keep, self._also = keys, audit_keep, also
        self._old_peppers: dict[str, tuple[str, str]] = {}
        self._tidied_at = time.monotonic()
        self._log = logging.getLogger("face_api.access")

    def note_old_pepper(self, key_id: str, key: bytes) -> None:
        """A key was used that an earlier pepper hashed: it moves to the present one with the next hand-in."""
        if len(self._old_peppers) < MOVED_MAX:
            peppers = self._keys.cache.peppers
            self._old_peppers[key_id] = (peppers.digest(key), peppers.current)

    async def hand_in(self) -> None:
        """Tells the store what keys were used for. What it cannot take now is kept."""
        await self._hand_in_use()
        await self._hand_in_moved()

    async def hand_in_at_last(self) -> None:
        with contextlib.suppress(FaceApiError):
            await self.hand_in()

    async def round(self) -> None:
        """Hands in, and now and then tidies. A store that is down is no failure: what it missed is kept."""
        try:
            await self.hand_in()
            if time.monotonic() - self._tidied_at >= TIDY_S:
                await self._keys.threads.call(self._tidy)
                self._tidied_at = time.monotonic()
        except FaceApiError as error:
            self._log.debug("use of keys not noted: %s", error)

    async def _hand_in_use(self) -> None:
        taken, database = self.gathering.take(), self._keys.store.database
        if not taken:
            return
        try:
            await self._keys.threads.call(lambda: hand_in(database, taken))
        except Exception:
            self.gathering.give_back(taken)
            raise

    async def _hand_in_moved(self) -> None:
        # Handed over, not shared: while a thread writes these, the loop gathers others.
        moved, self._old_peppers = self._old_peppers, {}
        if not moved:
            return
        try:
            await self._keys.threads.call(lambda: self._keys.store.rehash(moved))
        except Exception:
            self._old_peppers = moved | self._old_peppers
            raise

    def _tidy(self) -> None:
        """Blocking."""
        now, database = time.time(), self._keys.store.database
        forget_old(database, now)
        with database.write() as connection:
            prune(connection, self._audit_keep)
        for forget in self._also:
            forget(database, now)
