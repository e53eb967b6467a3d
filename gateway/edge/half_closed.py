"""HalfClosed: a client that has said all it has to say, and may or may not still listen. Pure.

Closing one half of a connection looks like leaving. But who has left answers the next byte with a reset, while who
only closed its half reads on. So what every answer begins with, whatever its status, is sent ahead, a byte at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.edge.refusals import BEGINNING


@dataclass(slots=True)
class HalfClosed:
    """at: when to ask next; every wait is twice the last. ahead: how many bytes of the coming answer were sent."""

    at: float
    wait_s: float = 0.5
    ahead: int = 0

    def question(self, now: float) -> bytes:
        """The byte to send now, if any."""
        if now < self.at or self.ahead == len(BEGINNING):
            return b""
        self.at, self.wait_s = now + self.wait_s, 2 * self.wait_s
        self.ahead += 1
        return BEGINNING[self.ahead - 1 : self.ahead]

    def rest(self, data: bytes) -> bytes:
        """What of an answer's next bytes is still to be sent."""
        ahead, self.ahead = self.ahead, 0
        return data[ahead:]
