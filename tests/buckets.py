"""A bucket of a real S3 server, SeaweedFS, that tests start and hurt. It checks every signature.

The server comes with the packages that `make verify` sets up for recipes; who asks for it skips where they are not there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from loadtest.ports import free_ports
from tests.callers import python_program
from tests.hurt import Hurt

START_S = 60.0
NAME = "my-bucket"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-word", "AWS_REGION": "us-east-1"}
#: Of all that `weed mini` opens, with its options' names.
PORTS = (
    "admin.port", "admin.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
    "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc",
)  # fmt: skip
OPTIONS = ("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0")


class Bucket(Hurt):
    """A server with one bucket, that can be ended and started again. environment: where clients find it.

    address: its machine's, where that is another on a rehearsal's wire; before: the words that run a command there.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", before: tuple[str, ...] = ()) -> None:
        self._folder = folder
        ports = dict(zip(PORTS, itertools.count(free_ports(len(PORTS)))))
        self.master = f"{address}:{ports['master.port']}.{ports['master.port.grpc']}"
        self.environment = {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://{address}:{ports['s3.port']}"}
        self.url = f"s3://{NAME}/pictures"
        self._command = [*before, str(python_program("weed")), "mini", f"-dir={folder}", f"-bucket={NAME}"]
        self._command += [f"-ip={address}", f"-ip.bind={address}", *OPTIONS]
        self._command += [f"-{name}={port}" for name, port in ports.items()]
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._folder / "log"
        with log.open("ab") as told:
            process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment(), stdout=told, stderr=told
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return process

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "HOME": str(self._folder)}

    def _answers(self) -> bool:
        """Whether it takes objects and gives them back, which it does a while after it lists them."""
        try:
            obstore.put(self.store(), "asked", b"asked")
            obstore.delete(self.store(), "asked")
        except (BaseError, OSError):
            return False
        return True

    def store(self) -> S3Store:
        """The bucket itself, past the service."""
        return S3Store(
            NAME,
            endpoint=self.environment["AWS_ENDPOINT_URL_S3"],
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region=KEYS["AWS_REGION"],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def empty(self) -> None:
        obstore.delete(self.store(), list(self.names()))

    def names(self) -> set[str]:
        return {each["path"] for page in obstore.list(self.store()) for each in page}

    def shell(self, words: str) -> str:
        """What the server's own tool says to a command."""
        command = [str(python_program("weed")), "shell", f"-master={self.master}"]
        return subprocess.run(
            command, input=f"{words}\n", env=self._environment(), cwd=self._folder, capture_output=True, text=True,
            timeout=START_S, check=True,
        ).stdout  # fmt: skip


@contextlib.contextmanager
def bucket() -> Iterator[Bucket]:
    with tempfile.TemporaryDirectory(prefix="face-api-s3-") as name:
        server = Bucket(Path(name))
        try:
            yield server
        finally:
            server.kill()
