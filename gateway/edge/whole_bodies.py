"""A request's body in one memory: uvicorn's protocol, which else hands on copies of its pieces and reads no more than
64 KiB ahead of whoever takes them.

A picture is looked at when it is whole. What may come of one was counted when it was let in, so all of it is read as it
comes, and whoever waits is woken when twice as much is there: what is wrong shows in the first bytes or in the last.
Where a body says how long it is and much of it is to come, it comes straight from the socket into memory of that
length, past the parser, and whoever waits is woken at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.edge.arriving import Arriving
from gateway.edge.no_upgrades import NoUpgrades

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
#: So much of a body must be missing for it to go past the parser, which costs a new one.
STRAIGHT_BYTES_MIN = 64 * 1024
#: Where everything else lies that comes, until the parser has seen it: one for all, as each is done with it at once.
_ANTEROOM = memoryview(bytearray(128 * 1024))


class WholeBodies(NoUpgrades):
    """`gathered` in the place of a request's `receive`. _answered: the one whose turn it is.

    _missing: what is to come past the parser, of the body of the latest request; _memory: the whole body's, until
    nobody wants it any more.
    """

    arriving: Arriving
    _answered: RequestResponseCycle
    _gathered: RequestResponseCycle | None = None
    _enough = _most = 0
    _missing = 0
    _memory: memoryview | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_protocol(_Front(self))

    async def gathered(self, most: int) -> AsyncIterator[bytearray]:
        """All of the body that has come, now and then, and whole at last, in memory which then is the caller's.

        Beyond `most` bytes nothing is read until the caller asks for more. Raises ClientDisconnect.
        """
        cycle = self._gathered = self._answered
        self._most, self._enough = most, 1
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(_GO_ON)
            cycle.waiting_for_100_continue = False
        while await self._has_enough(cycle):
            yield cycle.body
            self._go_straight(cycle)
            here = len(cycle.body)
            self._enough = max(here + 1, min(2 * here, most + 1))
        body, cycle.body = cycle.body, bytearray()
        yield body

    def _go_straight(self, cycle: RequestResponseCycle) -> None:
        """From now on, past the parser: what is to come belongs to the body."""
        declared, came = self.arriving.declared, len(cycle.body)
        if not cycle.more_body or declared > self._most or declared - came < STRAIGHT_BYTES_MIN:
            return
        body = bytearray(declared)
        body[:came] = cycle.body
        cycle.body, self._memory, self._missing = body, memoryview(body), declared - came

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 — named as asyncio names it
        """Where the socket is to put what comes next, no more than that."""
        if not self._missing:
            return _ANTEROOM
        return _ANTEROOM[: self._missing] if self._memory is None else self._memory[-self._missing :]

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come, where it was to be put."""
        if not self._missing:
            self.data_received(bytes(_ANTEROOM[:nbytes]))
            self._stop_before_much()
            return
        self._missing -= nbytes
        self.came_straight(nbytes)
        if not self._missing:
            self._memory = None
            self.renew_parser()  # the old one still waits for this body
            self.on_whole_request()

    def _stop_before_much(self) -> None:
        """Until it is asked for: what is read now would not come straight."""
        cycle = self.cycle
        if cycle is None or cycle is self._gathered or cycle.response_complete or cycle.disconnected:
            return
        if cycle.more_body and self.arriving.declared - self.arriving.body >= STRAIGHT_BYTES_MIN:
            self.flow.pause_reading()

    def came_straight(self, count: int) -> None:
        """To be told of bytes of a body that no parser sees."""

    def end_straight(self) -> None:
        """What comes from now on is nobody's body."""
        self._missing, self._memory = 0, None

    async def _has_enough(self, cycle: RequestResponseCycle) -> bool:
        """Whether enough for now is here; False once it is whole."""
        while not cycle.disconnected and cycle.more_body and len(cycle.body) < self._enough:
            cycle.message_event.clear()
            self.flow.resume_reading()
            await cycle.message_event.wait()
        if cycle.disconnected:
            raise ClientDisconnect
        return cycle.more_body

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle is not self._gathered or cycle.response_complete:
            super().on_body(body)
            return
        cycle.body += body
        if len(cycle.body) > self._most:
            self.flow.pause_reading()
        if len(cycle.body) >= self._enough:
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        if self._gathered is not None:
            # who was refused may have sent much
            self._gathered.body, self._gathered, self._memory = bytearray(), None, None
        super().on_response_complete()


class _Front(asyncio.BufferedProtocol):
    """A connection's protocol as the transport knows it: asked where to put what comes, which uvicorn's cannot be."""

    def __init__(self, protocol: WholeBodies) -> None:
        self.get_buffer, self.buffer_updated = protocol.get_buffer, protocol.buffer_updated  # type: ignore[method-assign]
        self.eof_received, self.connection_lost = protocol.eof_received, protocol.connection_lost  # type: ignore[method-assign]
        self.pause_writing, self.resume_writing = protocol.pause_writing, protocol.resume_writing  # type: ignore[method-assign]
