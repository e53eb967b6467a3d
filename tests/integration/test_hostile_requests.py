"""Requests that are odd, pipelined, or sent on after their refusal: a clean answer or a close, and the next is served."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from gateway.edge.http_protocol import CHUNKS_FREE, HEADER_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX
from tests.integration.hostile_server import Server, received, serving, statuses, wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


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
