"""Digests of what may be large."""

from __future__ import annotations

import asyncio
from hashlib import sha256

#: From so many bytes on it is made beside the event loop.
_MANY_BYTES = 256 * 1024


async def digest(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 in hex."""
    if len(data) < _MANY_BYTES:
        return sha256(data).hexdigest()
    return await asyncio.to_thread(lambda: sha256(data).hexdigest())
