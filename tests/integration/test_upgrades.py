"""Whoever offers an upgrade is answered as if not (RFC 9110 7.8), its body and what follows it included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.hostile_server import Server, received, serving, statuses, until_end

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
OFFERS = {
    "h2c": H2C,
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
    "several": b"Upgrade: HTTP/2.0, SHTTP/1.3, IRC/6.9, RTA/x11\r\nConnection: keep-alive, Upgrade\r\n",
    "in two headers": b"Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
    "upper case": b"CONNECTION: UPGRADE\r\nUPGRADE: H2C\r\n",
    "blanks": b"Connection:   Upgrade  \r\nUpgrade:  TLS/1.2 \r\n",
    "nothing offered": b"Connection: Upgrade\r\nUpgrade:\r\n",
    "not named in Connection": b"Upgrade: h2c\r\n",
    "only named in Connection": b"Connection: Upgrade\r\n",
}
SENT = b"a body of thirty-three characters"
BODIES = {
    "with a length": b"Content-Length: %d\r\n\r\n%s" % (len(SENT), SENT),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\na bod\r\n1c\r\n%s\r\n0\r\n\r\n" % SENT[5:],
}
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def bodies(answer: bytes) -> list[bytes]:
    return [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("offer", OFFERS)
def test_a_post_that_offers_an_upgrade_keeps_its_body_and_its_connection(server: Server, offer: str, body: str) -> None:
    request = b"POST /read HTTP/1.1\r\nHost: a\r\n" + OFFERS[offer] + BODIES[body]
    assert bodies(server.ask(request + NEXT)) == [b"33", b"/next"]


@pytest.mark.parametrize("offer", OFFERS)
def test_so_does_a_get_and_one_without_a_body(server: Server, offer: str) -> None:
    for method, path in ((b"GET", b"/path"), (b"DELETE", b"/path"), (b"POST", b"/path")):
        request = method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n" + OFFERS[offer] + b"\r\n"
        assert bodies(server.ask(request + NEXT)) == [b"/path", b"/next"]


@pytest.mark.parametrize("body", BODIES)
def test_it_may_come_byte_by_byte_or_its_body_later(server: Server, body: str) -> None:
    request = b"POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + H2C + BODIES[body]
    for pieces in ([bytes([byte]) for byte in request], request.partition(b"\r\n\r\n")):
        with server.connect() as client:
            for piece in pieces:
                client.sendall(piece)
            assert bodies(received(client)) == [b"33"]


def test_pipelined_offers_are_all_answered_in_order(server: Server) -> None:
    request = b"GET /%d HTTP/1.1\r\nHost: a\r\n" + H2C + b"\r\n"
    answer = server.ask(b"".join(request % number for number in range(6)) + NEXT)
    assert bodies(answer) == [*(b"/%d" % number for number in range(6)), b"/next"]


def test_the_offer_is_gone_and_every_other_header_is_there_once_and_as_it_was(server: Server) -> None:
    mine = b"X-Empty:\r\nX-Twice: a\r\nX-Twice: b\r\nX-Bytes: \xe9\xff\r\n"
    answer = server.ask(b"POST /headers?a=1 HTTP/1.1\r\nHost: a\r\n" + H2C + mine + BODIES["chunked"] + NEXT)
    plain = server.ask(
        b"POST /headers?a=1 HTTP/1.1\r\nHost: a\r\n"
        + H2C.replace(b"Upgrade: h2c\r\n", b"")
        + mine
        + BODIES["chunked"]
        + NEXT
    )
    assert bodies(answer)[0].splitlines() == bodies(plain)[0].splitlines()
    assert b"upgrade: h2c" not in bodies(answer)[0]


def test_who_offers_and_expects_100_gets_it(server: Server) -> None:
    with server.connect() as client:
        client.sendall(
            b"POST /read HTTP/1.1\r\nHost: a\r\n" + H2C + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abcd")
        assert statuses(until_end(client, b"\r\n\r\n4")) == [200]


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Host: b\r\n\r\n", 400),
        (b"Transfer-Encoding: gzip\r\n\r\nabc", 400),
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"X-A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    ],
)
def test_an_offer_excuses_nothing(server: Server, rest: bytes, status: int) -> None:
    answer = server.ask(b"POST /read HTTP/1.1\r\nHost: a\r\n" + H2C + rest)
    assert statuses(answer) == [status]
    assert server.serves()


def test_an_old_client_that_offers_one_is_answered_and_let_go(server: Server) -> None:
    answer = server.ask(b"POST /read HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab")
    assert bodies(answer) == [b"2"]
