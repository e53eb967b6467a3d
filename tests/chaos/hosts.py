"""Two hosts of the service and the shipped HAProxy before them, each in a network namespace of its own.

    client ──unix socket──> balancer (10.0.0.1) ──bridge──┬── one (10.0.0.11:8000)
                                                          └── two (10.0.0.12:8000)

A host can be frozen, killed with all its processes, cut off from the network, and be whole again. Needs root, `ip` and HAProxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.gallery import settings
from tests.service import ROOT, START_S_MAX, Service, processes_below, start

SHIPPED = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
#: What the shipped file asks of every host.
REQUEST_TIMEOUT_S = 8


def what_lacks() -> str:
    """Why the hosts cannot be set up here; empty when they can."""
    if os.geteuid() != 0:
        return "network namespaces want root"
    if missing := [name for name in ("ip", "haproxy") if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}"
    probe = f"fa{os.getpid()}-probe"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "this machine allows no network namespaces"
    _ip("netns", "delete", probe)
    return ""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@dataclass
class Host:
    """One machine: a namespace and the service in it."""

    name: str
    address: str
    balancer: str
    data_dir: Path
    service: Service = field(init=False)

    @property
    def namespace(self) -> str:
        return f"{self.balancer}-{self.name}"

    def open(self) -> None:
        _ip("netns", "add", self.namespace)
        _ip(
            "-n",
            self.balancer,
            "link",
            "add",
            self.name,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self.namespace,
        )
        _ip("-n", self.balancer, "link", "set", self.name, "master", "bridge", "up")
        _ip("-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.namespace, "link", "set", device, "up")

    def start(self) -> None:
        wanted = settings(self.data_dir, workers=1, host=self.address, port=8000, request_timeout=REQUEST_TIMEOUT_S)
        self.service = start(self.data_dir, before=("ip", "netns", "exec", self.namespace), **wanted)

    def until_ready(self) -> None:
        assert self.service.ready.wait(START_S_MAX), self.service.output
        assert self.service.url, self.service.output

    def signal(self, number: int) -> None:
        """To every process of the service at once, the launcher first so that it replaces none."""
        pid = self.service.process.pid
        for one in (pid, *processes_below(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.service.close()

    def cut_off(self) -> None:
        _ip("-n", self.balancer, "link", "set", self.name, "down")

    def connect(self) -> None:
        _ip("-n", self.balancer, "link", "set", self.name, "up")


@dataclass(frozen=True)
class Cluster:
    """socket: where the balancer listens. questions: where it answers what it knows of its hosts."""

    socket: Path
    questions: Path
    one: Host
    two: Host

    def facts(self, name: str) -> dict[str, str]:
        """What the balancer counts of one host: `status`, `scur` (requests it holds), `wredis` (asked of another), …"""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.questions))
            connection.sendall(b"show stat\n")
            lines = connection.makefile().read().removeprefix("# ").split()
        return next(row for row in csv.DictReader(lines) if (row["pxname"], row["svname"]) == ("face_api", name))

    async def until_whole(self) -> None:
        """Until the balancer sends requests to both."""
        async with asyncio.timeout(START_S_MAX):
            while any(self.facts(name)["status"] != "UP" for name in ("one", "two")):  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def two_hosts() -> Iterator[Cluster]:
    """Both serve, and the balancer knows it. Whatever happens nothing of it is left."""
    balancer = f"fa{os.getpid()}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa-hosts-")))
        _ip("netns", "add", balancer)
        stack.callback(_ip, "netns", "delete", balancer)
        _ip("-n", balancer, "link", "add", "bridge", "type", "bridge")
        _ip("-n", balancer, "address", "add", "10.0.0.1/24", "dev", "bridge")
        _ip("-n", balancer, "link", "set", "bridge", "up")
        hosts = [
            Host(name, address, balancer, folder / name)
            for name, address in (("one", "10.0.0.11"), ("two", "10.0.0.12"))
        ]
        for host in hosts:
            host.data_dir.mkdir()
            stack.callback(_ip, "netns", "delete", host.namespace)
            host.open()
            host.start()
            stack.callback(host.kill)
        for host in hosts:
            host.until_ready()
        cluster = Cluster(folder / "http", folder / "questions", *hosts)
        stack.enter_context(_haproxy(cluster, balancer))
        asyncio.run(cluster.until_whole())
        yield cluster


@contextlib.contextmanager
def _haproxy(cluster: Cluster, namespace: str) -> Iterator[None]:
    """With the file as it is shipped, but for where it listens."""
    folder = cluster.socket.parent
    text = SHIPPED.read_text().replace("bind :8080", f"bind unix@{cluster.socket}")
    (folder / "questions.cfg").write_text(f"global\n    stats socket {cluster.questions}\n")
    (folder / "haproxy.cfg").write_text(text)
    command = ["ip", "netns", "exec", namespace, "haproxy", "-db", "-f", "haproxy.cfg", "-f", "questions.cfg"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not cluster.questions.exists():
            assert process.poll() is None, "haproxy ended by itself"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()
