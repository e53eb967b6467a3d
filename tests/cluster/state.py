"""What hosts share, taken away and given back: which requests pass then, and that limits are exact over all hosts again.

And more of the same hosts: the rate grows as their number. What is asked is the table in gateway/ACCESS.md.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

from gateway.stores.key_format import new_key
from tests.chaos.gallery import Known, gallery
from tests.cluster import servers
from tests.cluster.alone import inside
from tests.cluster.balancers import PORT, Envoy
from tests.cluster.hosts import Host, open_hosts
from tests.cluster.load import Load
from tests.cluster.seen import Seen, seen
from tests.cluster.servers import Server
from tests.service import ROOT, environment

HOSTS = 3
#: A host answers 8 a second: far less than its cores could, so that they change little.
STUB_MS, WORKERS = 250, 2
LIMIT = 30
#: Requests to all hosts: more than the limit of each.
TRIES = 4 * LIMIT
CLIENTS_PER_HOST = 8
GROWTH_S = 16.0
OFF_MAX = 0.05
#: Until what is awaited is so, at most.
PATIENCE_S = 40.0
MORE = {
    "workers": WORKERS, "metrics_port": servers.METRICS_PORT, "api_key_enabled": "true", "rate_limit_enabled": "true",
    "rate_limit_detect": LIMIT, "rate_limit_wrong_keys": 10_000, "key_pepper": "5" * 64, "key_check_seconds": 0.5,
    "database_url": servers.DATABASE_URL, "redis_url": servers.REDIS_URL,
}  # fmt: skip


class Anything(Known):
    """A picture whose answer may hold any face: stubs look at nothing."""

    def wrong(self, _answer: dict[str, Any]) -> str:
        return ""


@dataclass
class State:
    """The hosts, what they share, and what was seen so far."""

    hosts: Sequence[Host]
    key: str
    picture: bytes
    seen: list[Seen] = field(default_factory=list)
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 250)))

    async def see(self, when: str, what: str, wanted: object, ask: Callable[[], Awaitable[object]]) -> None:
        """Asks until it is as wanted, or for so long as that may take."""
        end, found = time.monotonic() + PATIENCE_S, await ask()
        while found != wanted and time.monotonic() < end:
            await asyncio.sleep(0.5)
            found = await ask()
        self.seen.append(seen(when, what, wanted, found))

    async def burst(self) -> dict[int, int]:
        """Answers by status of one client that asks all hosts at once, from an address that nobody had before."""
        address = f"198.51.100.{next(self._addresses)}"
        async with httpx2.AsyncClient(timeout=60) as client:
            asked = [self._detect(client, number, self.key, address) for number in range(TRIES)]
            return dict(sorted(Counter(await asyncio.gather(*asked)).items()))

    async def detect(self, key: str) -> list[int]:
        """One request to each host."""
        address = f"198.51.100.{next(self._addresses)}"
        async with httpx2.AsyncClient(timeout=60) as client:
            return [await self._detect(client, number, key, address) for number in range(len(self.hosts))]

    async def get(self, path: str) -> list[int]:
        async with httpx2.AsyncClient(timeout=60) as client:
            return [(await client.get(f"{url(host)}/{path}")).status_code for host in self.hosts]

    async def make_key(self, **more: object) -> tuple[int, str]:
        """(status, the key) of a new one, asked of the last host."""
        async with httpx2.AsyncClient(timeout=60) as client:
            made = await client.post(
                f"{url(self.hosts[-1])}/api/v1/admin/keys", headers={"X-API-Key": self.key}, json={"name": "n"} | more
            )
            return made.status_code, made.json().get("key", "")

    async def _detect(self, client: httpx2.AsyncClient, number: int, key: str, address: str) -> int:
        host = self.hosts[number % len(self.hosts)]
        headers = {"X-API-Key": key, "X-Forwarded-For": address, "Content-Type": "image/png"}
        answer = await client.post(f"{url(host)}/api/v1/detect", headers=headers, content=self.picture)
        return int(answer.status_code)


def url(host: Host) -> str:
    return f"http://{host.address.address}:{host.address.port}"


async def limits_are_exact(state: State, when: str) -> None:
    await state.see(when, "limits over all hosts", {200: LIMIT, 429: TRIES - LIMIT}, state.burst)


async def without_valkey(state: State, when: str) -> None:
    count = len(state.hosts)
    await state.see(when, "limits of each host", {200: LIMIT * count, 429: TRIES - LIMIT * count}, state.burst)
    await state.see(when, "known key", [200] * count, lambda: state.detect(state.key))
    await state.see(when, "/readyz", [200] * count, lambda: state.get("readyz"))


async def without_key_store(state: State, when: str) -> None:
    await state.see(when, "unknown key", [503] * len(state.hosts), lambda: state.detect(new_key()))
    await state.see(when, "known key", [200] * len(state.hosts), lambda: state.detect(state.key))
    await state.see(when, "a key is made", 503, lambda: _status(state))
    await state.see(when, "/health", [503] * len(state.hosts), lambda: state.get("health"))
    await state.see(when, "/readyz", [200] * len(state.hosts), lambda: state.get("readyz"))
    await limits_are_exact(state, when)


async def all_is_well(state: State, when: str) -> None:
    await state.see(when, "unknown key", [401] * len(state.hosts), lambda: state.detect(new_key()))
    await state.see(when, "a key is made", 201, lambda: _status(state))
    await state.see(when, "/health", [200] * len(state.hosts), lambda: state.get("health"))
    await limits_are_exact(state, when)


async def _status(state: State) -> int:
    return (await state.make_key())[0]


async def through_faults(state: State, valkey: Server, stores: Sequence[Server]) -> None:
    for server, then in ((valkey, without_valkey), *((store, without_key_store) for store in stores)):
        for fault, strike, mend in (
            ("killed", server.kill, server.start),
            ("frozen", server.freeze, server.thaw),
            ("cut off", server.cut_off, server.connect),
        ):
            await asyncio.to_thread(strike)
            await then(state, f"{server.name} {fault}")
            await asyncio.to_thread(mend)
            await all_is_well(state, f"{server.name} back")


async def growth(state: State, folder: Path) -> None:
    """The rate of one, two and three hosts behind Envoy. Its key has limits of its own, beyond what is asked."""
    _, key = await state.make_key(detect_limit=1_000_000)
    pictures, single = [Anything(known.file, known.faces) for known in gallery(8)], 0.0
    for count in range(1, len(state.hosts) + 1):
        with Envoy().running([host.address for host in state.hosts[:count]], folder):
            await asyncio.sleep(5)  # a look at every host
            rate = await _full_rate(pictures, CLIENTS_PER_HOST * count, key)
        single = single or rate
        share = rate / (single * count)
        found = f"{rate:.1f}/s, {share:.3f} of linear"
        state.seen.append(seen(f"{count} hosts", "rate", found if abs(share - 1) <= OFF_MAX else "linear", found))


async def _full_rate(pictures: Sequence[Known], clients: int, key: str) -> float:
    load = Load(PORT, pictures, clients, headers=f"X-API-Key: {key}\r\n")
    load.begin()
    await asyncio.sleep(2)
    before = len(load.asked)
    await asyncio.sleep(GROWTH_S)
    rate = sum(one.became == "ok" for one in load.asked[before:]) / GROWTH_S
    await load.end()
    return rate


async def watched(state: State, prometheus: Server) -> None:
    """What Prometheus sees of the hosts, with the shipped rules."""
    base = f"http://{prometheus.address.address}:{prometheus.address.port}/api/v1"
    rules = [rule["alert"] for rule in yaml.safe_load(servers.ALERTS.read_text())["groups"][0]["rules"]]

    async def asked(path: str) -> dict[str, Any]:
        async with httpx2.AsyncClient(timeout=30) as client:
            return dict((await client.get(f"{base}/{path}")).json()["data"])

    async def up() -> list[str]:
        return [one["health"] for one in (await asked("targets"))["activeTargets"]]

    async def loaded() -> list[str]:
        return [rule["name"] for group in (await asked("rules"))["groups"] for rule in group["rules"]]

    async def ready() -> int:
        found = (await asked("query?query=sum(face_api_ready)"))["result"]
        return int(found[0]["value"][1]) if found else 0

    count = len(state.hosts)
    await state.see("prometheus", "hosts up", ["up"] * count, up)
    await state.see("prometheus", "rules loaded", rules, loaded)
    await state.see("prometheus", "hosts ready", count, ready)
    await asyncio.to_thread(state.hosts[0].kill)
    await state.see("a host killed", "hosts up", ["down", *["up"] * (count - 1)], lambda: _sorted(up))
    await asyncio.to_thread(state.hosts[0].start)
    await asyncio.to_thread(state.hosts[0].until_ready)
    await state.see("a host back", "hosts ready", count, ready)


async def _sorted(ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
    return sorted(await ask())


def rehearse_state() -> list[Seen]:
    """To be asked for once, on a wire that lies."""
    with ExitStack() as stack:
        folders = {
            name: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"fa-{name}-")))
            for name in ("valkey", "postgres", "pgbouncer", "prometheus", "envoy")
        }
        valkey = stack.enter_context(servers.running(servers.valkey(folders["valkey"])))
        postgres = stack.enter_context(servers.running(servers.postgres(folders["postgres"])))
        pgbouncer = stack.enter_context(servers.running(servers.pgbouncer(folders["pgbouncer"], postgres)))
        hosts = stack.enter_context(open_hosts(HOSTS, STUB_MS, MORE))
        watching = servers.prometheus(folders["prometheus"], [host.address for host in hosts])
        prometheus = stack.enter_context(servers.running(watching))
        state = State(hosts, _key_by(hosts[0]), gallery(1)[0].file)
        asyncio.run(_rehearsed(state, valkey, (pgbouncer, postgres), prometheus, folders["envoy"]))
        return state.seen


async def _rehearsed(state: State, valkey: Server, stores: Sequence[Server], prometheus: Server, folder: Path) -> None:
    await all_is_well(state, "all there")
    await growth(state, folder)
    await watched(state, prometheus)
    await through_faults(state, valkey, stores)


def _key_by(host: Host) -> str:
    """Made on the command line of one host, known on all."""
    made = subprocess.run(
        [*inside(host.name), sys.executable, "-m", "gateway.keys", "create", "--name", "rehearsal",
         "--scope", "detect", "--scope", "admin"],
        env=environment(data_dir=host.data_dir, **MORE), cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return made.stdout.splitlines()[0]
