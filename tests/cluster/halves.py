"""Gateways here, hosts of workers in network namespaces of their own, real launchers all of them.

clients ── gateways (10.0.0.1) ──bridge──┬── workers1 (10.0.0.21:7400)
                                         └── workers2 (10.0.0.22:7400)
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.balancing import Host as Address
from deploy.wire_keys import make
from tests.chaos.gallery import network, settings
from tests.cluster.hosts import Host
from tests.service import ROOT, Service, environment, start
from tests.stub_worker import SIDE

PORT = 7400


@dataclass
class WorkersHost(Host):
    """stubs: so many workers that obey pictures, instead of one with a network."""

    keys: Path = field(kw_only=True)
    stubs: int = field(default=0, kw_only=True)

    @property
    def place(self) -> str:
        return f"{self.address.address}:{PORT}"

    def start(self) -> None:
        wanted = {
            "role": "workers", "wire_bind": f"tcp://{self.place}", "wire_key_file": self.keys / "workers.key",
            "wire_peers": self.keys / "gateways.pub", "workers": 1, "metrics_port": -1,
        }  # fmt: skip
        before = ("ip", "netns", "exec", self.name)
        if self.stubs:
            self._start_stubs(before, wanted)
        else:
            self.service = start(self.data_dir, before=before, **settings(self.data_dir, **wanted))

    def _start_stubs(self, before: Sequence[str], wanted: dict[str, object]) -> None:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.stub_pool", str(self.stubs)], cwd=ROOT, text=True,
            env=environment(data_dir=self.data_dir, runtime_dir=self.data_dir, **wanted),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.service = Service(process)
        self.service.begin_reading()

    def until_ready(self) -> None:
        """A gateway sees it."""

    def deaths(self) -> int:
        """How many of its workers have died, as its pool says."""
        return sum("a replacement starts" in line for line in self.service.lines)


@dataclass
class GatewayHost:
    """A gateway process that clients on this machine ask."""

    runtime_dir: Path
    port: int
    service: Service

    def serving(self) -> int:
        """How many workers serve it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/health")
            return int(json.loads(connection.getresponse().read())["workers"])
        return 0

    def convicted(self) -> int:
        return len(list((self.runtime_dir / "gateways" / "quarantine").glob("*.poison")))


@contextlib.contextmanager
def open_halves(
    gateways: int, workers: int, stubs: int = 0, redis_url: str = ""
) -> Iterator[tuple[list[GatewayHost], list[WorkersHost]]]:
    """So many of each that start; the wire must have been laid."""
    with tempfile.TemporaryDirectory(prefix="fa-halves-") as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        for name in ("workers", "gateways"):
            make(name, folder)
        kind, first = ("stubs", 30) if stubs else ("workers", 20)
        behind = [
            WorkersHost(
                f"{kind}{number}",
                Address(f"10.0.0.{first + number}", 8000),
                folder / f"w{number}",
                keys=folder,
                stubs=stubs,
            )
            for number in range(1, workers + 1)
        ]
        for host in behind:
            host.data_dir.mkdir()
            network(host.data_dir)
            (host.data_dir / "workers").mkdir()
            host.attach()
            host.start()
            stack.callback(host.kill)
        before = [_gateway(folder, number, behind, redis_url, stubs) for number in range(1, gateways + 1)]
        for one in before:
            stack.callback(one.service.close)
        yield before, behind


def _gateway(folder: Path, number: int, behind: Sequence[WorkersHost], redis_url: str, stubs: int) -> GatewayHost:
    data_dir = folder / f"g{number}"
    runtime_dir = data_dir / "run"
    runtime_dir.mkdir(parents=True, mode=0o700)
    port = 8000 + number
    wanted = {
        "role": "gateway", "wire_hosts": ",".join(host.place for host in behind), "runtime_dir": runtime_dir,
        "wire_key_file": folder / "gateways.key", "wire_peers": folder / "workers.pub", "redis_url": redis_url, "port": port,
        "gateway_processes": 1, "decode_processes": 1, "metrics_port": -1, "request_timeout": 20,
    }  # fmt: skip
    chosen = settings(data_dir, model="auto", **wanted) | ({"input_side": SIDE} if stubs else {})
    return GatewayHost(runtime_dir, port, start(data_dir, **chosen))
