"""Doors as the fault tests use them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.keys.records import Draft
from shared.errors import FaceApiError, RateLimited
from shared.settings import Settings
from tests.unit.access.stores import ME

# Far more than any answer may take, so that a busy machine fails nothing, and far less than a hang.
CEILING_S = 10.0


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Door]:
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(open_access(settings, Path(settings.runtime_dir)))
        async with asyncio.timeout(30):
            await stack.aclose()


def scope(key: str | None = None, peer: str = "198.51.100.7") -> dict[str, Any]:
    headers = [] if key is None else [(b"x-api-key", key.encode())]
    return {"type": "http", "client": (peer, 1), "headers": headers, "query_string": b""}


def make(door: Door, **draft: Any) -> str:
    return door.keys.store.create(Draft(**({"name": "n"} | draft)), door.keys.cache.peppers, ME, time.time()).key


async def status(door: Door, key: str | None = None, peer: str = "198.51.100.7") -> int:
    """200, or the status of the refusal; anything else than a documented one is raised."""
    async with asyncio.timeout(CEILING_S):
        try:
            await door.enter(scope(key, peer), "detect")
        except FaceApiError as refusal:
            return refusal.status
        return 200


async def passed(door: Door, tries: int, peer: str = "198.51.100.7") -> int:
    """How many of so many requests at once were let in; all others must be 429."""

    async def knock() -> bool:
        try:
            await door.enter(scope(peer=peer), "detect")
        except RateLimited:
            return False
        return True

    async with asyncio.timeout(CEILING_S):
        return sum(await asyncio.gather(*(knock() for _ in range(tries))))
