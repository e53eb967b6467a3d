"""WorkerLink: one DEALER socket to one worker generation, read from the event loop. Knows sockets, not policy.

The link never reconnects: a generation that is gone never comes back, and its frames must not reach another.
The kernel closes a dead process's socket at once, so its end is noticed by the socket, not by a timer. Over tcp a
closed link says less: what follows is the roster's to decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from shared.announcement import Announcement
from shared.faces import Faces
from shared.messages import ToGateway
from shared.wire import WireError, decode_to_gateway
from shared.wire_keys import mark

#: Between the end of a connection and its being acted on.
LAST_WORDS_S = 0.01
#: Until libzmq would connect again, long after `close`. Told never to (-1), it drops what came last and is unread.
NEVER_MS = 3_600_000
#: Small messages beside the requests that credit bounds.
SEND_QUEUE_MAX = 256
#: To another host: for a connection, and for the handshake on it.
CONNECT_MS = 1000
_GONE = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_WHY: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it has another key than the one in FACE_API_WIRE_PEERS, or none",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "it speaks without keys, or is no face-api",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "this gateway's key is not in its FACE_API_WIRE_PEERS",
}

#: As plain numbers: pyzmq's flags are made anew by every operation.
_NOW, _MORE, _READABLE = int(zmq.DONTWAIT), int(zmq.DONTWAIT | zmq.SNDMORE), int(zmq.POLLIN)

Context = zmq.Context[zmq.Socket[bytes]]
OnMessage = Callable[["WorkerLink", ToGateway, Faces | None], None]
OnLost = Callable[["WorkerLink", str], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """With what a link to another host is made. name: this gateway's, unique; secret: its key; server: that host's."""

    name: str
    secret: str = field(repr=False)
    server: str

    def equip(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """To be done before it connects."""
        secret = self.secret.encode()
        public = zmq.curve_public(secret).decode()
        for option, value in (
            (zmq.CURVE_SECRETKEY, secret),
            (zmq.CURVE_PUBLICKEY, public.encode()),
            (zmq.CURVE_SERVERKEY, self.server.encode()),
            (zmq.ROUTING_ID, f"{mark(public)}.{self.name}".encode()),
            (zmq.CONNECT_TIMEOUT, CONNECT_MS),
            (zmq.HANDSHAKE_IVL, CONNECT_MS),
            (zmq.IPV6, int("[" in endpoint)),
        ):
            socket.setsockopt(option, value)


class WorkerLink:
    """Open on construction; `close` is final. Callbacks run on the event loop.

    credentials: for one to another host. on_odd: hears of what comes and cannot be read.
    """

    def __init__(
        self,
        context: Context,
        announcement: Announcement,
        on_message: OnMessage,
        on_lost: OnLost,
        credentials: Credentials | None = None,
        on_odd: Callable[[WorkerLink, WireError], None] = lambda _link, _error: None,
    ) -> None:
        self.announcement, self.generation = announcement, announcement.generation
        self._on_message, self._on_lost, self._on_odd = on_message, on_lost, on_odd
        self._closed = False
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
        self._socket.setsockopt(zmq.SNDHWM, SEND_QUEUE_MAX)
        if credentials is not None:
            credentials.equip(self._socket, announcement.endpoint)
        self._monitor = self._socket.get_monitor_socket(_GONE)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(_number(self._socket, zmq.FD), self._readable)
        self._loop.add_reader(_number(self._monitor, zmq.FD), self._monitored)
        self._socket.connect(announcement.endpoint)
        # libzmq wakes only a reader that has looked and found nothing (zmq_getsockopt, ZMQ_FD): look once.
        self._loop.call_soon(self._monitored)

    def send(self, frames: Sequence[Any]) -> None:
        """Queues frames; big ones are not copied and stay referenced until they are out."""
        if self._closed:
            return
        *leading, last = frames
        try:
            for frame in leading:
                self._socket.send(frame, _MORE, copy=False)
            self._socket.send(last, _NOW, copy=False)
        except zmq.Again:
            self._loop.call_soon(self._lose, "it does not read")
            return
        # libzmq's descriptor is edge-triggered and sending may have eaten the edge.
        if self._has_come():
            self._loop.call_soon(self._readable)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(_number(self._socket, zmq.FD))
        self._loop.remove_reader(_number(self._monitor, zmq.FD))
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()

    def _readable(self) -> None:
        while not self._closed and self._has_come():
            try:
                message, faces = decode_to_gateway(self._received())
            except WireError as error:
                self._on_odd(self, error)
                continue  # what it was about ends with its deadline
            self._on_message(self, message, faces)

    def _has_come(self) -> bool:
        return bool(_number(self._socket, zmq.EVENTS) & _READABLE)

    def _received(self) -> list[memoryview]:
        """The frames of a message that has come."""
        frames = [self._socket.recv(_NOW, copy=False)]
        while frames[-1].more:
            frames.append(self._socket.recv(_NOW, copy=False))
        return [frame.buffer for frame in frames]

    def _monitored(self) -> None:
        while not self._closed:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(flags=zmq.DONTWAIT))
            except zmq.Again:
                return
            # What it said before it went is still worth having, and libzmq tells of the end a moment early.
            why = _WHY.get(zmq.Event(event["event"])) or f"its socket closed ({zmq.Event(event['event']).name})"
            self._loop.call_later(LAST_WORDS_S, self._lose, why)

    def _lose(self, why: str) -> None:
        self._readable()
        if not self._closed:
            self.close()
            self._on_lost(self, why)


def _number(socket: zmq.Socket[bytes], option: int) -> int:
    return int(socket.getsockopt(option))
