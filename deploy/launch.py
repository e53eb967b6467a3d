"""`python -m deploy.launch`: gunicorn and the worker pool side by side on one host, from start to last process.

Each runs in a process group of its own, so that Ctrl-C reaches only the launcher, which ends them in order:
the gateway first (it finishes what is in flight, and needs workers for it), then the workers.

    exit codes   0 stopped on purpose · 1 a part failed · 78 wrong settings, model or installation
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from deploy import accelerator, ready_block
from gateway.first_start import FirstKey, prepare_first_start
from shared import settings
from shared.errors import ConfigurationError
from shared.gpus import answering_gpus
from shared.processes import forbid_core_files
from shared.settings import Settings, inherited_environment

OK, FAILED, CONFIGURATION = 0, 1, 78
#: Beyond the gateway's own grace: time to notice, close and leave.
STOP_MARGIN_S = 10.0


@dataclass(slots=True)
class Part:
    """One long-running child in a process group of its own."""

    name: str
    process: asyncio.subprocess.Process
    ended: asyncio.Task[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = asyncio.create_task(self.process.wait())

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


async def start_part(name: str, arguments: Sequence[str], effective: Settings, pass_fds: Sequence[int] = ()) -> Part:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env=inherited_environment(effective),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    return Part(name, process)


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, handed to gunicorn. Raises ConfigurationError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with PORT=… or FACE_API_HOST"
        ) from None
    listening.listen(2048)
    return listening


@contextlib.contextmanager
def private_runtime_dir(wanted: str) -> Iterator[Path]:
    """The folder for sockets: the one that was set, or one of our own that is removed at the end."""
    if wanted:
        Path(wanted).mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Path(wanted)
        return
    made = Path(tempfile.mkdtemp(prefix="face-api-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def serve(effective: Settings) -> int:
    """Starts everything, says when it is ready, and ends everything; the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with private_runtime_dir(effective.runtime_dir) as runtime_dir:
        listening = listen(effective.host, effective.port)
        first = prepare_first_start(effective)
        tell_first(first)
        address, port = listening.getsockname()[:2]
        running = structs.replace(effective, runtime_dir=str(runtime_dir), port=port, listen_fd=listening.fileno())
        pool = await start_part("the worker pool", ["worker.pool", f"--parent={os.getpid()}"], running)
        gateway = await start_part(
            "the gateway", ["gunicorn", "-c", "deploy/gunicorn.conf.py", "gateway.app:create_app()"],
            running, pass_fds=[listening.fileno()],
        )  # fmt: skip
        listening.close()
        announcing = asyncio.create_task(ready_block.announce(running, address, port, first))
        try:
            return await _until_over(stopping, gateway, pool)
        finally:
            announcing.cancel()
            await gateway.stop(running.stop_grace + STOP_MARGIN_S)
            await pool.stop(STOP_MARGIN_S * 2)


async def _until_over(stopping: asyncio.Event, gateway: Part, pool: Part) -> int:
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait({asked, gateway.ended, pool.ended}, return_when=asyncio.FIRST_COMPLETED)
    if asked.done():
        tell("stopping: requests in flight are finished, then the workers end")
        return OK
    asked.cancel()
    part = pool if pool.ended.done() else gateway
    code = part.ended.result()
    tell(f"{part.name} ended by itself (code {code}); stopping the rest")
    return CONFIGURATION if code == CONFIGURATION else FAILED


def tell(words: str) -> None:
    print(f"face-api: {words}", file=sys.stderr, flush=True)


def tell_first(first: FirstKey) -> None:
    """At once, not with the ready block: what is shown only once must not be lost with a start that fails later."""
    if first.plaintext:
        tell(f"the first API key, shown only now: {first.plaintext}")
    if first.path:
        tell(f"the first API key is in {first.path}; keep it elsewhere and remove the file")
    if first.link_path:
        tell(f"the link that sets the console's password is in {first.link_path}")


def checked_settings() -> Settings:
    """The settings of this start. Raises ConfigurationError with everything that is wrong, mends included."""
    effective, warnings = settings.load()
    for warning in warnings:
        tell(f"warning: {warning}")
    wrong = accelerator.problem(accelerator.installed_builds(), answering_gpus(), effective.accelerator)
    if wrong:
        raise ConfigurationError(wrong)
    return effective


def main() -> int:
    forbid_core_files()
    try:
        return asyncio.run(serve(checked_settings()))
    except ConfigurationError as error:
        tell(f"cannot start:\n{error}")
        return CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
