"""Replacing the parts of a service: what fails on the way leaves the old ones serving, and the service listening."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy import launch
from deploy import service as service_module
from deploy.parts import Part
from deploy.runtime_dir import RuntimeDir, runtime_dir
from deploy.service import Service
from shared import announcement, exit_codes
from shared.logs import open_log
from shared.settings import Settings

LOG = open_log(Settings(log_format="json"), "test")


@dataclass
class Parts:
    """Processes that only sleep, in place of pools and gateways; what is in `broken` fails to start."""

    broken: set[str] = field(default_factory=set)
    started: list[Part] = field(default_factory=list)

    async def pool(self, _running: Settings, folder: RuntimeDir, _log: Any) -> Part:
        pool = await self._start("the worker pool")
        announcement.folder(folder.path).mkdir(exist_ok=True)
        announcement.announce(
            folder.path, announcement.Announcement(0, f"{pool.pid}.1", "ipc://nowhere", pool.pid, pool.pid)
        )
        return pool

    async def gateway(self, *_: Any) -> Part:
        return await self._start("the gateway")

    async def _start(self, name: str) -> Part:
        if name in self.broken:
            raise BlockingIOError("no process to be had")
        process = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
        self.started.append(Part(name, process, LOG))
        return self.started[-1]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts()
    monkeypatch.setattr(service_module, "start_pool", made.pool)
    monkeypatch.setattr(service_module, "start_gateway", made.gateway)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RuntimeDir]:
    with runtime_dir(str(tmp_path)) as opened:
        (opened.path / "metrics").mkdir()
        yield opened


@pytest.mark.parametrize(("broken", "made"), [("the worker pool", 0), ("the gateway", 1)])
async def test_a_part_that_cannot_be_started_ends_no_service(
    parts: Parts, folder: RuntimeDir, broken: str, made: int
) -> None:
    service = Service(Settings(), socket.socket(), folder, LOG)
    await service.start()
    old = list(service.parts)
    parts.broken.add(broken)
    await service.replace(Settings())
    assert service.parts == old
    assert not any(part.ended.done() for part in old)
    assert len(parts.started) == 2 + made
    assert all(part.ended.done() for part in parts.started[2:])
    await service.stop()


async def test_a_bug_in_replacing_ends_neither_the_service_nor_later_replacements(
    parts: Parts, folder: RuntimeDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, asked, tries = Service(Settings(), socket.socket(), folder, LOG), launch.Asked(), asyncio.Queue[int]()
    await service.start()

    def checked(_log: Any) -> Settings:
        tries.put_nowait(1)
        raise LookupError("planted")

    monkeypatch.setattr(launch, "checked_settings", checked)
    running = asyncio.create_task(launch._until_over(asked, service))
    for _ in range(2):
        asked.replace.set()
        await tries.get()
    assert not running.done()
    asked.stop.set()
    assert await running == exit_codes.OK
    await service.stop()
    assert len(parts.started) == 2


async def test_a_part_that_ends_the_moment_it_is_stopped_does_not_keep_the_others_from_being_stopped(
    parts: Parts,
) -> None:
    part = await parts.gateway()

    def gone() -> None:
        os.kill(part.pid, 9)
        raise ProcessLookupError

    part.process.terminate = gone  # type: ignore[method-assign]
    await part.stop(10.0)
    assert part.ended.done()
