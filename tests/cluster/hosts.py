"""Hosts of the real service, each in a network namespace of its own on one wire.

    clients ── balancer (10.0.0.1) ──bridge──┬── host1 (10.0.0.11:8000)
                                             └── host2 (10.0.0.12:8000)

A host can be frozen, killed with all its processes, cut off from the network, and be whole again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.balancing import Host as Address
from deploy.timings import TimeTable, of_hosts
from shared.settings import PREFIX
from tests.chaos.gallery import settings
from tests.cluster.alone import attach, detach, inside, ip
from tests.cluster.stub_host import SIDE, STUB_MS
from tests.service import START_S_MAX, STOP_S_MAX, Service, processes_below, start

BALANCER = "10.0.0.1"


@dataclass
class Host:
    """One machine: a namespace and the service in it. more: settings. stub_ms: what its workers take, if they are stubs."""

    name: str
    address: Address
    data_dir: Path
    more: dict[str, object] = field(default_factory=dict)
    stub_ms: int = 0
    service: Service = field(init=False)

    def attach(self) -> None:
        attach(self.name, self.address.address)

    def start(self) -> None:
        wanted = {name.removeprefix(PREFIX).lower(): value for name, value in of_hosts(TimeTable()).items()}
        wanted |= {"host": self.address.address, "port": self.address.port, "trusted_proxies": BALANCER, "workers": 1}
        wanted |= {"gateway_processes": 1, "decode_processes": 1, "metrics_port": -1}
        wanted |= {"metrics_host": self.address.address}
        wanted |= self.more
        if self.stub_ms:
            before, module = (*inside(self.name), "env", f"{STUB_MS}={self.stub_ms}"), "tests.cluster.stub_host"
            chosen = {"input_side": SIDE, "mask_second_side": 0, "log_level": "warning"} | wanted
        else:
            before, module, chosen = inside(self.name), "deploy.launch", settings(self.data_dir, **wanted)
        self.service = start(self.data_dir, before=before, module=module, **chosen)

    def until_ready(self) -> None:
        assert self.service.ready.wait(START_S_MAX), self.service.output
        assert self.service.url, self.service.output

    def signal(self, number: int) -> None:
        """To every process of the service at once, the launcher first so that it replaces none."""
        pid = self.service.process.pid
        for one in (pid, *processes_below(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.service.close()

    def restart(self) -> None:
        """As an update does it: told to stop, waited for, started again."""
        self.service.process.send_signal(signal.SIGTERM)
        code = self.service.process.wait(STOP_S_MAX)
        self.service.close()
        assert code == 0, self.service.output
        self.start()
        self.until_ready()

    def cut_off(self) -> None:
        ip("link", "set", self.name, "down")

    def connect(self) -> None:
        ip("link", "set", self.name, "up")


@contextlib.contextmanager
def open_hosts(count: int, stub_ms: int = 0, more: dict[str, object] | None = None) -> Iterator[list[Host]]:
    """So many that serve, on the wire."""
    with tempfile.TemporaryDirectory(prefix="fa-hosts-") as text:
        folders = [Path(text) / f"host{number}" for number in range(1, count + 1)]
        hosts = [
            Host(folder.name, Address(f"10.0.0.{10 + number}", 8000), folder, dict(more or {}), stub_ms)
            for number, folder in enumerate(folders, 1)
        ]
        try:
            for host in hosts:
                host.data_dir.mkdir()
                host.attach()
                host.start()
            for host in hosts:
                host.until_ready()
            yield hosts
        finally:
            for host in hosts:
                if hasattr(host, "service"):
                    host.kill()
                    detach(host.name)
