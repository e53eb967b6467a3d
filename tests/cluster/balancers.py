"""The shipped balancers as a rehearsal runs them: with the file that is shipped for these hosts, and asked what they know."""

from __future__ import annotations

import contextlib
import csv
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from deploy.balancing import Host, configuration
from tests.cluster.programs import program

#: Where the shipped files listen.
PORT = 8080
START_S_MAX = 20.0


class View(NamedTuple):
    """What a balancer knows of one host. in_hand: requests that it waits for."""

    serving: bool
    in_hand: int


class Balancer(Protocol):
    name: str

    def program(self) -> str | None:
        """Where its program is; None where it is not installed."""

    def running(self, hosts: Sequence[Host], folder: Path) -> contextlib.AbstractContextManager[None]:
        """It listens on PORT."""

    def views(self) -> list[View]:
        """Of every host, in their order."""

    def asked_again(self) -> int:
        """How many requests so far went to a second host."""


class Envoy:
    name = "envoy"

    def program(self) -> str | None:
        return program("envoy")

    @contextlib.contextmanager
    def running(self, hosts: Sequence[Host], folder: Path) -> Iterator[None]:
        file = folder / "envoy.yaml"
        file.write_text(configuration(self.name, hosts))
        with _process([str(self.program()), "-c", str(file), "--concurrency", "2", "--log-level", "warning"], folder):
            _until(lambda: bool(self._ask("/ready")))
            yield

    def views(self) -> list[View]:
        statuses = json.loads(self._ask("/clusters?format=json"))["cluster_statuses"][0]["host_statuses"]
        statuses.sort(key=lambda one: one["address"]["socket_address"]["address"])
        return [_envoys_view(one) for one in statuses]

    def asked_again(self) -> int:
        lines = self._ask("/stats?filter=cluster.face_api.upstream_rq_retry$").decode()
        return int(lines.rpartition(":")[2] or 0)

    def _ask(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:9901{path}", timeout=5) as answer:
            return bytes(answer.read())


def _envoys_view(status: dict[str, dict[str, object]]) -> View:
    active = [one for one in status["stats"] if one["name"] == "rq_active"]
    health = dict(status["health_status"])
    bad = {name for name, value in health.items() if name.startswith("failed") and value}
    return View(serving=not bad, in_hand=int(str(active[0].get("value", 0))))


class HAProxy:
    name = "haproxy"
    _questions = Path()

    def program(self) -> str | None:
        return program("haproxy")

    @contextlib.contextmanager
    def running(self, hosts: Sequence[Host], folder: Path) -> Iterator[None]:
        self._questions = folder / "questions"
        (folder / "haproxy.cfg").write_text(configuration(self.name, hosts))
        (folder / "questions.cfg").write_text(f"global\n    stats socket {self._questions}\n")
        with _process([str(self.program()), "-db", "-f", "haproxy.cfg", "-f", "questions.cfg"], folder):
            _until(lambda: bool(self._rows()))
            yield

    def views(self) -> list[View]:
        return [View(row["status"].startswith("UP"), int(row["scur"])) for row in self._rows()]

    def asked_again(self) -> int:
        return sum(int(row["wredis"]) for row in self._rows())

    def _rows(self) -> list[dict[str, str]]:
        """What it counts of every host; `wredis`: requests that went to another."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._questions))
            connection.sendall(b"show stat\n")
            lines = connection.makefile().read().removeprefix("# ").strip().splitlines()
        return [row for row in csv.DictReader(lines) if row["svname"].startswith("host")]


@contextlib.contextmanager
def _process(command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / "balancer.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _until(come: Callable[[], bool]) -> None:
    end = time.monotonic() + START_S_MAX
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if come():
                return
        time.sleep(0.05)
    raise AssertionError("the balancer does not answer")


BALANCERS: tuple[Balancer, ...] = (Envoy(), HAProxy())
