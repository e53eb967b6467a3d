"""Connections: every open one of a gateway process, how many each address has, and the regular look at them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.edge.conversation import Conversation, Patience
from gateway.edge.refusals import TOO_MANY_FROM_ONE, TOO_MANY_HERE, Refusal

#: Every connection is looked at about so often, a slice of them at a time, so that no look holds the loop up.
LOOK_INTERVAL_S, SLICE = 0.25, 64
#: Refused connections that are still open, to be read by their clients; of more, the oldest end at once.
TURNED_AWAY_MAX = 128

_log = logging.getLogger("face_api.connections")


class Connection(Protocol):
    """What is known here of one of them. bucket: what its address is counted under."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def transport(self) -> asyncio.Transport: ...
    @property
    def address(self) -> str: ...
    @property
    def bucket(self) -> str: ...
    @property
    def talk(self) -> Conversation: ...

    def look(self, now: float) -> None:
        """Acts on what is overdue."""

    def unsent(self) -> int:
        """Bytes of answers that its client has not read."""

    def cut(self, reason: str) -> None:
        """Ends it at once."""


Owing = tuple[float, int, Connection]


@dataclass(slots=True)
class Connections:
    """Every connection of this process, and how many each address has. exempt: addresses of trusted proxies.

    most: of all; most_per_address: of them for one IPv4 address or one IPv6 /64, proxies excepted. unsent_max: bytes
    of answers that clients have not read, together; beyond it those who owe most are cut. origins: whose pages may
    read answers. draining: connections end with their next answer. stopped: since when no new ones are accepted; only
    from then on idle ones are closed, when balancers have seen long ago that this process is not ready any more.
    """

    patience: Patience
    most: int
    most_per_address: int
    exempt: Callable[[str], bool]
    unsent_max: int = 512 * 1024 * 1024
    origins: frozenset[bytes] = frozenset()
    draining: bool = False
    stopped: float | None = None
    refused: Counter[str] = field(default_factory=Counter)
    _open: set[Connection] = field(default_factory=set)
    _turned_away: dict[Connection, None] = field(default_factory=dict)
    _per_address: Counter[str] = field(default_factory=Counter)
    _looking: asyncio.TimerHandle | None = None
    _round: list[Connection] = field(default_factory=list)
    _owing: list[Owing] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._open) + len(self._turned_away)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._open or connection in self._turned_away

    def add(self, connection: Connection) -> Refusal | None:
        """Takes it in, or says why not: then it is owned all the same, until it has read its refusal."""
        if self._looking is None:
            self._looking = connection.loop.call_later(LOOK_INTERVAL_S, self._look, connection.loop)
        why = self._no_room(connection)
        if why is None:
            self._open.add(connection)
            self._per_address[connection.bucket] += 1
            return None
        self.refused["connections"] += 1
        self._turned_away[connection] = None
        if len(self._turned_away) > TURNED_AWAY_MAX:
            first = next(iter(self._turned_away))  # it has had most time to read
            del self._turned_away[first]
            first.transport.abort()
        return why

    def _no_room(self, connection: Connection) -> Refusal | None:
        if len(self._open) >= self.most:
            return TOO_MANY_HERE
        full = self._per_address[connection.bucket] >= self.most_per_address
        return TOO_MANY_FROM_ONE if full and not self.exempt(connection.address) else None

    def discard(self, connection: Connection) -> None:
        self._turned_away.pop(connection, None)
        if connection in self._open:
            self._open.remove(connection)
            self._per_address[connection.bucket] -= 1
            if not self._per_address[connection.bucket]:
                del self._per_address[connection.bucket]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cuts what is overdue, a slice of the connections at a time; again soon, as long as there are any."""
        try:
            self._look_at_slice(loop.time())
        finally:
            pause = LOOK_INTERVAL_S / (1 + len(self) // SLICE)
            self._looking = loop.call_later(pause, self._look, loop) if len(self) else None

    def _look_at_slice(self, now: float) -> None:
        if not self._round:
            self._round = [*self._open, *self._turned_away]
        slice_, self._round = self._round[:SLICE], self._round[SLICE:]
        for connection in slice_:
            if connection in self:
                self._look_at(connection, now)
        if not self._round:
            self._make_room()

    def _look_at(self, connection: Connection, now: float) -> None:
        """A fault of one connection's own is the end of that connection only."""
        try:
            connection.look(now)
            if unsent := connection.unsent():
                self._owing.append((connection.talk.owes(now, unsent), unsent, connection))
        except Exception:
            _log.exception("a connection could not be looked at and was cut")
            connection.cut("fault")

    def _make_room(self) -> None:
        """Once every round: unread answers would else be held without end, as many as clients care to ask for."""
        for connection in to_cut(self._owing, self.unsent_max):
            if connection in self:
                connection.cut("unread answers")
        self._owing.clear()


def to_cut(owing: list[Owing], most: int) -> list[Connection]:
    """Who must go so that `most` bytes are left: first who has taken most memory for longest.

    owing: (byte-seconds, bytes, connection) of each. A client that reads well owes little however large its answer is.
    """
    cut, held = [], sum(size for _, size, _ in owing)
    for _, size, connection in sorted(owing, key=lambda one: -one[0]):
        if held <= most:
            break
        cut.append(connection)
        held -= size
    return cut
