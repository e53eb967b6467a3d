"""A door of one process, and who stands before it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.keys.records import Draft
from shared.settings import Settings
from tests.unit.access.stores import ME


def scope(key: str | None = None, peer: str = "198.51.100.7", query: bytes = b"") -> dict[str, Any]:
    headers = [(b"host", b"x")] + ([(b"x-api-key", key.encode())] if key is not None else [])
    return {"type": "http", "client": (peer, 1), "headers": headers, "query_string": query}


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Door]:
    async with open_access(settings, Path(settings.runtime_dir)) as door:
        yield door


def make(door: Door, **draft: Any) -> str:
    """A new key, made as if by another process: this one was not told."""
    return door.keys.store.create(Draft(name="n", **draft), door.keys.cache.peppers, ME, time.time()).key
