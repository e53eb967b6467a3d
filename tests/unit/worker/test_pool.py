"""What a pool does when a worker cannot start: it ends when that is for good, and goes on once any had served."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.served.facts import ModelFacts, ServingModel
from shared import announcement, exit_codes
from shared.logs import open_log
from shared.messages import Canary
from shared.settings import Settings
from worker import pool as pool_module
from worker.pool import Pool
from worker.topology import Topology

ROOT = Path(__file__).resolve().parents[3]
WAIT_S_MAX = 60.0


@pytest.fixture(autouse=True)
def libraries_log_as_before() -> Iterator[None]:
    """`open_log` takes over what libraries log."""
    before = logging.getLogger().handlers
    yield
    logging.getLogger().handlers = before


class Logged(io.StringIO):
    """A stream for a log, read back as events."""

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


def replaced(logged: Logged) -> list[dict[str, Any]]:
    return [event for event in logged.events if "a replacement starts" in event["event"]]


def pool_without_a_model(runtime_dir: Path, logged: Logged) -> Pool:
    """Its one worker ends at once: there is no network."""
    settings = Settings(runtime_dir=str(runtime_dir), log_format="json")
    facts = ModelFacts(
        name="none",
        precision="fp32",
        input_side=640,
        landmarks=True,
        batch_invariant=True,
        dynamic_size=True,
        license="",
        source_sha256="",
    )
    model = ServingModel(runtime_dir / "none.onnx", facts, Canary(0.5, 0.4, [], 1.0, 1.0))
    return Pool(settings, model, Topology(1, 1, 1, "one is enough"), open_log(settings, "pool", logged))


def test_a_model_that_no_worker_can_load_ends_the_pool_with_the_reason(tmp_path: Path) -> None:
    logged = Logged()
    pool = pool_without_a_model(tmp_path, logged)
    assert asyncio.run(asyncio.wait_for(pool.run(), WAIT_S_MAX)) == exit_codes.CONFIGURATION
    last = logged.events[-1]
    assert (last["part"], last["event"]) == ("pool", "cannot start")
    assert "serving.json: cannot be read" in last["why"]


def test_what_preparing_a_model_took_goes_back_to_the_system() -> None:
    code = (
        "import asyncio, pathlib\n"
        "from worker import pool\n"
        "resident = lambda: int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * 4096 >> 20\n"
        "held = []\n"
        "def prepare(*_):\n"
        "    held.extend(b'x' * (100_000 + number) for number in range(1000))\n"
        "    del held[:-1]\n"  # the last keeps the C library from giving back by itself what lies below
        "    print(resident() - before)\n"
        "def prepared():\n"
        "    print(resident() - before)\n"
        "    raise SystemExit\n"
        "pool.ensure, pool.usable_cores, before = prepare, prepared, resident()\n"
        "asyncio.run(pool._main(None, type('Log', (), {'info': None}), ()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    freed, left = map(int, done.stdout.split())
    assert freed > 60
    assert left < 30


def test_a_pool_whose_workers_had_served_goes_on_trying_until_it_is_stopped(tmp_path: Path) -> None:
    logged = Logged()

    async def run() -> int:
        pool = pool_without_a_model(tmp_path, logged)
        pool.has_served = True
        running = asyncio.create_task(pool.run())
        async with asyncio.timeout(WAIT_S_MAX):
            while len(replaced(logged)) < 2:  # noqa: ASYNC110 — a stream
                await asyncio.sleep(0.05)
        assert announcement.expected(tmp_path, os.getpid()) == 1
        pool.stopping.set()
        return await running

    assert asyncio.run(run()) == exit_codes.OK
    first, second, *_ = replaced(logged)
    assert first["why"] == f"it ended with code {exit_codes.CONFIGURATION}"
    assert "serving.json: cannot be read" in first["last_words"]
    assert 0 < first["again_in_s"] < second["again_in_s"]


class Flaw:
    """Fails so many times, then does what it stands for."""

    def __init__(self, real: Any, failures: int = 2) -> None:
        self._real, self._left, self.calls = real, failures, 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self._left > 0:
            self._left -= 1
            raise BlockingIOError("planted")
        return self._real(*arguments, **named)


@pytest.mark.parametrize(
    ("owner", "name", "loop"),
    [
        (asyncio, "create_subprocess_exec", "pool_slot"),
        (pool_module, "relay", "pool_relay"),
        (pool_module, "until_hung", "pool_watch"),
        (announcement, "workers_of", "pool_full"),
    ],
)
def test_a_pool_outlives_what_fails_in_its_loops_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, loop: str
) -> None:
    logged, flaw = Logged(), Flaw(getattr(owner, name))
    monkeypatch.setattr(owner, name, flaw)

    async def run() -> int:
        pool = pool_without_a_model(tmp_path, logged)
        pool.has_served = True
        running = asyncio.create_task(pool.run())
        async with asyncio.timeout(WAIT_S_MAX):
            while flaw.calls < 3 or not replaced(logged):  # noqa: ASYNC110 — a stream
                await asyncio.sleep(0.05)
        pool.stopping.set()
        assert pool.metrics.registry.get_sample_value("face_api_loop_failures_total", {"loop": loop}) == 2
        return await running

    assert asyncio.run(run()) == exit_codes.OK
    told = [event for event in logged.events if event.get("loop") == loop]
    assert len(told) == 2
    assert all("BlockingIOError: planted" in event["exception"] for event in told)
