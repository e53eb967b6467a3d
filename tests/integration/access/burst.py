"""One gateway process's part of a burst: many requests at once at the door. Prints what passed, as JSON.

`python -m tests.integration.access.burst FOLDER COUNT REDIS_URL WINDOW_S [X-Forwarded-For]`; it waits for a line on
stdin before each burst, so that all processes begin together.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import uvloop

from gateway.access.door import Door
from gateway.access.opening import open_access
from shared.errors import RateLimited
from shared.settings import Settings


async def main(folder: Path, count: int, redis_url: str, window_s: float) -> None:
    settings = Settings(
        data_dir=str(folder / "var"),
        runtime_dir=str(folder / "run"),
        api_key_enabled=False,
        redis_url=redis_url,
        redis_timeout_ms=5000,  # a busy test machine is no broken Redis
        rate_limit_window=window_s,
    )
    async with open_access(settings, folder / "run") as door:
        await burst(door, count)


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

    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        passed = sum(await asyncio.gather(*(knock() for _ in range(count))))
        failures = door.counters.failures()
        print(json.dumps({"passed": passed, "reset_s": max(resets, default=0), "failures": failures}), flush=True)
        resets.clear()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
