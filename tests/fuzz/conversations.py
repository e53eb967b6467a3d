"""Bytes of a connection, sent to our protocol over a real socket: every answer is HTTP, and nothing is left behind."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import httptools
import uvicorn
from starlette.requests import ClientDisconnect
from uvicorn.server import ServerState

from gateway.edge import whole_bodies
from gateway.edge.connections import Connections
from gateway.edge.conversation import Patience
from gateway.edge.http_protocol import protocol_class
from gateway.record import record_of

#: Whoever waits so long waits for ever: the client sends all it has and hangs up, so that no deadline is met.
CEILING_S = 60.0
_CONTINUE = 100
#: So little that gathering stops and goes on.
_GATHERED_MAX = 16
#: What the protocol answers by itself, and what the small application answers.
_STATUSES = frozenset({200, 400, 405, 408, 413, 431, 503})


class _Answers:
    """Counts whole answers; httptools calls it."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.begun = self.whole = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_headers_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())

    def on_message_complete(self) -> None:
        self.whole += 1


class Room:
    """An event loop with our protocol and an application, used by one connection after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, application: Any, state: dict[str, Any]) -> None:
        self.loop, self._state = loop, state
        self._failures: list[str] = []
        self._standing = asyncio.all_tasks(loop)
        loop.set_exception_handler(self._failed)
        self._house = Connections(Patience(), 100, 100, lambda _: False)
        self._config = uvicorn.Config(
            application, http=protocol_class(self._house), ws="none", interface="asgi3", log_config=None
        )
        self._config.load()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failures.append(f"{context['message']}: {context.get('exception')!r}")

    def ask(self, data: bytes, chunk: int) -> bytes:
        """Everything that is answered until the server closes, when the client closes its end after sending."""
        return self.loop.run_until_complete(self._in_time(data, chunk))

    async def _in_time(self, data: bytes, chunk: int) -> bytes:
        async with asyncio.timeout(CEILING_S):
            answer = await self._ask(data, chunk)
            while len(self._house) or self._tasks():  # noqa: ASYNC110 — nobody tells when the last one ends
                await asyncio.sleep(0)
            return answer

    async def _ask(self, data: bytes, chunk: int) -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            await self.loop.connect_accepted_socket(self._protocol, theirs)
            reading = asyncio.ensure_future(self._received(ours))
            try:
                for start in range(0, len(data), chunk):
                    await self.loop.sock_sendall(ours, data[start : start + chunk])
                    await asyncio.sleep(0)
                ours.shutdown(socket.SHUT_WR)
            except OSError:  # it has closed already
                pass
            return await reading

    def _protocol(self) -> asyncio.Protocol:
        make, state = self._config.http_protocol_class, dict(self._state)
        return make(config=self._config, server_state=ServerState(), app_state=state, _loop=self.loop)

    def _tasks(self) -> set[asyncio.Task[Any]]:
        """Those that were not there before, and are not this one."""
        return asyncio.all_tasks(self.loop) - self._standing - {asyncio.current_task(self.loop)}

    async def _received(self, ours: socket.socket) -> bytes:
        parts = []
        try:
            while part := await self.loop.sock_recv(ours, 65536):
                parts.append(part)
        except OSError:
            pass
        return b"".join(parts)

    def left(self) -> list[str]:
        """What went wrong beside the answers. A task that stays is no part of it: `ask` does not end before its last."""
        failures, self._failures = self._failures, []
        return failures


class Counting:
    """A small application: reads the body, of POST as its connection gathers it, and answers how long it was.

    asked: how often.
    """

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """HEAD is answered with nothing, so that answers can be read without their requests."""
        self.asked += 1
        try:
            count = await (_gathered(scope) if scope["method"] == "POST" else _received(receive))
        except ClientDisconnect:
            return
        body = b"" if scope["method"] == "HEAD" else b"%d" % count
        head = [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


async def _received(receive: Any) -> int:
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        count, more = count + len(message["body"]), message["more_body"]
    return count


async def _gathered(scope: Any) -> int:
    """Of all that is given at last; what was given before it is how it begins."""
    gather, before = record_of(scope).body, b""
    assert gather is not None
    async for body in gather(_GATHERED_MAX):
        assert body.startswith(before)
        before = bytes(body)
    return len(before)


@lru_cache(1)
def room() -> tuple[Room, Counting]:
    """One for all inputs."""
    application = Counting()
    return Room(asyncio.new_event_loop(), application, {}), application


def check_conversation(data: bytes) -> None:
    """Sent at once and in pieces, bodies seen by the parser and not: whole answers with statuses of ours, and nothing
    left behind.
    """
    place, application = room()
    for chunk, straight in ((max(1, len(data)), False), (1 + len(data) % 29, False), (1 + len(data) % 29, True)):
        asked_before = application.asked
        whole_bodies.STRAIGHT_BYTES_MIN = 1 if straight else 1 << 40
        answer = place.ask(data, chunk)
        assert place.left() == []
        statuses = read_answers(answer)
        assert set(statuses) <= _STATUSES, statuses
        counts = Counter(statuses)
        assert counts[200] <= application.asked - asked_before
        assert len(statuses) - counts[200] <= 1, f"more than one refusal: {statuses}"


def read_answers(answer: bytes) -> list[int]:
    """The statuses of whole answers, but for "100 Continue". Raises where the bytes are not HTTP, or end inside an answer."""
    found = _Answers()
    found.parser.feed_data(answer)
    assert found.begun == found.whole == len(found.statuses), f"it ends inside an answer: {answer[-80:]!r}"
    return [status for status in found.statuses if status != _CONTINUE]


def seeds() -> Iterator[bytes]:
    get = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    post = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    chunked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    yield get
    yield post
    yield chunked
    yield get + post + chunked + get
    yield chunked.replace(b"0\r\n\r\n", b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\n\r\n")
    yield post.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    yield post.replace(
        b"\r\n\r\n", b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    yield get.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n")
    yield get.replace(b"1.1", b"1.0").replace(b"Host: a\r\n", b"")
    yield get.replace(b"Host: a\r\n", b"")
    yield get.replace(b"Host: a", b"Host: a\r\nHost: b")
    yield get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + get
    yield post.replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 6")
    yield post.replace(b"Content-Length: 5", b"Content-Length: 5\r\nTransfer-Encoding: chunked")
    yield post.replace(b"5\r", b"99999999999999999999\r")
    yield post[:-2]
    yield get[:-2]
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"GET http://a/b?c=%zz#d HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"
    yield get[:-4] + b"\r\nX-A: " + b"a" * 2000 + b"\r\n\r\n"
    yield b"\x16\x03\x01\0\xa5\x01\0"
    yield get.replace(b"\r\n", b"\n")
    yield get * 12


WORDS = (
    b"GET ", b"POST ", b"HEAD ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: a\r\n", b"\r\n", b"\r\n\r\n", b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"CONNECT ", b"OPTIONS * ",
)  # fmt: skip
