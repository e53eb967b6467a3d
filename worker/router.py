"""The worker's ROUTER socket: frames in and out, one endpoint per worker generation. Knows socket options only."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import ceil
from pathlib import Path
from typing import Any

import zmq

from shared.announcement import SOCKET_PATH_MAX, socket_path
from worker.guard import Guard, near

#: One message is a header and a few crops; far below what an attacker would need to hurt.
MESSAGE_BYTES_MAX = 64 * 1024 * 1024


class Delivery(Enum):
    """What became of a message; nothing waits. FULL: its gateway does not read. GONE: it is not there any more."""

    SENT = "sent"
    FULL = "full"
    GONE = "gone"


class Router:
    """Bound on construction; `address` says where. `close` leaves nothing behind.

    transport: ipc, tcp for a free loopback port, or an endpoint for other hosts, which wants a guard.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        transport: str,
        runtime_dir: Path,
        generation: str,
        capacity: int,
        guard: Guard | None = None,
    ) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # Long enough for a last answer and Goodbye on a machine with much else to do.
        self._socket.setsockopt(zmq.LINGER, 2000)
        # Per gateway: its credits, and the small messages around them.
        self._socket.setsockopt(zmq.RCVHWM, capacity + 32)
        self._socket.setsockopt(zmq.SNDHWM, capacity + 64)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        self._path = socket_path(runtime_dir, generation)
        self._guard = guard
        self.address = self._bind(transport)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)

    def _bind(self, transport: str) -> str:
        if self._guard is not None:
            self._guard.bind(self._socket, transport)
            return near(transport)
        if transport == "tcp":
            port = self._socket.bind_to_random_port("tcp://127.0.0.1")
            return f"tcp://127.0.0.1:{port}"
        assert len(str(self._path)) <= SOCKET_PATH_MAX, f"unix socket path too long: {self._path}"
        self._socket.bind(f"ipc://{self._path}")
        self._path.chmod(0o600)
        return f"ipc://{self._path}"

    def receive(self, timeout_s: float | None) -> tuple[bytes, list[memoryview]] | None:
        """(gateway, frames) of the next message, or None after `timeout_s` (None waits for ever).

        The views own their message: they stay good as long as they are held.
        """
        if not self._poller.poll(None if timeout_s is None else ceil(timeout_s * 1000)):
            return None
        frames = self._socket.recv_multipart(copy=False)
        if self._guard is not None and not self._guard.owns(frames[0]):
            return None
        return frames[0].bytes, [frame.buffer for frame in frames[1:]]

    def send(self, gateway: bytes, frames: Sequence[Any]) -> Delivery:
        try:
            self._socket.send_multipart([gateway, *frames], flags=zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno == zmq.EAGAIN:
                return Delivery.FULL
            if error.errno == zmq.EHOSTUNREACH:
                return Delivery.GONE
            raise
        return Delivery.SENT

    def close(self) -> None:
        if self._guard is not None:
            self._guard.close()
        self._socket.close()
        self._path.unlink(missing_ok=True)
