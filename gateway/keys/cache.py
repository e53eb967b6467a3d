"""Every key as this process knows it, kept fresh in the background: the hot path asks no database.

It alone decides when the store is asked: every few seconds whether anything changed, at once when told so or
when a well-formed key is unknown; and not where its files show that nothing did. Revocations reach every process
within `check_seconds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Protocol

from gateway.keys.pepper import Peppers
from gateway.keys.records import NO_VERSION, Changes, KeyRecord
from gateway.stores.key_format import redact
from gateway.stores.threads import StoreThreads
from shared.beat import to_next_beat
from shared.errors import FaceApiError
from shared.file_marks import Mark

WAIT_S_MAX = 4.0
PAUSE_S_MIN = 0.05  # between two questions to the store, however many unknown keys arrive


class KeySource(Protocol):
    """Where keys come from; blocking. StoreDown when it cannot say."""

    def mark(self) -> Mark | None:
        """What stays the same while nothing changes, keys and peppers alike; None where only asking tells."""
        ...

    def changes_since(self, version: int) -> Changes: ...


class KeyCache:
    """Digest → key. `lookup` is a dictionary access; `refresh` and `round` talk to the store."""

    def __init__(
        self,
        source: KeySource,
        threads: StoreThreads,
        load_peppers: Callable[[], Peppers],
        *,
        check_seconds: float,
        grace_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._threads = threads
        self._load_peppers = load_peppers
        self._check_seconds = check_seconds
        self._grace_seconds = grace_seconds
        self._now = now
        self.peppers = load_peppers()
        self._by_digest: dict[str, KeyRecord] = {}
        self._digest_of: dict[str, str] = {}
        self._version, self._proof = NO_VERSION, 0
        self._heard_at: float | None = None
        self._mark: Mark | None = None
        self._down = False
        self._asking: asyncio.Task[FaceApiError | None] | None = None
        self._next: asyncio.Task[FaceApiError | None] | None = None
        self._poke = asyncio.Event()
        self._log = logging.getLogger("face_api.keys")

    def lookup(self, key: bytes) -> KeyRecord | None:
        """The record of a key in clear, whatever its state. No I/O."""
        for digest in self.peppers.digests(key):
            record = self._by_digest.get(digest)
            if record is not None:
                return record
        return None

    def get(self, key_id: str) -> KeyRecord | None:
        digest = self._digest_of.get(key_id)
        return None if digest is None else self._by_digest.get(digest)

    @property
    def ready(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._heard_at is not None and not self._down

    def usable(self) -> bool:
        """Whether what is known is young enough to be believed."""
        return self._heard_at is not None and (not self._down or self._now() - self._heard_at <= self._grace_seconds)

    def poke(self) -> None:
        """Something changed: ask the store soon."""
        self._poke.set()

    async def refresh(self) -> None:
        """Asks the store now, together with everybody else who wants to know. StoreDown when it cannot be asked.

        The question starts after this call: what was committed before it is seen.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
            failure = await asyncio.shield(self._asking)
        else:
            if self._next is None or self._next.done():
                self._next = asyncio.ensure_future(self._ask_after(self._asking))
            failure = await asyncio.shield(self._next)
        if failure is not None:
            raise failure

    async def round(self) -> None:
        """Called over and over: waits until it is time to look or somebody pokes, then asks the store."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(to_next_beat(self._check_seconds)):
                await self._poke.wait()
        self._poke.clear()
        with contextlib.suppress(FaceApiError):
            await self.refresh()

    async def aclose(self) -> None:
        """Nobody waits any longer for what the store might still say."""
        asking = [task for task in (self._asking, self._next) if task is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask_after(self, earlier: asyncio.Task[FaceApiError | None]) -> FaceApiError | None:
        await asyncio.shield(earlier)
        await asyncio.sleep(PAUSE_S_MIN)
        self._asking, self._next = asyncio.current_task(), None
        return await self._ask()

    async def _ask(self) -> FaceApiError | None:
        """What went wrong with the store is returned, not raised: nobody may be left to hear it."""
        mark = self._source.mark()  # before the question: what changes meanwhile is another one
        try:
            if mark is None or mark != self._mark:
                self._mark = None
                await self._hear()
                self._mark = mark if self._version != NO_VERSION else None  # else it did not add up: ask anew
        except FaceApiError as error:
            self._note_down(error)
            return error
        except Exception as error:
            self._note_down(error)  # a bug of ours, raised as such; what is known is no younger for it
            raise
        if self._down:
            self._log.warning("the key store answers again")
        self._down, self._heard_at = False, self._now()
        return None

    async def _hear(self) -> None:
        """Takes over what changed; everything anew where it then does not add up: the store has another history."""
        # Threads are handed what they need and change nothing here: one that was given up may still be running.
        version, load, ask = self._version, self._load_peppers, self._source.changes_since
        self.peppers, changes = await self._threads.call(lambda: (load(), ask(version)), WAIT_S_MAX)
        if version == NO_VERSION:
            self._by_digest, self._digest_of, self._proof = {}, {}, 0
        for record in changes.records:
            self._take(record)
        if changes.proof in (None, self._proof):
            self._version = changes.version
            return
        self._version = NO_VERSION
        if version != NO_VERSION:
            await self._hear()

    def _take(self, record: KeyRecord) -> None:
        former = self._by_digest.pop(self._digest_of.get(record.id, ""), None)
        self._proof += record.version - (former.version if former is not None else 0)
        self._by_digest[record.digest] = record
        self._digest_of[record.id] = record.digest

    def _note_down(self, error: Exception) -> None:
        if not self._down:
            self._log.error("%s (%s); known keys work on for %g s", error, _cause(error), self._grace_seconds)
        self._down = True


def _cause(error: Exception) -> str:
    """What the database itself said, in one line."""
    return redact(str(error.__cause__ or "")).partition("\n")[0]
