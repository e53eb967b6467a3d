"""Parts: the long-running children of the launcher, each in a process group of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime_dir import RuntimeDir
from gateway.reporting import metrics_files
from shared.environment import inherited_environment
from shared.logs import Log
from shared.settings import Settings

#: Read by prometheus_client when it is first imported (its own name).
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(slots=True)
class Part:
    """One long-running child in a process group of its own."""

    name: str
    process: asyncio.subprocess.Process
    log: Log
    ended: asyncio.Task[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = asyncio.create_task(self.process.wait())

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, then after the grace SIGKILL to the whole group."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):  # it ended this moment
                self.process.terminate()
            await asyncio.wait({self.ended}, timeout=grace_s)
        if not self.ended.done():
            self.log.error("a part did not stop, killing it", which=self.name, seconds=grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.ended


async def start_pool(running: Settings, folder: RuntimeDir, log: Log) -> Part:
    arguments = ["worker.pool", f"--parent={os.getpid()}", f"--hold={folder.lock}"]
    return await _start("the worker pool", arguments, running, [folder.lock], log)


async def start_gateway(running: Settings, folder: RuntimeDir, log: Log) -> Part:
    arguments = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "gateway.app:create_app()"]
    return await _start("the gateway", arguments, running, [folder.lock, running.listen_fd], log)


async def _start(name: str, arguments: Sequence[str], running: Settings, pass_fds: Sequence[int], log: Log) -> Part:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env=inherited_environment(running) | {METRICS_VARIABLE: str(metrics_files.folder(Path(running.runtime_dir)))},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    return Part(name, process, log)
