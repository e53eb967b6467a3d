"""One request, from its first byte to its last count: a typed record that every layer on its way writes to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.timings import Timings
from gateway.trace_context import Trace

#: Names and values as they are sent, names in lower case.
HeaderPairs = list[tuple[bytes, bytes]]

ANONYMOUS = "anonymous"
_NAME = "record"


class Principal(msgspec.Struct, frozen=True):
    """Who calls: a key's id or `anonymous`, and the client's address (an IPv6 one in full).

    records_ttl: most seconds that is kept what the request leaves, if the key says so.
    """

    key_id: str
    address: str
    records_ttl: float | None = None


@dataclass(slots=True)
class RequestRecord:
    """What is known of a request by now.

    trace: where it belongs to one. principal: from the door on. limit_headers, page_headers: how its rate limit stands,
    and what the page that asked is told (CORS); they belong on its answer, whoever makes that. faces: that were found.
    client_left: done when the client hangs up. body: what comes of the body, as `gateway/edge/whole_bodies.py` gathers
    it. Both None where no connection of ours is. answered_for_it: the status that the connection answered in the
    application's place.
    """

    request_id: str = ""
    trace: Trace | None = None
    timings: Timings = field(default_factory=Timings)
    principal: Principal | None = None
    limit_headers: HeaderPairs = field(default_factory=list)
    page_headers: HeaderPairs = field(default_factory=list)
    faces: int = 0
    client_left: asyncio.Future[None] | None = None
    body: Callable[[int], AsyncIterator[bytearray]] | None = None
    answered_for_it: int | None = None


def texts_of(headers: HeaderPairs, name: bytes) -> list[str]:
    """What was sent under a name, in order."""
    return [value.decode("latin-1") for each, value in headers if each == name]


def record_of(scope: Any) -> RequestRecord:
    """The record of the request of an ASGI scope, begun by whoever asks first."""
    try:
        record: RequestRecord = scope["state"][_NAME]
    except KeyError:
        record = scope.setdefault("state", {})[_NAME] = RequestRecord()
    return record
