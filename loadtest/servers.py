"""Servers under test: started with one line each, found ready, parked while others are measured, ended."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gateway.pictures.child_libraries import ALLOCATOR
from loadtest.cpu_time import processes_below
from loadtest.ports import free_ports
from shared.environment import inherited_environment
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
OURS = "face-api"
DETECT = "/api/v1/detect"
START_S_MAX = 120.0
STOP_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """How a peer is asked. ready: a path that is 200 when it serves. detect, headers: as in `Server`."""

    ready: str
    detect: str = DETECT
    headers: tuple[str, ...] = ()


#: By the name of its module in `loadtest/peers/`. Triton takes a body as it is where it hears that no JSON precedes it.
PEERS = {
    "litserve": Way("/health"),
    "mosec": Way("/metrics"),
    "triton": Way("/v2/health/ready", "/v2/models/detect/infer", ("Inference-Header-Content-Length: 0",)),
}


@dataclass(slots=True)
class Server:
    """A running server. body: the form of request it takes quickest. parks: may be stopped while others run.

    detect, headers: where detect is, and what a request for it says besides.
    """

    name: str
    process: subprocess.Popen[bytes]
    port: int
    body: str = "multipart"
    parks: bool = False
    detect: str = DETECT
    headers: tuple[str, ...] = ()
    parked: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def park(self) -> None:
        """SIGSTOP to all its processes: a server that polls when idle must not disturb the others' figures."""
        if self.parks:
            self.parked = [self.pid, *processes_below(self.pid)]
            _signal(self.parked, signal.SIGSTOP)

    def unpark(self) -> None:
        _signal(self.parked, signal.SIGCONT)
        self.parked = []

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to whatever is left."""
        self.unpark()
        below = processes_below(self.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S_MAX)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whatever lost its parent on the way
        _signal(below, signal.SIGKILL)
        self.process.wait()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def ours(settings: Settings, log: Path, tree: Path = ROOT) -> Iterator[Server]:
    """The service by its launcher; `settings` are complete but for the port. tree: the checkout it runs from."""
    port = free_ports()
    environment = inherited_environment(settings) | {"FACE_API_PORT": str(port), "PYTHONPATH": str(tree)}
    with log.open("wb") as out:
        process = _start(["deploy.launch"], environment, out, tree)
    server = Server(OURS, process, port)
    try:
        wait_until_ready(server, "/readyz", log)
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def peer(name: str, settings: Settings, model: Path, workers: int, log: Path) -> Iterator[Server]:
    """Another server with the same model and answers (`loadtest/peers/`)."""
    port = free_ports()
    environment = inherited_environment(settings) | ALLOCATOR | {"PYTHONPATH": str(ROOT)}
    arguments = [f"--model={model}", f"--workers={workers}", f"--port={port}"]
    with log.open("wb") as out:
        process = _start([f"loadtest.peers.{name}_server", *arguments], environment, out)
    way = PEERS[name]
    server = Server(name, process, port, body="raw", parks=True, detect=way.detect, headers=way.headers)
    try:
        wait_until_ready(server, way.ready, log)
        server.park()
        yield server
    finally:
        server.stop()


def _start(
    arguments: Sequence[str], environment: dict[str, str], out: IO[bytes], tree: Path = ROOT
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def wait_until_ready(server: Server, path: str, log: Path) -> None:
    """Raises RuntimeError with the end of its log when it does not come up."""
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and server.process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{server.name} is not ready:\n{log.read_text(errors='replace')[-3000:]}")
