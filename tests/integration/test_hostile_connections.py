"""Connections that are slow, silent, or too many: cut by their deadlines and limits, and the others go on."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.edge.connections import LOOK_INTERVAL_S, Connections, to_cut
from gateway.edge.conversation import Patience
from gateway.edge.http_protocol import Protocol, protocol_class
from tests.integration.hostile_server import (
    BIG,
    CEILING_S,
    PATIENCE,
    PER_ADDRESS,
    Server,
    drip,
    received,
    received_all,
    serving,
    statuses,
    until_end,
    wait_until,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


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


def test_a_second_request_on_a_connection_has_the_same_deadline() -> None:
    """However long the client takes to begin it."""
    with serving(replace(PATIENCE, idle_s=CEILING_S)) as server, server.connect() as client:
        client.sendall(b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until_end(client, b"/path").endswith(b"/path")
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


def test_a_slow_reader_above_the_rate_is_let_go_on(server: Server) -> None:
    cut_before = server.connections.refused["slow reader"]
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(30):
            assert client.recv(4096)
            time.sleep(PATIENCE.grace_s / 6)
        assert len(server.connections) == 1
    assert server.connections.refused["slow reader"] == cut_before


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
            assert until_end(idle, b"/path").endswith(b"/path")
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
