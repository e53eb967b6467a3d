"""Both halves as a test has them: real pools that keep stub workers, reached over tcp with keys, and real dispatchers."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from gateway.dispatching.dispatch import Dispatcher
from gateway.dispatching.opening import worker_hosts
from gateway.dispatching.quarantine_share import sharing
from gateway.stores.redis_news import open_client
from loadtest.ports import free_ports
from shared.logs import open_log
from shared.settings import Settings
from tests.integration.asking import Asked
from tests.integration.split.wires import Wire, wire
from tests.stub_pool import StubPool, stub_pool


@dataclass(frozen=True)
class Pair:
    public: str
    secret: str

    @staticmethod
    def new() -> Pair:
        return Pair(*(key.decode() for key in zmq.curve_keypair()))


@dataclass
class WorkersHost:
    """A host of workers behind a wire. said: its log."""

    pool: StubPool
    wire: Wire
    said: io.StringIO

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.wire.near}"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said.getvalue().splitlines()]

    def deaths(self) -> int:
        assert self.pool.roll is not None
        return len(self.pool.roll.ended)


@dataclass
class GatewayHost(Asked):
    """One gateway process's dispatcher. told: what it logs."""

    told: list[tuple[str, dict[str, object]]]
    complaints: list[str] = field(default_factory=list)

    @property
    def serving(self) -> int:
        return len(self.dispatcher.workers)

    def links(self) -> dict[str, int]:
        return self.dispatcher.links(asyncio.get_running_loop().time())

    def why(self, event: str) -> list[str]:
        return [str(facts["why"]) for name, facts in self.told if name == event]


@dataclass
class Houses:
    """Makes hosts of both kinds, and ends them. allowed: the file of gateways' public keys that every pool reads."""

    folder: Path
    stack: AsyncExitStack
    workers_key: Pair = field(default_factory=Pair.new)
    gateways_key: Pair = field(default_factory=Pair.new)

    def __post_init__(self) -> None:
        self.allowed.write_text(f"{self.gateways_key.public} gateways\n")
        self.servers.write_text(f"{self.workers_key.public} workers\n")

    @property
    def allowed(self) -> Path:
        return self.folder / "allowed"

    @property
    def servers(self) -> Path:
        return self.folder / "servers"

    async def workers(self, count: int = 1, key: Pair | None = None) -> WorkersHost:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        first = free_ports(1 + count)
        settings = Settings(
            runtime_dir=str(folder), role="workers", wire_bind=f"tcp://127.0.0.1:{first}", log_format="json",
            wire_key=(key or self.workers_key).secret, wire_peers=str(self.allowed),
        )  # fmt: skip
        said = io.StringIO()
        pool = stub_pool(settings, count, open_log(settings, "pool", said))
        running = asyncio.create_task(pool.run())
        self.stack.push_async_callback(_ended, pool, running)
        return WorkersHost(pool, await self.stack.enter_async_context(wire(first, 1 + count)), said)

    async def sharing_gateway(self, url: str, *hosts: WorkersHost) -> GatewayHost:
        """One whose findings go to other hosts by way of a Redis."""
        gateway = self.gateway(*hosts)
        loops = gateway.dispatcher.loops
        shared = sharing(open_client(url, 1.0), gateway.dispatcher.quarantine, loops, gateway.complaints.append)
        await self.stack.enter_async_context(shared)
        return gateway

    def gateway(self, *hosts: WorkersHost | str, key: Pair | None = None, **more: Any) -> GatewayHost:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        settings = Settings(
            runtime_dir=str(folder), role="gateway", wire_hosts=",".join(host if isinstance(host, str) else host.place for host in hosts),
            wire_key=(key or self.gateways_key).secret, wire_peers=str(self.servers), **more,
        )  # fmt: skip
        told: list[tuple[str, dict[str, object]]] = []

        def tell(event: str, facts: dict[str, object]) -> None:
            told.append((event, facts))

        name = f"gateway-{folder.name}"
        dispatcher = Dispatcher(folder, name, tell, worker_hosts(settings, name, tell))
        dispatcher.open()
        self.stack.push_async_callback(dispatcher.aclose)
        return GatewayHost(dispatcher, told)


async def _ended(pool: StubPool, running: asyncio.Task[int]) -> None:
    pool.stopping.set()
    await running


@asynccontextmanager
async def houses() -> AsyncIterator[Houses]:
    folder = Path(tempfile.mkdtemp(prefix="fa-"))
    try:
        async with AsyncExitStack() as stack:
            yield Houses(folder, stack)
    finally:
        shutil.rmtree(folder)
