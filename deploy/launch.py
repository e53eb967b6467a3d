"""`python -m deploy.launch`: gunicorn and the worker pool side by side on one host, from start to last process.

Each runs in a process group of its own, so that Ctrl-C reaches only the launcher, which ends them in order:
the gateway first (it finishes what is in flight, and needs workers for it), then the workers.

    exit codes   0 stopped on purpose · 1 a part failed · 78 wrong settings, model or installation
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from deploy import accelerator, ready_block
from deploy.metrics_server import metrics_served
from deploy.parts import Part, tell
from deploy.service import Service
from gateway import presence
from gateway.access.first_start import FirstKey, prepare_first_start
from gateway.reporting import metrics_files
from shared import announcement, settings
from shared.errors import ConfigurationError
from shared.gpus import answering_gpus
from shared.processes import forbid_core_files, usable_cores
from shared.settings import Settings

OK, FAILED, CONFIGURATION = 0, 1, 78


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
    asked = Asked()
    asked.listen()
    with private_runtime_dir(effective.runtime_dir) as runtime_dir:
        metrics_dir = emptied(runtime_dir)
        listening = listen(effective.host, effective.port)
        first = prepare_first_start(effective)
        tell_first(first)
        address, port = listening.getsockname()[:2]
        running = structs.replace(
            effective, runtime_dir=str(runtime_dir), port=port, listen_fd=listening.fileno(),
            gateway_processes=effective.gateway_processes or max(1, min(8, usable_cores() // 4)),
        )  # fmt: skip
        with metrics_served(effective, metrics_dir):
            service = Service(running, listening, metrics_dir)
            announcing = asyncio.create_task(ready_block.announce(running, address, port, first))
            try:
                await service.start()
                return await _until_over(asked, service)
            finally:
                announcing.cancel()
                await service.stop()


class Asked:
    """What was asked of this process by signal: to stop (SIGTERM, SIGINT) or to replace its parts (SIGHUP)."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.replace = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        # On a terminal it means that the terminal is gone.
        loop.add_signal_handler(signal.SIGHUP, self.stop.set if sys.stderr.isatty() else self.replace.set)


async def _until_over(asked: Asked, service: Service) -> int:
    """Until it is to stop or a part ended by itself; replaces parts whenever asked."""
    stop = asyncio.create_task(asked.stop.wait())
    replacing = asyncio.create_task(_replace_when_asked(asked, service))
    try:
        while True:
            watched = {stop, service.gateway.ended, service.pool.ended}
            await asyncio.wait({*watched, replacing}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                tell("stopping: requests in flight are finished, then the workers end")
                return OK
            for part in (service.pool, service.gateway):
                if part.ended.done():
                    return _ended_by_itself(part)
            if replacing.done():
                replacing.result()  # a bug of ours: shows itself
    finally:
        for task in (stop, replacing):
            task.cancel()
        await asyncio.gather(stop, replacing, return_exceptions=True)


async def _replace_when_asked(asked: Asked, service: Service) -> None:
    while True:
        await asked.replace.wait()
        asked.replace.clear()
        try:
            await service.replace(checked_settings())
        except ConfigurationError as error:
            tell(f"not replaced, the old settings stay in force:\n{error}")


def _ended_by_itself(part: Part) -> int:
    code = part.ended.result()
    tell(f"{part.name} ended by itself (code {code}); stopping the rest")
    return CONFIGURATION if code == CONFIGURATION else FAILED


def emptied(runtime_dir: Path) -> Path:
    """Removes what an earlier run left in the folder; the folder of the metrics, made anew."""
    for name in (announcement.FOLDER, presence.FOLDER, metrics_files.FOLDER):
        shutil.rmtree(runtime_dir / name, ignore_errors=True)
    made = metrics_files.folder(runtime_dir)
    made.mkdir(mode=0o700)
    return made


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
