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

from shared.settings import Settings, inherited_environment

#: Read by prometheus_client when it is first imported (its own name).
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def tell(words: str) -> None:
    print(f"face-api: {words}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Part:
    """One long-running child in a process group of its own."""

    name: str
    process: asyncio.subprocess.Process
    ended: asyncio.Task[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = asyncio.create_task(self.process.wait())

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, then after the grace SIGKILL to the whole group."""
        if not self.ended.done():
            self.process.terminate()
            await asyncio.wait({self.ended}, timeout=grace_s)
        if not self.ended.done():
            tell(f"{self.name} did not stop in {grace_s:g} s; killing it")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.ended


async def start_pool(running: Settings, metrics_dir: Path) -> Part:
    return await _start("the worker pool", ["worker.pool", f"--parent={os.getpid()}"], running, metrics_dir)


async def start_gateway(running: Settings, metrics_dir: Path) -> Part:
    arguments = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "gateway.app:create_app()"]
    return await _start("the gateway", arguments, running, metrics_dir, [running.listen_fd])


async def _start(
    name: str, arguments: Sequence[str], running: Settings, metrics_dir: Path, pass_fds: Sequence[int] = ()
) -> Part:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env=inherited_environment(running) | {METRICS_VARIABLE: str(metrics_dir)},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    return Part(name, process)
