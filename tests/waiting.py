"""Waiting for what happens in other processes, threads and tasks, as long as a busy machine may need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

WAIT_S_MAX = 120.0


async def until(true: Callable[[], Any], seconds: float = WAIT_S_MAX) -> None:
    """A condition, or a coroutine function that answers true. TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (await answer if asyncio.iscoroutine(answer := true()) else answer):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def wait_until(true: Callable[[], Any]) -> None:
    """The same where nothing is asynchronous."""
    end = time.monotonic() + WAIT_S_MAX
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
