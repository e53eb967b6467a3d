"""The HTTP side of a connection: uvicorn's httptools protocol with deadlines, limits and clean ends around it.

uvicorn has no deadline for headers or bodies, no limit on header bytes or connections, takes a closed half for a
client that left, and closes so that an early answer may be lost (TCP reset). This file knows uvicorn's protocol
class; when to act is in conversation.py, how much may come in arriving.py, what is said then in refusals.py.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.access.client_ip import bucket_of
from gateway.edge import cors, sockets
from gateway.edge.arriving import HEADS_READ, Arriving
from gateway.edge.connections import LOOK_INTERVAL_S, Connections
from gateway.edge.conversation import Conversation
from gateway.edge.half_closed import HalfClosed
from gateway.edge.refusals import (
    HEADER_BYTES_MAX,
    HEADERS_TOO_LARGE,
    LATE,
    NO_HOST,
    PIPELINED_MAX,
    TOO_MANY_WAITING,
    Refusal,
    Refused,
    refusal_of,
    written,
)
from gateway.edge.request_id import request_id_of
from gateway.edge.whole_bodies import WholeBodies
from gateway.record import RequestRecord, record_of

#: An answer that comes before the whole body ends the connection unless so few bytes are missing.
UNREAD_BYTES_MAX = 256 * 1024
#: When a client that is gone has answered: on this machine, in this house, anywhere; after that at every look.
REPLY_S = (0.002, 0.02, 0.1)


class _GentleTransport:
    """What a request's cycle writes to; its `close` lets the client read the answer first."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.send(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.close_gently()


class Protocol(WholeBodies):
    """`connections` is bound in a subclass per process (`protocol_class`)."""

    connections_of_process: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        try:
            self._begin(transport)
        except BaseException:
            transport.abort()  # nobody owns it
            raise

    def _begin(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        house = self.connections_of_process
        self.access_log = False  # gunicorn's class gives uvicorn's logger a handler; our own line is told elsewhere
        self.address = self.client[0] if self.client else ""
        self.bucket = bucket_of(self.address)
        self.talk = Conversation(house.patience, self.loop.time())
        self.arriving = Arriving()
        self.url, self.headers = b"", []
        self._answered: RequestResponseCycle = None  # type: ignore[assignment]  # the one whose turn it is
        self._client_left: asyncio.Future[None] = self.loop.create_future()
        self._half_closed: HalfClosed | None = None
        self._whole = False
        self._deaf = False
        if refusal := house.add(self):
            self._refuse(refusal)

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
            self.parse(data)
            if self.talk.phase == "headers" and self.talk.received > HEADS_READ * HEADER_BYTES_MAX:
                raise Refused(HEADERS_TOO_LARGE)
            if self.talk.phase == "body":
                self.arriving.check_framing(self.talk.received)
        except (httptools.HttpParserError, Refused) as error:
            self._misunderstood(refusal_of(error))

    def came_straight(self, count: int) -> None:
        self.talk.received_bytes(count, self.loop.time())
        self.arriving.body += count

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._whole = False
        self.arriving = Arriving()
        if self.talk.phase == "idle":
            self.talk.received_bytes(1, self.loop.time())  # its first came with the end of the last request

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self.arriving.target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if self.talk.phase != "body":  # what trails behind a body is counted and means nothing
            super().on_header(name, value)
        self.arriving.header(name, value)
        if self.talk.phase == "body":
            self.arriving.check_head()

    def on_request(self) -> None:
        self.arriving.check_head()
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise Refused(NO_HOST)
        if len(self.pipeline) >= PIPELINED_MAX:
            raise Refused(TOO_MANY_WAITING)
        self.talk.enter("body", self.loop.time())
        super().on_request()

    def on_chunk_header(self) -> None:
        """Called by httptools at every chunk."""
        self.arriving.chunk()

    def on_body(self, body: bytes) -> None:
        self.arriving.body += len(body)
        super().on_body(body)

    def on_whole_request(self) -> None:
        self._whole = True
        self.url, self.headers = b"", []
        self.talk.enter("idle", self.loop.time())
        super().on_whole_request()

    def _misunderstood(self, refusal: Refusal) -> None:
        """What came is no request, or a broken body: answered, unless earlier requests' answers are due first."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answered
        if self._answer_is_due() and not self.cycle.more_body:
            self._deaf = True
            self.talk.enter("idle", self.loop.time())
            self.cycle.keep_alive = False
            self.flow.resume_reading()
        else:
            self._refuse(refusal)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has closed its half. True keeps ours open: it has asked for something and may read on."""
        if not self._answer_is_due() or self.cycle.more_body or self.scheme == "https":
            return False
        if self._half_closed is None:
            self._half_closed = HalfClosed(self.loop.time())
            self.cycle.keep_alive = False
            self._ask_whether_it_reads(self.loop.time())
        return True

    # What goes out

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = _GentleTransport(self)  # type: ignore[assignment]
        self._answered = cycle
        self.talk.answering = True
        record = record_of(cycle.scope)
        record.client_left, record.body = self._client_left, self.gathered

        async def ending_early(scope: Any, receive: Any, send: Any) -> None:
            async def decide_keep_alive(message: Any) -> None:
                if message["type"] == "http.response.start" and self._must_close(cycle):
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, decide_keep_alive)

        super()._start_asgi_task(cycle, ending_early)

    def _must_close(self, cycle: RequestResponseCycle) -> bool:
        """Whether the connection cannot be used for another request after this answer."""
        if not cycle.more_body:
            return self.connections_of_process.draining and not self.pipeline
        unread = self.arriving.declared - self.arriving.body
        return (
            self.connections_of_process.draining or cycle.waiting_for_100_continue or not 0 < unread <= UNREAD_BYTES_MAX
        )

    def on_response_complete(self) -> None:
        self.talk.answering = False
        if self.talk.phase == "idle":
            self.talk.enter("idle", self.loop.time())
        if self.talk.phase == "lingering" or (self._deaf and not self.pipeline):
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        self.talk.answering = self.cycle is not None and not self.cycle.response_complete

    def send(self, data: bytes) -> None:
        self.transport.write(data if self._half_closed is None else self._half_closed.rest(data))

    def close_gently(self) -> None:
        """Ends the connection so that what was written is read: what still arrives is taken and thrown away."""
        if self.transport.is_closing() or self.talk.phase == "lingering":
            return
        if (self._whole and not self._deaf) or self._half_closed is not None:
            self.transport.close()
            return
        self._deaf = True
        self.end_straight()
        self.talk.enter("lingering", self.loop.time())
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _refuse(self, refusal: Refusal) -> None:
        """Answers outside the application, and ends the connection."""
        house = self.connections_of_process
        if refusal.status != HTTPStatus.SERVICE_UNAVAILABLE:
            house.refused[str(refusal.status.value)] += 1
        if self._answer_is_due() and self.cycle.response_started:
            self.transport.abort()
            return
        self.send(self._written(refusal))
        if self._answer_is_due():
            record_of(self.cycle.scope).answered_for_it = refusal.status.value
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._whole = False
        self.close_gently()

    def _written(self, refusal: Refusal) -> bytes:
        path = self.url.partition(b"?")[0].decode("latin-1")
        record = record_of(self.cycle.scope) if self._answer_is_due() else RequestRecord()
        common = [
            *record.limit_headers,
            *self.server_state.default_headers,
            *cors.marks(self.connections_of_process.origins, path, self.headers),
        ]
        return written(refusal, record.request_id or request_id_of(self.headers), common)

    def _answer_is_due(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # What time brings

    def look(self, now: float) -> None:
        """Called now and then: acts on what took too long."""
        self._listen()
        if self.transport.is_closing() and not self.unsent():
            return
        self._ask_whether_it_reads(now)
        if self.flow.read_paused:
            self.talk.paused(LOOK_INTERVAL_S)
        ending = self.talk.ending(now, self._untaken(), stopped=self.connections_of_process.stopped)
        if ending is None or (ending == "close" and self._just_came()):
            return
        if ending == "abort":
            self.cut("slow reader")
        elif ending == "close" or (ending == "late body" and not self._answer_is_due()):
            self.transport.close()
        else:
            self._misunderstood(LATE)

    def _ask_whether_it_reads(self, now: float) -> None:
        if self._half_closed is None or self.transport.is_closing():
            return
        if not self._answer_is_due() or self._answered.response_started:
            return
        if question := self._half_closed.question(now):
            self.transport.write(question)
            for seconds in REPLY_S:
                self.loop.call_later(seconds, self._listen)

    def _listen(self) -> None:
        """Ends the work for a client that has said that nobody is there any more."""
        if self._half_closed is not None and not self.transport.is_closing() and sockets.is_reset(self.transport):
            self.transport.abort()

    def unsent(self) -> int:
        """Bytes of answers that wait in our memory for the client to read."""
        return self.transport.get_write_buffer_size()

    def _untaken(self) -> int:
        """The same with those that wait in the kernel: a slow reader's progress shows there first."""
        unsent = self.unsent()
        return unsent + sockets.bytes_not_taken(self.transport) if unsent else 0

    def cut(self, reason: str) -> None:
        """Ends the connection and forgets what it had to send."""
        self.connections_of_process.refused[reason] += 1
        self.transport.abort()

    def _just_came(self) -> bool:
        """Whether a request waits in the socket that the loop has not read yet: closing now would lose it."""
        return self.talk.phase == "idle" and sockets.has_come(self.transport)

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
