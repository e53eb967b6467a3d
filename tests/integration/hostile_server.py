"""Our protocol in a real uvicorn with a small application behind it, and clients that need not behave.

Deadlines are short here; every wait has a generous ceiling, and nothing is asserted about how quick a machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import uvloop

from gateway.edge.connections import Connections
from gateway.edge.conversation import Patience
from gateway.edge.http_protocol import protocol_class
from tests.waiting import wait_until

CEILING_S = 30.0
PATIENCE = Patience(header_s=0.6, grace_s=0.6, idle_s=3.0, linger_s=5.0, drain_s=0.3)
PER_ADDRESS = 12
BIG = 64 * 1024 * 1024
ORIGIN = b"https://app.example"


@dataclass
class Server:
    port: int
    connections: Connections
    left: list[str] = field(default_factory=list)
    server: uvicorn.Server | None = None

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=CEILING_S, source_address=(source, 0))

    def ask(self, data: bytes) -> bytes:
        """Everything that is answered until the server closes or says nothing more for a while."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            return received(client)

    def serves(self) -> bool:
        return self.ask(b"GET /path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").endswith(b"/path")


def until_end(client: socket.socket, end: bytes) -> bytes:
    """What comes until it ends so, in however many pieces; or all of it, where the server closes before."""
    answer = b""
    while not answer.endswith(end) and (part := client.recv(65536)):
        answer += part
    return answer


def received(client: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError, TimeoutError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def small_application(left: list[str]) -> Any:
    """/path answers its path, /refuse answers 503 unread, /read and /api/v1/detect read all, /headers repeats them, /slow is slow, /big answers much."""

    async def answer(send: Any, status: int, body: bytes) -> None:
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]}
        )
        await send({"type": "http.response.body", "body": body})

    async def read(receive: Any) -> int:
        count = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return -1
            count += len(message["body"])
            if not message["more_body"]:
                return count

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        if path == "/refuse":
            await answer(send, 503, b'{"detail":"busy"}')
        elif path in {"/read", "/api/v1/detect"}:
            count = await read(receive)
            if count < 0:
                left.append(path)
            else:
                await answer(send, 200, b"%d" % count)
        elif path == "/slow":
            await read(receive)
            gone = asyncio.ensure_future(receive())
            done, _ = await asyncio.wait({gone}, timeout=1.5)
            left.extend([path] * len(done))
            gone.cancel()
            await answer(send, 200, b"slow")
        elif path == "/big":
            await answer(send, 200, bytes(BIG))
        elif path == "/headers":
            await read(receive)
            await answer(send, 200, b"\n".join(b"%s: %s" % pair for pair in scope["headers"]))
        else:
            await answer(send, 200, path.encode())

    return application


@contextlib.contextmanager
def serving(
    patience: Patience = PATIENCE,
    unsent_max: int = 20 * BIG,
    most: int = 1000,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> Iterator[Server]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    connections = Connections(
        patience, most, PER_ADDRESS, lambda address: address == "127.0.0.9", unsent_max, frozenset({ORIGIN})
    )
    made = Server(listening.getsockname()[1], connections)
    config = uvicorn.Config(
        small_application(made.left), http=protocol_class(connections), ws="none", log_config=None,
        timeout_graceful_shutdown=20,
    )  # fmt: skip
    made.server = uvicorn.Server(config)

    def run() -> None:
        assert made.server is not None
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(made.server.serve(sockets=[listening]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: made.server is not None and made.server.started)
        yield made
    finally:
        made.server.should_exit = True
        thread.join(CEILING_S)
        assert not thread.is_alive()
        listening.close()


def drip(client: socket.socket, data: bytes) -> bytes:
    """Sends a byte now and then until the server has had enough; what it answered."""
    client.settimeout(0.1)
    answer, end = b"", time.monotonic() + CEILING_S
    with contextlib.suppress(ConnectionError):
        for byte in data:
            assert time.monotonic() < end, "never cut"
            client.sendall(bytes([byte]))
            try:
                part = client.recv(65536)
            except TimeoutError:
                continue
            answer += part
            if not part:
                return answer
    client.settimeout(CEILING_S)
    return answer + received(client)


def received_all(client: socket.socket, size: int) -> bytes:
    parts, count = [], 0
    while count < size and (part := client.recv(1 << 20)):
        parts.append(part)
        count += len(part)
    return b"".join([*parts, client.recv(1 << 20) if count <= size else b""])
