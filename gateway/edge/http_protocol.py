"""The HTTP side of a connection: uvicorn's httptools protocol with deadlines, limits and clean ends around it.

uvicorn has no deadline for headers or bodies, no limit on header bytes or connections, and closes so that an
early answer may be lost (TCP reset). This file knows uvicorn's protocol class; when to act is in conversation.py.
"""

from __future__ import annotations

import asyncio
import select
from http import HTTPStatus
from typing import Any

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.edge.connections import LOOK_INTERVAL_S, Connections
from gateway.edge.conversation import Conversation
from shared import numerals

#: Of one request: all header names and values with the target, and how many there are.
HEADER_BYTES_MAX = 32 * 1024
HEADERS_MAX = 100
#: Requests that may wait behind the one being answered on a connection.
PIPELINED_MAX = 8
#: So many chunks are free; beyond them they must hold so many bytes on average (1-byte chunks cost the parser most).
CHUNKS_FREE, CHUNK_BYTES_MEAN_MIN = 1000, 64
#: An answer that comes before the whole body ends the connection unless so few bytes are missing.
UNREAD_BYTES_MAX = 256 * 1024

WORDS = {
    HTTPStatus.BAD_REQUEST: "This is not a valid HTTP request",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive; check the connection and try again",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"The headers are over {HEADER_BYTES_MAX // 1024} KB or {HEADERS_MAX}",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many connections from this address, retry in 1 second",
}


class _Refused(Exception):
    """Raised inside the parser's callbacks to end this connection with a status."""


class _GentleTransport:
    """What a request's cycle writes to; its `close` lets the client read the answer first."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.close_gently()


class Protocol(HttpToolsProtocol):
    """`connections` is bound in a subclass per process (`protocol_class`)."""

    connections_of_process: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        house = self.connections_of_process
        self.access_log = False  # gunicorn's class gives uvicorn's logger a handler; our own line is told elsewhere
        self.address = self.client[0] if self.client else ""
        self.talk = Conversation(house.patience, self.loop.time())
        self._client_left: asyncio.Future[None] = self.loop.create_future()
        self._whole = False
        self._deaf = False
        self._status = HTTPStatus.BAD_REQUEST
        self._declared = self._body_bytes = self._header_bytes = self._chunks = 0
        if not house.add(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections_of_process.discard(self)
        super().connection_lost(exc)
        if not self._client_left.done():
            self._client_left.set_result(None)

    # What arrives

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self.talk.received_bytes(len(data), self.loop.time())
        if self._deaf or self.parser is None:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # no upgrade is offered: the request is answered, then the connection ends
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._misunderstood(self._status)
        else:
            if self.talk.phase == "headers" and self.talk.received > HEADER_BYTES_MAX:
                self._misunderstood(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._whole = False
        self._declared = self._body_bytes = self._header_bytes = self._chunks = 0
        if self.talk.phase == "idle":
            self.talk.enter("headers", self.loop.time())

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_header_bytes(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count_header_bytes(len(name) + len(value))
        if len(self.headers) > HEADERS_MAX:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if name.lower() == b"content-length":
            self._declared = numerals.count(value.decode("latin-1")) or 0

    def on_headers_complete(self) -> None:
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._stop(HTTPStatus.BAD_REQUEST)
        if len(self.pipeline) >= PIPELINED_MAX:
            self._stop(HTTPStatus.BAD_REQUEST)
        self.talk.enter("body", self.loop.time())
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Called by httptools at every chunk."""
        self._chunks += 1
        if self._chunks > CHUNKS_FREE + self._body_bytes // CHUNK_BYTES_MEAN_MIN:
            self._stop(HTTPStatus.BAD_REQUEST)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole = True
        self.talk.enter("idle", self.loop.time())
        super().on_message_complete()

    def _count_header_bytes(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > HEADER_BYTES_MAX:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _stop(self, status: HTTPStatus) -> None:
        self._status = status
        raise _Refused(status)

    def _misunderstood(self, status: HTTPStatus) -> None:
        """What came is no request, or a broken body: answered, unless an earlier request's answer is due first."""
        if self._answer_is_due() and not self.cycle.more_body:
            self._deaf = True
            self.talk.enter("idle", self.loop.time())
            self.cycle.keep_alive = False
            self.flow.resume_reading()
        else:
            self._refuse(status)

    # What goes out

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = _GentleTransport(self)  # type: ignore[assignment]
        self.talk.answering = True
        cycle.scope["state"]["client_left"] = self._client_left

        async def ending_early(scope: Any, receive: Any, send: Any) -> None:
            async def decide_keep_alive(message: Any) -> None:
                if message["type"] == "http.response.start" and self._must_close(cycle):
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, decide_keep_alive)

        super()._start_asgi_task(cycle, ending_early)

    def _must_close(self, cycle: RequestResponseCycle) -> bool:
        """Whether the connection cannot be used for another request after this answer."""
        if self.connections_of_process.draining or self._deaf:
            return True
        if not cycle.more_body:
            return False
        unread = self._declared - self._body_bytes
        return cycle.waiting_for_100_continue or not 0 < unread <= UNREAD_BYTES_MAX

    def on_response_complete(self) -> None:
        self.talk.answering = False
        if self.talk.phase == "idle":
            self.talk.enter("idle", self.loop.time())
        if self.talk.phase == "lingering" or self._deaf:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        self.talk.answering = self.cycle is not None and not self.cycle.response_complete

    def close_gently(self) -> None:
        """Ends the connection so that what was written is read: what still arrives is taken and thrown away."""
        if self.transport.is_closing() or self.talk.phase == "lingering":
            return
        if self._whole and not self._deaf:
            self.transport.close()
            return
        self._deaf = True
        self.talk.enter("lingering", self.loop.time())
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answers outside the application, and ends the connection."""
        house = self.connections_of_process
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            house.refused[str(status.value)] += 1
        if self._answer_is_due() and self.cycle.response_started:
            self.transport.abort()
            return
        body = msgspec.json.encode({"detail": WORDS[status]})
        retry = b"retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        head = b"content-type: application/json\r\nconnection: close\r\n" + retry
        self.transport.write(STATUS_LINE[status] + head + b"content-length: %d\r\n\r\n" % len(body) + body)
        if self._answer_is_due():
            self.cycle.scope["state"]["answered_for_it"] = status.value
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._whole = False
        self.close_gently()

    def _answer_is_due(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # What time brings

    def look(self, now: float) -> None:
        """Called now and then: acts on what took too long."""
        if self.flow.read_paused:
            self.talk.paused(LOOK_INTERVAL_S)
        verdict = self.talk.verdict(now, self.unsent(), stopped=self.connections_of_process.stopped)
        if verdict is None or (verdict == "close" and self.talk.phase == "idle" and self._something_came()):
            return
        if verdict == "abort":
            self.cut("slow reader")
        elif verdict == "close" or (verdict == "late body" and not self._answer_is_due()):
            self.transport.close()
        else:
            self._misunderstood(HTTPStatus.REQUEST_TIMEOUT)

    def unsent(self) -> int:
        """Bytes of answers that wait for the client to read."""
        return self.transport.get_write_buffer_size()

    def cut(self, reason: str) -> None:
        """Ends the connection and forgets what it had to send."""
        self.connections_of_process.refused[reason] += 1
        self.transport.abort()

    def _something_came(self) -> bool:
        """Whether a request waits in the socket that the loop has not read yet: closing now would lose it."""
        arrived = select.poll()
        arrived.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(arrived.poll(0))

    def shutdown(self) -> None:
        """Called once when the process stops: idle connections end a moment later, the others after their answer."""
        house = self.connections_of_process
        house.draining = True
        if house.stopped is None:
            house.stopped = self.loop.time()
        if self._answer_is_due():
            self.cycle.keep_alive = False


def protocol_class(connections: Connections) -> type[Protocol]:
    """The class to hand to uvicorn for one process."""
    return type("BoundProtocol", (Protocol,), {"connections_of_process": connections})
