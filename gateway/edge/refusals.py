"""Refusals: what is answered outside the application, in the form and with the headers that its answers have."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from gateway.edge.security_headers import completed
from gateway.record import HeaderPairs

#: Of one request: all header names and values with the target, and how many there are.
HEADER_BYTES_MAX = 32 * 1024
HEADERS_MAX = 100
#: Requests that may wait behind the one being answered on a connection.
PIPELINED_MAX = 8

#: What every answer of ours begins with, whatever its status.
BEGINNING = b"HTTP/1.1 "


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and what the client can do; headers: what this answer has beside those that all have."""

    status: HTTPStatus
    words: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


_AGAIN = ((b"retry-after", b"1"),)

NOT_HTTP = Refusal(
    HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request; send HTTP/1.1, and check the address and the headers"
)
NO_HOST = Refusal(HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request; send one Host header")
TOO_MANY_WAITING = Refusal(
    HTTPStatus.BAD_REQUEST,
    f"More than {PIPELINED_MAX} requests wait on this connection; wait for answers or open more connections",
)
NO_PROXY = Refusal(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This is no proxy and opens no tunnels; send the request itself, the endpoints are listed at /docs",
    ((b"allow", b"GET, HEAD, POST"),),
)
LATE = Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive; check the connection and try again")
CHUNKS_TOO_SMALL = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body comes in too many small chunks; send chunks of 64 bytes or more, or a Content-Length instead",
)
CHUNKS_TOO_WORDY = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The chunks of the body carry too much beside it; leave chunk extensions out"
)
HEADERS_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The headers are over {HEADER_BYTES_MAX // 1024} KB, or more than {HEADERS_MAX}; send fewer or shorter ones",
)
TOO_MANY_HERE = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections, retry in 1 second", _AGAIN)
TOO_MANY_FROM_ONE = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Too many connections from this address, retry in 1 second, or send requests on those that are open",
    _AGAIN,
)


class Refused(Exception):
    """Raised inside the parser's callbacks to end this connection with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


def refusal_of(error: Exception) -> Refusal:
    """What an error of the parser, or of ours, is answered with: the parser hands ours on as its own's context."""
    said = error if isinstance(error, Refused) else error.__context__
    return said.refusal if isinstance(said, Refused) else NOT_HTTP


def written(refusal: Refusal, request_id: str, common: HeaderPairs) -> bytes:
    """The whole answer. common: what else goes with answers of this process, of this path and to this page."""
    status, body = refusal.status, msgspec.json.encode({"detail": refusal.words})
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *refusal.headers,
        *common,
        (b"x-request-id", request_id.encode()),
    ]
    head = b"%s%d %s\r\n" % (BEGINNING, status.value, status.phrase.encode())
    return head + b"".join(b"%s: %s\r\n" % pair for pair in completed(own)) + b"\r\n" + body
