"""Requests that are odd, pipelined, or sent on after their refusal: a clean answer or a close, and the next is served."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from gateway.edge.arriving import CHUNKS_FREE
from gateway.edge.refusals import HEADER_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX
from tests.integration.hostile_server import Server, received, serving, statuses, until_end


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
        assert statuses(until_end(client, b"\r\n\r\n4")) == [200]
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
    assert set(statuses(answer)) <= {400, 404, 405, 408, 413, 431}, answer[:300]
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


def test_garbage_behind_several_good_requests_costs_none_of_them_its_answer(server: Server) -> None:
    good = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
    broken = b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    for garbage in (b"\x00\x01garbage\r\n\r\n", broken):
        answer = server.ask(good % 1 + good % 2 + good % 3 + garbage)
        assert [part[-2:] for part in answer.split(b"HTTP/1.1 200 OK")] == [b"", b"/1", b"/2", b"/3"]


def test_connect_is_told_that_this_is_no_proxy(server: Server) -> None:
    answer = server.ask(ODD["connect"] + b"\x16\x03\x01 tunnelled")
    assert statuses(answer) == [405]
    assert b"\r\nallow: " in answer
    assert b"no proxy" in answer


def test_what_trails_behind_a_body_never_becomes_a_header(server: Server) -> None:
    head = b"POST /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = server.ask(head + b"1\r\na\r\n0\r\nX-API-Key: other\r\n\r\n")
    assert statuses(answer) == [200]
    assert b"x-api-key" not in answer.split(b"\r\n\r\n", 1)[1]


# Chunks


def chunked(body: bytes, size: int, extension: bytes = b"") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n\r\n"


def upload(chunks: bytes) -> bytes:
    return b"POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


@pytest.mark.parametrize(("size", "count"), [(1, 60_000), (2, 90_000), (8, 900_000), (16, 2_000_000), (100, 3_000_000)])
def test_small_chunks_are_taken(server: Server, size: int, count: int) -> None:
    assert server.ask(upload(chunked(bytes(count), size))).endswith(b"\r\n\r\n%d" % count)


def test_too_many_tiny_chunks_are_told_what_to_do(server: Server) -> None:
    answer = server.ask(upload(chunked(bytes(CHUNKS_FREE * 2), 1)))
    assert statuses(answer) == [413]
    assert b"chunks of 64 bytes or more" in answer


def test_what_is_wrapped_around_chunks_has_a_limit(server: Server) -> None:
    assert server.ask(upload(chunked(bytes(5000), 50, b";name=value"))).endswith(b"5000")
    with server.connect() as client:
        client.sendall(upload(b"1;"))
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                client.sendall(b"a" * 16_384)
        assert statuses(received(client)) == [413]
