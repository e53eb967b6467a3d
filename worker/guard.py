"""Guard: whom the sockets of this process let in over tcp (CURVE, ZAP). It says who was refused, by key and address.

A handshake must not wait for a network that runs: a thread of its own answers. Source: ZeroMQ RFC 27 (ZAP).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from shared.errors import ConfigurationError
from shared.seldom import Seldom
from shared.settings import Settings
from shared.split_rules import bind_of
from shared.wire_keys import DOMAIN, mark, read_peers, shown

#: A stranger may take so long to prove himself; a peer that is gone is noticed after this.
HANDSHAKE_MS, PING_MS, PING_PATIENCE_MS = 5000, 2000, 6000
BACKLOG = 1024
#: Accepted connections whose addresses are remembered until they are let in or refused.
ACCEPTED_MAX = 1024
_CRYPTOGRAPHIC = 0x11000001  # ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC, zmq.h
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_WATCHED = _FAILED | zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_ZAP = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_POOL = b"its own pool"

Context = zmq.Context[zmq.Socket[bytes]]


class Guard:
    """Of one context, from construction to `close`. told: hears, not too often, who was refused and why."""

    def __init__(self, context: Context, secret: str, peers: Path, told: Callable[[str], None]) -> None:
        self._secret = secret.encode()
        self.public = zmq.curve_public(self._secret).decode()
        self._peers, self._told = peers, told
        read_peers(peers)  # what is wrong with them is told before anybody comes
        self._seldom = Seldom()
        self._accepted: dict[int, str] = {}
        self._failure = ""
        self._zap = context.socket(zmq.REP)
        self._monitor, self._over, self._end = (context.socket(zmq.PAIR) for _ in range(3))
        self._zap.bind(_ZAP)
        self._over.bind(f"inproc://guard.{id(self)}")
        self._end.connect(f"inproc://guard.{id(self)}")
        self._thread = Thread(target=self._watch, name="guard", daemon=True)

    def bind(self, guarded: zmq.Socket[Any], endpoint: str) -> None:
        """Makes a ROUTER speak CURVE to allowed peers alone, and binds it. Raises ConfigurationError. Once a guard."""
        for option, value in (
            (zmq.CURVE_SERVER, 1),
            (zmq.CURVE_SECRETKEY, self._secret),
            (zmq.ZAP_DOMAIN, DOMAIN),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.HEARTBEAT_IVL, PING_MS),
            (zmq.HEARTBEAT_TIMEOUT, PING_PATIENCE_MS),
            (zmq.ROUTER_HANDOVER, 1),  # a gateway that comes back takes its old connection's place
            (zmq.BACKLOG, BACKLOG),
            (zmq.IPV6, int("[" in endpoint)),
        ):
            guarded.setsockopt(option, value)
        guarded.monitor(f"inproc://guarded.{id(self)}", _WATCHED)
        self._monitor.connect(f"inproc://guarded.{id(self)}")
        try:
            guarded.bind(endpoint)
        except zmq.ZMQError as error:
            guarded.disable_monitor()
            self.close()
            guarded.close(linger=0)
            raise ConfigurationError(
                f"cannot listen on {endpoint} ({error.strerror}); choose another with FACE_API_WIRE_BIND"
            ) from None
        self._thread.start()

    def owns(self, name: zmq.Frame) -> bool:
        """Whether a message's first frame, its sender's name, is of the key shown. This host's pool has none."""
        shown_as = str(name.get("User-Id")).encode()
        if shown_as == _POOL or name.bytes.startswith(shown_as):
            return True
        self._say(f"refused a message of {name.bytes!r}: that is a name of another key")
        return False

    def close(self) -> None:
        if self._thread.is_alive():
            self._end.send(b"")
            self._thread.join()
        for one in (self._zap, self._monitor, self._over, self._end):
            one.close(linger=0)

    # In the thread

    def _watch(self) -> None:
        poller = zmq.Poller()
        for one in (self._zap, self._monitor, self._over):
            poller.register(one, zmq.POLLIN)
        while self._over not in (ready := {one for one, _ in poller.poll()}):
            if self._zap in ready:
                self._zap.send_multipart(self._judged(self._zap.recv_multipart()))
            if self._monitor in ready:
                self._seen(parse_monitor_message(self._monitor.recv_multipart()))

    def _judged(self, question: Sequence[bytes]) -> list[bytes]:
        """ZAP's answer to one question: with what the peer's names begin, where it is let in."""
        asked = question[1] if len(question) > 1 else b""
        begins, words = self._mark_of(question)
        if begins:
            return [_VERSION, asked, b"200", b"OK", begins, b""]
        self._say(words)
        return [_VERSION, asked, b"400", b"not allowed", b"", b""]

    def _mark_of(self, question: Sequence[bytes]) -> tuple[bytes, str]:
        """(with what its names begin, why it has none): one of both is empty."""
        if len(question) != 7 or question[0] != _VERSION or question[2] != DOMAIN or question[5] != b"CURVE":
            return b"", "refused a peer that does not speak CURVE"
        key, address = z85.encode(question[6]).decode(), question[3].decode(errors="replace")
        if key == self.public:
            return _POOL, ""
        try:
            known = key in read_peers(self._peers)
        except ConfigurationError as error:
            return b"", f"refused a peer from {address}: {error}"
        words = f"refused a peer from {address}: its key {shown(key)} is not in FACE_API_WIRE_PEERS"
        return (mark(key).encode(), "") if known else (b"", words)

    def _seen(self, event: Any) -> None:
        """Who is refused before it shows a key. The failure is told first, its connection's end right after."""
        if event["event"] == zmq.EVENT_ACCEPTED:
            if len(self._accepted) >= ACCEPTED_MAX:
                self._accepted.clear()
            self._accepted[event["value"]] = _peer_of(event["value"])
        elif event["event"] & _FAILED:
            self._failure = (
                "it has another public key of this host than ours"
                if event["value"] == _CRYPTOGRAPHIC
                else "it has shown no key"
            )
        else:
            address, failure = self._accepted.pop(event["value"], ""), self._failure
            self._failure = ""
            if failure:
                self._say(f"refused a peer from {address or 'an address that is gone'}: {failure}")

    def _say(self, words: str) -> None:
        if self._seldom.may(words, monotonic()):
            with contextlib.suppress(OSError, ValueError):  # a log that cannot be written refuses nobody
                self._told(words)


def guard_of(settings: Settings, context: Context, told: Callable[[str], None]) -> Guard | None:
    """The guard of a host of workers; None where both halves run on one host."""
    if settings.role != "workers":
        return None
    return Guard(context, settings.wire_key, Path(settings.wire_peers), told)


def near(endpoint: str) -> str:
    """Where the same endpoint is reached from this host."""
    return endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:").replace("//*:", "//127.0.0.1:")


def endpoint_of(settings: Settings, slot: int) -> str:
    """Where the worker of a slot listens."""
    return bind_of(settings).endpoint(1 + slot)


def _peer_of(descriptor: int) -> str:
    """The address behind a connection; empty when it has gone already."""
    with contextlib.suppress(OSError):
        duplicate = os.dup(descriptor)
        try:
            connection = socket.socket(fileno=duplicate)
        except OSError:  # its number is another file's by now
            os.close(duplicate)
            return ""
        with connection:
            return str(connection.getpeername()[0])
    return ""
