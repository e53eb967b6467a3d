"""What lies between two hosts, as a test breaks it: TCP connections that are cut with a reset, or stand still."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from loadtest.ports import free_ports

READ_SIZE = 65536


@dataclass
class Wire:
    """Forwards `count` ports from `near` on to those from `far` on. flows: cleared, nothing moves and nobody is told."""

    near: int
    far: int
    count: int
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    ends: set[asyncio.StreamWriter] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def forward(self, above: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            beyond, answers = await asyncio.open_connection("127.0.0.1", self.far + above)
        except OSError:
            writer.close()
            return
        self.ends |= {writer, answers}
        for source, target in ((reader, answers), (beyond, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(READ_SIZE):
                await self.flows.wait()
                target.write(data)
                await target.drain()
        target.close()

    def reset(self) -> None:
        """Every connection ends as a router that was restarted ends it."""
        for end in self.ends:
            with contextlib.suppress(OSError, AttributeError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()
        self.ends.clear()


@asynccontextmanager
async def wire(far: int, count: int) -> AsyncIterator[Wire]:
    laid = Wire(free_ports(count), far, count)
    laid.flows.set()
    servers = [
        await asyncio.start_server(lambda r, w, above=above: laid.forward(above, r, w), "127.0.0.1", laid.near + above)
        for above in range(count)
    ]
    try:
        yield laid
    finally:
        for server in servers:
            server.close()
        laid.reset()
        for task in list(laid.tasks):
            task.cancel()
        await asyncio.gather(*laid.tasks, return_exceptions=True)
