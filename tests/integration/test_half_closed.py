"""A client that closes its half after asking gets its answer; work for one that left is stopped all the same."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
import uvloop

from gateway.edge.half_closed import HalfClosed
from gateway.edge.refusals import BEGINNING
from tests.integration.hostile_server import Server, received, serving, statuses
from tests.waiting import wait_until

POST = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
CHUNKS = b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
GET = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = POST.replace(b"HTTP/1.1\r\nHost: a", b"HTTP/1.0")
OFFERS_UPGRADE = POST.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c")


@pytest.fixture(scope="module", params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    with serving(loop_factory=factory) as made:
        yield made


def half_closed(server: Server, *requests: bytes) -> list[bytes]:
    """What clients read that ask and close their half at once, side by side."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in requests]
        for client, data in zip(clients, requests, strict=True):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        return [received(client) for client in clients]


def test_who_closes_its_half_after_asking_reads_one_whole_answer(server: Server) -> None:
    requests = [POST, CHUNKS, OLD, POST.replace(b"Host: a", b"Host: a\r\nConnection: close"), OFFERS_UPGRADE, GET]
    for answer in half_closed(server, *requests):
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert statuses(answer) == [200]
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nslow")


def test_quick_refused_large_and_pipelined_answers_come_whole_too(server: Server) -> None:
    next_ = b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n"
    quick, refused, large, several = half_closed(
        server, next_, POST.replace(b"slow", b"refuse"), POST.replace(b"slow", b"big"), POST + next_ + CHUNKS
    )
    assert quick.endswith(b"\r\n\r\n/path")
    assert statuses(refused) == [503]
    head, _, body = large.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    bodies = [part.partition(b"\r\n\r\n")[2] for part in several.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"slow", b"/path", b"slow"]


def test_what_is_cut_off_by_the_end_is_no_request_and_what_came_before_it_is(server: Server) -> None:
    body_cut, head_cut, second_cut = half_closed(server, POST[:-1], POST[:30], POST + POST[:30])
    assert (body_cut, head_cut) == (b"", b"")
    assert statuses(second_cut) == [200]


@pytest.mark.parametrize("half_first", [False, True])
def test_work_for_a_client_that_left_is_stopped(server: Server, half_first: bool) -> None:
    server.left.clear()
    with contextlib.ExitStack() as stack:
        for data in (POST, CHUNKS, OLD, GET):
            client = stack.enter_context(server.connect())
            client.sendall(data)
            if half_first:
                client.shutdown(socket.SHUT_WR)
                client.recv(1)
    wait_until(lambda: server.left == ["/slow"] * 4)
    wait_until(lambda: len(server.connections) == 0)


def test_a_client_that_leaves_with_a_reset_is_noticed(server: Server) -> None:
    server.left.clear()
    with contextlib.closing(server.connect()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.sendall(POST)
    wait_until(lambda: server.left == ["/slow"])


def test_the_beginning_of_an_answer_is_sent_ahead_ever_more_slowly_and_never_twice() -> None:
    client, sent = HalfClosed(0.0), b""
    moments = []
    for tick in range(4000):
        if question := client.question(tick / 2):
            moments.append(tick / 2)
            sent += question
    assert sent == BEGINNING
    assert moments == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5]
    assert client.rest(BEGINNING + b"200 OK") == b"200 OK"
    assert client.rest(b"body") == b"body"
