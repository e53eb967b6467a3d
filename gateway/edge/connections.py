"""Connections: every open one of a gateway process, how many each address has, and the regular look at them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.edge.conversation import Patience

if TYPE_CHECKING:
    from gateway.edge.http_protocol import Protocol

Owing = tuple[float, int, "Protocol"]

#: Every connection is looked at about so often, a slice of them at a time, so that no look holds the loop up.
LOOK_INTERVAL_S, SLICE = 0.25, 64


@dataclass(slots=True)
class Connections:
    """Every connection of this process, and how many each address has. exempt: addresses of trusted proxies.

    unsent_max: bytes of answers that clients have not read, together; beyond it those who owe most are cut.
    draining: connections end with their next answer. stopped: since when no new ones are accepted; only from then
    on idle ones are closed, when balancers have seen long ago that this process is not ready any more.
    """

    patience: Patience
    most: int
    most_per_address: int
    exempt: Callable[[str], bool]
    unsent_max: int = 512 * 1024 * 1024
    draining: bool = False
    stopped: float | None = None
    refused: Counter[str] = field(default_factory=Counter)
    _open: set[Protocol] = field(default_factory=set)
    _per_address: Counter[str] = field(default_factory=Counter)
    _looking: asyncio.TimerHandle | None = None
    _round: list[Protocol] = field(default_factory=list)
    _owing: list[Owing] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, protocol: Protocol) -> bool:
        """Whether there is room for it."""
        address = protocol.address
        full = len(self._open) >= self.most or self._per_address[address] >= self.most_per_address
        if full and not self.exempt(address):
            self.refused["connections"] += 1
            return False
        self._open.add(protocol)
        self._per_address[address] += 1
        if self._looking is None:
            self._looking = protocol.loop.call_later(LOOK_INTERVAL_S, self._look, protocol.loop)
        return True

    def discard(self, protocol: Protocol) -> None:
        if protocol in self._open:
            self._open.remove(protocol)
            self._per_address[protocol.address] -= 1
            if not self._per_address[protocol.address]:
                del self._per_address[protocol.address]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cuts what is overdue, a slice of the connections at a time; again soon, as long as there are any."""
        now = loop.time()
        if not self._round:
            self._round = list(self._open)
        for protocol in self._round[:SLICE]:
            if protocol in self._open:
                protocol.look(now)
                if unsent := protocol.unsent():
                    self._owing.append((protocol.talk.owes(now, unsent), unsent, protocol))
        del self._round[:SLICE]
        if not self._round:
            self._make_room()
        pause = LOOK_INTERVAL_S / (1 + len(self._open) // SLICE)
        self._looking = loop.call_later(pause, self._look, loop) if self._open else None

    def _make_room(self) -> None:
        """Once every round: unread answers would else be held without end, as many as clients care to ask for."""
        for protocol in to_cut(self._owing, self.unsent_max):
            if protocol in self._open:
                protocol.cut("unread answers")
        self._owing.clear()


def to_cut(owing: list[Owing], most: int) -> list[Protocol]:
    """Who must go so that `most` bytes are left: first who has taken most memory for longest.

    owing: (byte-seconds, bytes, connection) of each. A client that reads well owes little however large its answer is.
    """
    cut, held = [], sum(size for _, size, _ in owing)
    for _, size, protocol in sorted(owing, key=lambda one: -one[0]):
        if held <= most:
            break
        cut.append(protocol)
        held -= size
    return cut
