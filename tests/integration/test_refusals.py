"""What is answered outside the application carries what its answers carry; whoever is refused is owned until he is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.access.client_ip import bucket_of
from gateway.edge.arriving import CHUNKS_FREE
from gateway.edge.connections import TURNED_AWAY_MAX, Connections
from gateway.edge.conversation import Patience
from gateway.edge.refusals import HEADER_BYTES_MAX, TOO_MANY_FROM_ONE, TOO_MANY_HERE
from gateway.edge.security_headers import HEADERS
from tests.integration.hostile_server import (
    CEILING_S,
    ORIGIN,
    PATIENCE,
    PER_ADDRESS,
    Server,
    received,
    serving,
    statuses,
    until_end,
    wait_until,
)

ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
START = (
    b"POST /api/v1/detect?confidence=0.5 HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nX-Request-Id: "
    + ID.encode()
    + b"\r\nAccept: */*\r\n"
)
REFUSED = {
    "garbage in a header": (400, b"Bad Header: a\r\n\r\n"),
    "two hosts": (400, b"Host: b\r\n\r\n"),
    "late headers": (408, b"X-Slow: a"),
    "late body": (408, b"Content-Length: 5000\r\n\r\n"),
    "bad chunk": (400, b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "tiny chunks": (413, b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * (CHUNKS_FREE + CHUNKS_FREE // 8)),
    "large header": (431, b"X-A: " + b"a" * HEADER_BYTES_MAX + b"\r\n\r\n"),
    "endless header": (431, b"X-A: " + b"a" * (HEADER_BYTES_MAX * 2)),
    "many headers": (431, b"X-A: a\r\n" * 101 + b"\r\n"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def parsed(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert len(headers) == len(lines) - 1
    return int(lines[0].split()[1]), headers, json.loads(body)


def check_common(headers: dict[str, str]) -> None:
    assert {name.decode(): value.decode() for name, value in HEADERS}.items() <= headers.items()
    assert uuid.UUID(headers["x-request-id"])
    assert headers["connection"] == "close"
    assert headers["date"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_carries_the_headers_of_every_answer_and_words(server: Server, name: str) -> None:
    status, rest = REFUSED[name]
    told, headers, body = parsed(server.ask(START % ORIGIN + rest))
    assert told == status
    check_common(headers)
    assert headers["x-request-id"] == ID
    assert headers["access-control-allow-origin"] == ORIGIN.decode()
    assert "X-Request-Id" in headers["access-control-expose-headers"]
    assert list(body) == ["detail"]


@pytest.mark.parametrize(
    "many", [b"X-A: " + b"a" * HEADER_BYTES_MAX + b"\r\n", b"X-A: a\r\n" * 101], ids=["long", "many"]
)
def test_a_page_reads_that_its_headers_are_too_large_wherever_its_own_name_stands(server: Server, many: bytes) -> None:
    start, _, _ = START.partition(b"Origin: ")
    told, headers, _ = parsed(server.ask(start + many + b"Origin: " + ORIGIN + b"\r\n\r\n"))
    assert told == 431
    assert headers["access-control-allow-origin"] == ORIGIN.decode()


def test_a_page_of_another_origin_and_one_that_is_not_known_yet_are_told_nothing(server: Server) -> None:
    _, rest = REFUSED["large header"]
    for data, vary in (
        (START % b"https://evil.example" + rest, "Origin"),
        ((START % ORIGIN).replace(b"detect", b"admin/keys") + rest, None),
    ):
        _, headers, _ = parsed(server.ask(data))
        check_common(headers)
        assert "access-control-allow-origin" not in headers
        assert headers.get("vary") == vary
    status, headers, _ = parsed(server.ask(b"\x16\x03\x01\x02\x00"))
    assert status == 400
    check_common(headers)


def test_a_refusal_takes_nothing_from_the_request_before_it(server: Server) -> None:
    with server.connect() as client:
        client.sendall(START % ORIGIN + b"Content-Length: 0\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"garbage\r\n\r\n")
        status, headers, _ = parsed(received(client))
    assert status == 400
    assert headers["x-request-id"] != ID
    assert "access-control-allow-origin" not in headers


# Connections that are refused


def test_connections_that_are_refused_and_never_closed_stay_few_and_go() -> None:
    patient = Patience(header_s=CEILING_S, linger_s=1.0, drain_s=0.3)
    with serving(patient, most=2) as server, contextlib.ExitStack() as stack:
        for number in range(2):
            stack.enter_context(server.connect(f"127.0.2.{number}"))
        wait_until(lambda: len(server.connections) == 2)
        clients = [
            stack.enter_context(server.connect(f"127.0.3.{number % 200 + 1}"))
            for number in range(TURNED_AWAY_MAX + 100)
        ]
        wait_until(lambda: server.connections.refused["connections"] == len(clients))
        assert len(server.connections) <= 2 + TURNED_AWAY_MAX
        status, headers, body = parsed(received(clients[-1]))
        check_common(headers)
        assert (status, headers["retry-after"], body["detail"]) == (503, "1", TOO_MANY_HERE.words)
        assert server.server is not None
        uvicorns = server.server.server_state.connections
        wait_until(lambda: len(uvicorns) == 2)


def test_a_stop_does_not_wait_for_refused_connections_nor_for_lingering_ones() -> None:
    patient = Patience(header_s=CEILING_S, grace_s=CEILING_S, linger_s=CEILING_S, drain_s=0.2)
    with serving(patient, most=1) as server, contextlib.ExitStack() as stack:
        lingering = stack.enter_context(server.connect())
        lingering.sendall(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
        assert statuses(lingering.recv(65536)) == [503]
        refused = stack.enter_context(server.connect("127.0.0.2"))
        assert statuses(refused.recv(65536)) == [503]
        assert server.server is not None
        server.server.should_exit = True
        wait_until(lambda: len(server.connections) == 0)


def test_a_full_house_is_full_for_trusted_proxies_too() -> None:
    with serving(most=2) as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(server.connect("127.0.0.9"))
        wait_until(lambda: len(server.connections) == 2)
        assert statuses(received(stack.enter_context(server.connect("127.0.0.9")))) == [503]
    with serving() as server, contextlib.ExitStack() as stack:
        for _ in range(PER_ADDRESS + 1):
            stack.enter_context(server.connect("127.0.0.9"))
        wait_until(lambda: len(server.connections) == PER_ADDRESS + 1)


class Stub:
    """A connection, as those that own it see it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self.loop, self.address, self.bucket = loop, address, bucket_of(address)
        self.transport = asyncio.Transport()


async def test_limits_are_per_64_of_ipv6_and_per_address_of_ipv4() -> None:
    loop = asyncio.get_running_loop()
    house = Connections(PATIENCE, 100, 2, lambda address: address == "2001:db8:9::1")

    def refusals(addresses: list[str]) -> list[object]:
        protocols: list[Any] = [Stub(loop, address) for address in addresses]
        return [house.add(protocol) for protocol in protocols]

    assert refusals(["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:3"]) == [None, None, TOO_MANY_FROM_ONE]
    assert refusals(["2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"]) == [
        None,
        None,
        None,
        TOO_MANY_FROM_ONE,
    ]
    assert refusals(["192.0.2.2", *["2001:db8:9::1"] * 4]) == [None] * 5
    assert house._looking is not None
    house._looking.cancel()


# A fault of ours


def test_a_fault_in_one_connection_ends_that_one_only_and_the_look_goes_on() -> None:
    with serving() as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(3)]
        wait_until(lambda: len(server.connections) == 3)

        def fail(now: float) -> None:
            raise ZeroDivisionError

        victim = min(server.connections._open, key=lambda protocol: protocol.client[1] != clients[1].getsockname()[1])
        victim.look = fail
        assert received(clients[1]) == b""
        assert server.connections.refused == {"fault": 1}
        clients[0].sendall(b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until_end(clients[0], b"/path").endswith(b"/path")
        wait_until(lambda: len(server.connections) == 0)
        assert server.serves()
