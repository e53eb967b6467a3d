"""A picture that kills workers, met by several gateway processes: real gunicorns on one runtime folder, stub workers.

The workers are stubs because only they can be told by a picture to die; the gateways are what the launcher starts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest

from gateway.dispatching import quarantine_folder
from gateway.dispatching.quarantine import digest_of
from gateway.dispatching.work_queue import Work
from gateway.reporting import metrics_files
from shared import announcement
from shared.deadline import Deadline
from shared.messages import CropHeader
from tests.service import ROOT, environment, is_running
from tests.stub_worker import KILL, SIDE, picture
from tests.waiting import wait_until

WAIT_S_MAX = 60.0


def png(brightness: int, order: int = 0) -> bytes:
    return cv2.imencode(".png", picture(brightness, order))[1].tobytes()


GOOD, DEADLY = png(100), png(50, KILL)


@dataclass
class Gunicorn:
    """One master and its gateway processes."""

    process: subprocess.Popen[bytes]
    port: int
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def processes(self) -> list[int]:
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [int(child) for child in children if is_running(int(child))]

    def connect(self, wanted: int) -> http.client.HTTPConnection:
        """A connection that this one process has accepted: the others stand still in that moment."""
        others = [pid for pid in self.processes() if pid != wanted]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S_MAX)
        self.connections.append(connection)
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
        return connection


@dataclass
class Yard:
    """The runtime folder with what runs on it."""

    runtime_dir: Path
    gunicorns: list[Gunicorn] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_gateway(self, processes: int) -> Gunicorn:
        wanted = environment(
            runtime_dir=self.runtime_dir, data_dir=self.runtime_dir / "data", gateway_processes=processes,
            input_side=SIDE, mask_second_side=0, decode_processes=1, request_timeout=WAIT_S_MAX,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as listening:
            descriptor, port = listening.fileno(), listening.getsockname()[1]
            metrics = {"PROMETHEUS_MULTIPROC_DIR": str(metrics_files.folder(self.runtime_dir))}
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "gateway.app:create_app()"],
                cwd=ROOT, pass_fds=[descriptor], env=wanted | metrics | {"FACE_API_LISTEN_FD": str(descriptor)},
            )  # fmt: skip
        self.gunicorns.append(Gunicorn(process, port))
        wait_until(lambda: len(self.gunicorns[-1].processes()) == processes)
        return self.gunicorns[-1]

    def start_workers(self, count: int) -> None:
        for _ in range(count):
            arguments = [str(self.runtime_dir), f"g{len(self.workers)}", "1"]
            self.workers.append(subprocess.Popen([sys.executable, "-m", "tests.stub_worker", *arguments], cwd=ROOT))

    def dead(self) -> int:
        """How many workers have ended; tidies up after them as the pool does."""
        gone = [number for number, worker in enumerate(self.workers) if worker.poll() is not None]
        for number in gone:
            announcement.withdraw(self.runtime_dir, f"g{number}")
        return len(gone)

    def has_noted(self, brightness: int, order: int) -> bool:
        """Whether any process has left word of this picture."""
        header = CropHeader(SIDE, SIDE, SIDE, 1.0)
        work = Work(0, (picture(brightness, order),), (header,), 0.5, 0.4, 0, SIDE, SIDE, Deadline(0.0))
        return any(quarantine_folder.folder(self.runtime_dir).glob(f"{digest_of(work).hex()}.*"))

    def close(self) -> None:
        gateways = [pid for gunicorn in self.gunicorns for pid in gunicorn.processes()]
        for gunicorn in self.gunicorns:
            for connection in gunicorn.connections:
                connection.close()
        for process in [*(gunicorn.process for gunicorn in self.gunicorns), *self.workers]:
            process.kill()
            process.wait()
        wait_until(lambda: not any(map(is_running, gateways)))


@pytest.fixture
def yard() -> Iterator[Yard]:
    with tempfile.TemporaryDirectory(prefix="fa-", ignore_cleanup_errors=True) as short:
        made = Yard(Path(short))
        announcement.folder(made.runtime_dir).mkdir()
        metrics_files.folder(made.runtime_dir).mkdir()
        try:
            yield made
        finally:
            made.close()


def detect(connection: http.client.HTTPConnection, file: bytes) -> tuple[int, str]:
    """The status, and the words of a refusal."""
    connection.request("POST", "/api/v1/detect", file, {"Content-Type": "image/png"})
    response = connection.getresponse()
    return response.status, str(json.loads(response.read()).get("detail", ""))


def serves(connection: http.client.HTTPConnection) -> None:
    """Waits until a picture comes back."""
    wait_until(lambda: detect(connection, GOOD)[0] == 200)


def test_a_picture_that_ended_two_workers_is_refused_by_every_gateway_process_and_its_successors(yard: Yard) -> None:
    gunicorn = yard.start_gateway(processes=2)
    first, second = gunicorn.processes()
    yard.start_workers(1)
    by_first, by_second = gunicorn.connect(first), gunicorn.connect(second)
    serves(by_first)
    serves(by_second)

    # One worker is lost by the first process, which is killed before it can try again.
    asking = threading.Thread(target=_ask_in_vain, args=(by_first,))
    asking.start()
    wait_until(lambda: yard.dead() == 1 and yard.has_noted(50, KILL))
    os.kill(first, signal.SIGKILL)
    asking.join(WAIT_S_MAX)

    # The second process loses only one more to it.
    yard.start_workers(3)
    serves(by_second)
    status, words = detect(by_second, DEADLY)
    assert (status, "ended two workers" in words) == (422, True)
    wait_until(lambda: yard.dead() == 2)
    assert detect(by_second, DEADLY)[0] == 422

    # Nobody loses another: not the killed one's successor, and not the gateway of a reload.
    wait_until(lambda: len(set(gunicorn.processes()) - {second}) == 1)
    (successor,) = set(gunicorn.processes()) - {second}
    reloaded = yard.start_gateway(processes=1)
    for connection in (gunicorn.connect(successor), reloaded.connect(reloaded.processes()[0])):
        serves(connection)
        assert detect(connection, DEADLY)[0] == 422
        serves(connection)
    assert yard.dead() == 2


def _ask_in_vain(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        detect(connection, DEADLY)
