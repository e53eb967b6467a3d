"""One gateway process's part of a burst: many requests at once at the door. Prints what passed, as JSON.

`python -m tests.integration.access.burst FOLDER COUNT WINDOW_S REDIS_URL…`; an empty address counts in a file. It waits
for a line on stdin before each burst, the number of an address, so that all processes begin together.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from gateway.access.door import Door
from gateway.access.opening import open_access
from shared.errors import RateLimited
from shared.settings import Settings


async def main(folder: Path, count: int, window_s: float, redis_urls: list[str]) -> None:
    async with AsyncExitStack() as stack:
        doors = []
        for redis_url in redis_urls:
            settings = Settings(
                data_dir=str(folder / "var"),
                runtime_dir=str(folder / "run"),
                api_key_enabled=False,
                redis_url=redis_url,
                redis_timeout_ms=5000,  # a busy test machine is no broken Redis
                rate_limit_window=window_s,
            )
            doors.append(await stack.enter_async_context(open_access(settings, folder / "run")))
        print("ready", flush=True)
        while number := await asyncio.to_thread(sys.stdin.readline):
            await burst(doors[int(number)], count)


async def burst(door: Door, count: int) -> None:
    scope: dict[str, Any] = {"type": "http", "client": ("198.51.100.7", 1), "headers": [], "query_string": b""}
    resets: list[float] = []

    async def knock() -> bool:
        try:
            await door.enter(scope, "detect")
        except RateLimited as refusal:
            resets.append(float(refusal.retry_after_s or 0))
            return False
        return True

    passed = sum(await asyncio.gather(*(knock() for _ in range(count))))
    failures = door.counters.failures()
    print(json.dumps({"passed": passed, "reset_s": max(resets, default=0), "failures": failures}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
