"""Slow and hostile HTTP clients against our protocol in a real uvicorn, with a small application behind it.

Deadlines are short here; every wait has a generous ceiling, and nothing is asserted about how quick a machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
import uvloop

from gateway.edge.connections import LOOK_INTERVAL_S, Connections, to_cut
from gateway.edge.conversation import Patience
from gateway.edge.http_protocol import (
    CHUNKS_FREE,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    PIPELINED_MAX,
    Protocol,
    protocol_class,
)

CEILING_S = 30.0
PATIENCE = Patience(header_s=0.6, grace_s=0.6, idle_s=3.0, linger_s=5.0, drain_s=0.3)
PER_ADDRESS = 12
BIG = 64 * 1024 * 1024


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


def received(client: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError, TimeoutError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def small_application(left: list[str]) -> Any:
    """/path answers its path, /refuse answers 503 unread, /read reads all, /slow is slow, /big answers much."""

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
        elif path == "/read":
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
        else:
            await answer(send, 200, path.encode())

    return application


@contextlib.contextmanager
def serving(patience: Patience = PATIENCE, unsent_max: int = 20 * BIG) -> Iterator[Server]:
    listening = socket.create_server(("127.0.0.1", 0))
    connections = Connections(patience, 1000, PER_ADDRESS, lambda address: address == "127.0.0.9", unsent_max)
    made = Server(listening.getsockname()[1], connections)
    config = uvicorn.Config(
        small_application(made.left), http=protocol_class(connections), ws="none", log_config=None,
        timeout_graceful_shutdown=20,
    )  # fmt: skip
    made.server = uvicorn.Server(config)

    def run() -> None:
        assert made.server is not None
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(made.server.serve(sockets=[listening]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        end = time.monotonic() + CEILING_S
        while not made.server.started and time.monotonic() < end:
            time.sleep(0.01)
        yield made
    finally:
        made.server.should_exit = True
        thread.join(CEILING_S)
        assert not thread.is_alive()
        listening.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


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


# Slow


def test_a_connection_that_says_nothing_is_closed_without_a_word(server: Server) -> None:
    with server.connect() as client:
        assert received(client) == b""


def test_dripping_headers_get_408_at_an_absolute_deadline(server: Server) -> None:
    with server.connect() as client:
        answer = drip(client, b"GET /path HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 500)
    assert statuses(answer) == [408]
    assert "detail" in json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert b"connection: close" in answer


def test_a_second_request_on_a_connection_has_the_same_deadline(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(4096).endswith(b"/path")
        assert statuses(drip(client, b"GET /path HTTP/1.1\r\nHost: " + b"a" * 500)) == [408]


def test_a_dripping_body_gets_408_and_the_application_hears_that_nobody_is_there(server: Server) -> None:
    server.left.clear()
    with server.connect() as client:
        client.sendall(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        assert statuses(drip(client, b"a" * 500)) == [408]
    wait_until(lambda: server.left == ["/read"])


def test_a_slow_answer_is_not_the_clients_fault(server: Server) -> None:
    assert server.ask(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").endswith(b"slow")


def test_an_idle_connection_is_closed_after_its_time(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n")
        assert received(client).endswith(b"/path")


def test_a_client_that_does_not_read_its_answer_is_cut(server: Server) -> None:
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: server.connections.refused["slow reader"] > 0)
    wait_until(lambda: len(server.connections) == 0)


def test_unread_answers_beyond_the_limit_cost_the_one_who_owes_longest_his_connection() -> None:
    """Three clients take a little of an answer, slowly enough to be patient with; there is room for two answers."""
    patience = Patience(header_s=CEILING_S, grace_s=CEILING_S)
    with serving(patience, unsent_max=2 * BIG) as server, contextlib.ExitStack() as open_clients:
        clients = []
        for _ in range(3):
            client = open_clients.enter_context(server.connect())
            client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            clients.append(client)
            assert client.recv(1)
            time.sleep(3 * LOOK_INTERVAL_S)
        wait_until(lambda: len(server.connections) == 2)
        assert len(received(clients[0])) < BIG
        for client in clients[1:]:
            assert len(received_all(client, BIG)) > BIG
        assert server.connections.refused == {"unread answers": 1}


@pytest.mark.parametrize(
    ("most", "cut"), [(60, []), (59, ["old"]), (30, ["old"]), (29, ["old", "large"]), (0, ["old", "large", "new"])]
)
def test_who_owes_most_memory_for_longest_is_cut_first(most: int, cut: list[str]) -> None:
    owing: list[Any] = [(5.0, 10, "new"), (300.0, 30, "old"), (200.0, 20, "large")]
    assert to_cut(owing, most) == cut


def received_all(client: socket.socket, size: int) -> bytes:
    parts, count = [], 0
    while count < size and (part := client.recv(1 << 20)):
        parts.append(part)
        count += len(part)
    return b"".join([*parts, client.recv(1 << 20) if count <= size else b""])


def wait_until(condition: Any) -> None:
    end = time.monotonic() + CEILING_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# Early answers


@pytest.mark.parametrize("size", [1000, 300_000, 25_000_000])
def test_an_early_refusal_is_seen_by_a_client_that_sends_everything_before_it_reads(server: Server, size: int) -> None:
    for _ in range(10):
        with server.connect() as client:
            client.sendall(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            client.sendall(bytes(size))
            assert client.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_a_connection_goes_on_when_little_was_left_unread_and_ends_when_much_was(server: Server) -> None:
    with server.connect() as client:
        for size, ends in ((1000, False), (10_000_000, True)):
            client.sendall(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            answer = client.recv(4096)
            assert (b"connection: close" in answer) == ends
            client.sendall(bytes(size))


def test_who_expects_100_gets_it_only_when_the_body_is_wanted(server: Server) -> None:
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with server.connect() as client:
        client.sendall(head % b"read")
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abcd")
        assert client.recv(4096).endswith(b"4")
    with server.connect() as client:
        client.sendall(head % b"refuse")
        answer = received(client)
    assert statuses(answer) == [503]
    assert b"connection: close" in answer


# Odd

ODD = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "list of lengths": b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "negative length": b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
    "length and chunks": b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n",
    "chunk without end": b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "huge chunk size": b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "flood of chunks": b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\na\r\n" * (CHUNKS_FREE * 2),
    "unknown encoding": b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "huge header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * HEADER_BYTES_MAX + b"\r\n\r\n",
    "huge target": b"GET /" + b"a" * HEADER_BYTES_MAX + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: a\r\n" * (HEADERS_MAX + 1) + b"\r\n",
    "header without end": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * (HEADER_BYTES_MAX * 2),
    "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "null in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n",
    "bare return in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\rb\r\n\r\n",
    "later version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "preface of http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "connect": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "target with other letters": "GET /größe HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_http_gets_a_clean_refusal_or_a_close(server: Server, name: str) -> None:
    answer = server.ask(ODD[name])
    assert set(statuses(answer)) <= {400, 404, 408, 431}, answer[:300]
    assert len(statuses(answer)) <= 1
    assert server.serves()


def test_what_is_just_within_the_limits_is_served(server: Server) -> None:
    headers = b"X-A: a\r\n" * (HEADERS_MAX - 2)
    answer = server.ask(b"GET /path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n")
    assert statuses(answer) == [200]
    chunks = b"1\r\na\r\n" * CHUNKS_FREE + b"0\r\n\r\n"
    head = b"POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert server.ask(head + chunks).endswith(b"%d" % CHUNKS_FREE)


def test_pipelined_requests_are_answered_in_order_and_a_flood_of_them_is_cut(server: Server) -> None:
    def requests(count: int) -> bytes:
        return b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count))

    answer = server.ask(requests(PIPELINED_MAX // 2))
    assert [part.rsplit(b"/", 1)[-1] for part in answer.split(b"HTTP/1.1 200")[1:]] == [
        b"%d" % number for number in range(PIPELINED_MAX // 2)
    ]
    answers = server.ask(requests(1000))
    assert 0 < len(statuses(answers)) < 1000
    assert server.serves()


def test_garbage_behind_a_good_request_does_not_mix_into_its_answer(server: Server) -> None:
    answer = server.ask(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n\x00\x01garbage\r\n\r\n")
    assert statuses(answer) == [200]
    assert answer.endswith(b"slow")


def test_a_half_closed_client_is_taken_to_have_left(server: Server) -> None:
    server.left.clear()
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""
    wait_until(lambda: server.left == ["/slow"])


def test_an_upgrade_is_answered_as_an_ordinary_request_and_the_connection_ends(server: Server) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    answer = server.ask(b"GET /path HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n")
    assert statuses(answer) == [200]
    assert server.serves()


# Many


def test_one_address_gets_so_many_connections_others_and_trusted_proxies_are_let_in(server: Server) -> None:
    wait_until(lambda: len(server.connections) == 0)
    with contextlib.ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            stack.enter_context(server.connect())
        wait_until(lambda: len(server.connections) == PER_ADDRESS)
        assert statuses(received(stack.enter_context(server.connect()))) == [503]
        for source in ("127.0.0.2", "127.0.0.9"):
            client = stack.enter_context(server.connect(source))
            client.sendall(b"GET /path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert received(client).endswith(b"/path")
        for _ in range(PER_ADDRESS + 1):
            stack.enter_context(server.connect("127.0.0.9"))
    wait_until(lambda: len(server.connections) == 0)
    assert server.connections._per_address == {}


def test_hundreds_of_silent_and_dripping_connections_are_all_gone_after_their_deadline() -> None:
    with serving() as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(f"127.0.1.{number // 8 + 1}")) for number in range(400)]
        for client in clients[::2]:
            client.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        assert server.serves()
        wait_until(lambda: len(server.connections) == 0)
        assert server.serves()


# Stopping


def test_a_stopping_server_answers_what_is_in_flight_closes_what_is_idle_and_takes_nothing_new() -> None:
    with serving() as server:
        assert server.server is not None
        with server.connect() as busy, server.connect() as idle:
            for client, path in ((busy, b"slow"), (idle, b"path")):
                client.sendall(b"GET /" + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.recv(4096).endswith(b"/path")
            server.server.should_exit = True
            answer = received(busy)
            assert answer.endswith(b"slow")
            assert b"connection: close" in answer
            assert received(idle) == b""
        wait_until(lambda: len(server.connections) == 0)
        with pytest.raises(OSError):
            server.connect()


def test_the_protocol_is_bound_to_one_process_each() -> None:
    first, second = (protocol_class(Connections(PATIENCE, 1, 1, bool)) for _ in range(2))
    assert first.connections_of_process is not second.connections_of_process
    assert issubclass(first, Protocol)
