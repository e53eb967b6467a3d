"""`python -m deploy.launch`: gunicorn and the worker pool side by side on one host, from start to last process.

Each runs in a process group of its own, so that Ctrl-C reaches only the launcher, which ends them in order:
the gateway first (it finishes what is in flight, and needs workers for it), then the workers.

    exit codes   0 stopped on purpose · 1 a part failed · 78 wrong settings, model or installation
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from msgspec import structs

from deploy import accelerator, ready_block
from deploy.metrics_server import metrics_served
from deploy.parts import Part
from deploy.reach import reach_problem
from deploy.runtime_dir import runtime_dir
from deploy.service import Service, grace_problem
from gateway.edge import open_files
from gateway.first_start import FirstKey, prepare_first_start
from gateway.reporting import metrics_files, traces
from shared import environment
from shared.announcement import SOCKET_PATH_MAX, has_room_for_sockets
from shared.errors import ConfigurationError
from shared.exit_codes import CONFIGURATION, FAILED, OK
from shared.gpus import answering_gpus
from shared.logs import Log, format_of, open_log
from shared.processes import forbid_core_files, gateway_processes
from shared.settings import Settings
from shared.supervision import Loops

#: How often it is looked at which parts are in force: they may be replaced while their ends are waited for.
LOOK_INTERVAL_S = 5.0


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


async def serve(effective: Settings, log: Log) -> int:
    """Starts everything, says when it is ready, and ends everything; the exit code."""
    asked = Asked()
    asked.listen()
    with runtime_dir(effective.runtime_dir) as folder:
        if effective.transport == "ipc" and not has_room_for_sockets(folder.path):
            raise ConfigurationError(
                f"the path of {folder.path} is too long for unix sockets, which have {SOCKET_PATH_MAX} characters; set "
                "FACE_API_RUNTIME_DIR to a folder with a shorter path, or FACE_API_TRANSPORT=tcp"
            )
        metrics_dir = metrics_files.folder(folder.path)
        metrics_dir.mkdir(mode=0o700)
        listening = listen(effective.host, effective.port)
        first = FirstKey() if effective.role == "workers" else prepare_first_start(effective)
        tell_first(first, log)
        address, port = listening.getsockname()[:2]
        running = structs.replace(
            settled(effective), runtime_dir=str(folder.path), port=port, listen_fd=listening.fileno()
        )
        with metrics_served(effective, metrics_dir, log) as metrics_url:
            service = Service(running, listening, folder, log)
            try:
                await service.start()
                beside = _beside(service, address, port, first, metrics_url)
                announcing = asyncio.create_task(_said(beside, log))
                try:
                    return await _until_over(asked, service)
                finally:
                    announcing.cancel()
            finally:
                await service.stop()


def _beside(service: Service, address: str, port: int, first: FirstKey, metrics_url: str) -> Coroutine[Any, Any, None]:
    """What says where the service is, once it is ready."""
    if service.running.role == "workers":
        from deploy.worker_host import waiting_for_gateways  # here: no other host needs a second web server

        return waiting_for_gateways(service, metrics_url)
    return ready_block.announce(service.running, address, port, first, metrics_url, service.workers_expected)


def settled(effective: Settings) -> Settings:
    """With what the parts must not each choose for themselves."""
    processes = gateway_processes(effective.gateway_processes)
    return structs.replace(effective, gateway_processes=processes, log_format=format_of(effective))


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
    replacing = Loops().keep("replacements", lambda: _replace_when_asked(asked, service), 0.0, last_round_s=0.0)
    try:
        while True:
            watched = {stop, *(part.ended for part in service.in_force)}
            await asyncio.wait(watched, timeout=LOOK_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                service.log.info("stopping: requests in flight are finished, then the workers end")
                return OK
            for part in service.in_force:
                if part.ended.done():
                    return _ended_by_itself(part, service.log)
    finally:
        await replacing.end()
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)


async def _replace_when_asked(asked: Asked, service: Service) -> None:
    await asked.replace.wait()
    asked.replace.clear()
    try:
        await service.replace(settled(checked_settings(service.log)))
    except ConfigurationError as error:
        service.log.error("not replaced, the old settings stay in force", why=str(error))


async def _said(announced: Coroutine[Any, Any, None], log: Log) -> None:
    """The service goes on without the block, but not without a word."""
    try:
        await announced
    except Exception:
        log.exception("it could not be told where the service is")


def _ended_by_itself(part: Part, log: Log) -> int:
    code = part.ended.result()
    log.error("a part ended by itself, stopping the rest", which=part.name, code=code)
    return CONFIGURATION if code == CONFIGURATION else FAILED


def tell(words: str) -> None:
    """For people, whatever the log's form: what is told before there is a log, and what must not stand in one."""
    print(f"face-api: {words}", file=sys.stderr, flush=True)


def tell_first(first: FirstKey, log: Log) -> None:
    """At once, not with the ready block: what is shown only once must not be lost with a start that fails later."""
    if first.plaintext:
        tell(f"the first API key, shown only now: {first.plaintext}")
    if first.path:
        log.warning("the first API key is in a file: keep it elsewhere and remove the file", path=first.path)
    if first.link_path:
        log.info("the link that sets the console's password is in a file", path=first.link_path)


def checked_settings(log: Log | None = None) -> Settings:
    """The settings of this start, their warnings logged. log: by default one opened as they say.

    Raises ConfigurationError with everything that is wrong, mends included.
    """
    effective, warnings = environment.load()
    log = log or open_log(effective, "launcher")
    for warning in warnings:
        log.warning("a setting to look at", why=warning)
    wrong = accelerator_problem(effective)
    if wrong := wrong or grace_problem(effective) or traces.problem(effective) or reach_problem(effective):
        raise ConfigurationError(wrong)
    open_files.check(effective.max_connections, log)
    return effective


def accelerator_problem(effective: Settings) -> str:
    """Why the network cannot run here; empty where it can, or runs on other hosts."""
    if effective.role == "gateway":
        return ""
    return accelerator.problem(accelerator.installed_builds(), answering_gpus(), effective.accelerator)


def main() -> int:
    forbid_core_files()
    try:
        effective = checked_settings()
    except ConfigurationError as error:
        tell(f"cannot start:\n{error}")
        return CONFIGURATION
    log = open_log(effective, "launcher")
    try:
        return asyncio.run(serve(effective, log))
    except ConfigurationError as error:
        log.error("cannot start", why=str(error))
        return CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
