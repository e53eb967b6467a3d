"""A small balancer for tests: looks at /readyz and passes whole requests on to a ready instance.

Like every balancer it asks another instance when a connection is refused; what was sent once is never sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from tests.chaos.client import Answer, Client, Lost, NotReached

LOOK_INTERVAL_S = 0.2


class Balancer:
    """Listens on `port`; the instances are known by their ports."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.ready = dict.fromkeys(ports, True)
        self.port = 0
        self._turn = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks = [asyncio.create_task(self._look(port)) for port in self.ports]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_all_ready(self) -> None:
        async with asyncio.timeout(120):
            while not all(self.ready.values()):  # noqa: ASYNC110 — set by the looks
                await asyncio.sleep(0.05)

    async def _look(self, port: int) -> None:
        client = Client(port)
        while True:
            try:
                async with asyncio.timeout(5):
                    self.ready[port] = (await client.get("/readyz")).status == 200
            except (Lost, NotReached, TimeoutError):
                self.ready[port] = False
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection; its own connections to the instances."""
        clients = {port: Client(port) for port in self.ports}
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                request = head + await reader.readexactly(length)
                writer.write(_as_bytes(await self._ask(clients, request)))
        for client in clients.values():
            client.close()
        writer.close()

    async def _ask(self, clients: dict[int, Client], request: bytes) -> Answer:
        for _ in range(len(self.ports)):
            port = self._choose()
            with contextlib.suppress(NotReached):
                return await clients[port].ask(request)
            self.ready[port] = False
        return Answer(502, {}, b"{}")

    def _choose(self) -> int:
        self._turn += 1
        ready = [port for port in self.ports if self.ready[port]] or self.ports
        return ready[self._turn % len(ready)]


def _as_bytes(answer: Answer) -> bytes:
    return b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n" % (answer.status, len(answer.body)) + answer.body
