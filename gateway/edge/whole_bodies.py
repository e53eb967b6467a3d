"""A request's body in one memory: uvicorn's protocol, which else hands on copies of its pieces and reads no more than
64 KiB ahead of whoever takes them.

A picture is looked at when it is whole. What may come of one was counted when it was let in, so all of it is read as it
comes, and whoever waits is woken when twice as much is there: what is wrong shows in the first bytes or in the last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.edge.no_upgrades import NoUpgrades

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class WholeBodies(NoUpgrades):
    """`gathered` in the place of a request's `receive`. _answered: the one whose turn it is."""

    _answered: RequestResponseCycle
    _gathered: RequestResponseCycle | None = None
    _enough = _most = 0

    async def gathered(self, most: int) -> AsyncIterator[bytearray]:
        """All of the body that has come, again and again, and whole at last: one memory, which then is the caller's.

        Beyond `most` bytes nothing is read until the caller asks for more. Raises ClientDisconnect.
        """
        cycle = self._gathered = self._answered
        self._most, self._enough = most, 1
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(_GO_ON)
            cycle.waiting_for_100_continue = False
        while await self._has_enough(cycle):
            yield cycle.body
            here = len(cycle.body)
            self._enough = max(here + 1, min(2 * here, most + 1))
        body, cycle.body = cycle.body, bytearray()
        yield body

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
            self._gathered.body, self._gathered = bytearray(), None  # who was refused may have sent much
        super().on_response_complete()
