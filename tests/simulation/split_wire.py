"""Links between hosts: they are held up while a host is cut off, end with a reset, and are made anew to the same port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.wire import decode_to_pool
from tests.simulation.gateway import SimLink
from tests.simulation.network import Channel, Letter

#: An attempt to connect is given up after this, and a connection whose other end is silent by the worker's own pings.
CONNECT_S, PINGED_S = 1.0, 6.0
#: Until a closed port, or a reset, is noticed.
REFUSED_S = 0.002
#: Letters that were held up come after one another.
NEXT_S = 1e-6


@dataclass(slots=True)
class HeldChannel(Channel):
    """heals: when the way is open again; in the past where it is. open: whether the other end takes what comes."""

    heals: Callable[[], float] = lambda: 0.0
    open: Callable[[], bool] = lambda: True

    def _deliver(self, letter: Letter) -> None:
        now, heals = self.loop.time(), self.heals()
        place = next(number for number, one in enumerate(self.on_way) if one is letter)
        if place or heals > now:
            due = max(heals, now) + NEXT_S * (place + 1)
            self.last_due = max(self.last_due, due)
            letter.timer = self.loop.call_at(due, self._deliver, letter)
        elif self.open():
            Channel._deliver(self, letter)
        else:
            self.on_way.popleft()


@dataclass(slots=True, eq=False)
class HostLink(SimLink):
    """To a port of a host. host: has `heals` and `chance`. attached: somebody listened there."""

    host: Any = field(kw_only=True)
    attached: bool = False

    def attach(self) -> None:
        """As ROUTER_HANDOVER has it: what a gateway sent over an earlier connection and was not read is refused."""
        self.attached = True
        name = self.gateway.identity
        self.worker.take_over(name)
        self.worker.channels[name] = self.back
        self.worker.gone.discard(name)

    @property
    def listened_to(self) -> bool:
        return self.attached and self.worker.channels.get(self.gateway.identity) is self.back

    def close(self) -> None:
        """Where the host is cut off it learns of this when that is over, with some of what was sent before."""
        if self.closed:
            return
        self.closed = True
        self.back.cut()
        now, heals = self.gateway.loop.time(), self.host.heals
        if heals <= now:
            self._parted()
            return
        self.there.end(now, flushed=False)
        lost = len(self.there.on_way) - self.host.chance.randint(0, len(self.there.on_way))
        for _ in range(lost):
            letter = self.there.on_way.pop()
            assert letter.timer is not None
            letter.timer.cancel()
        self.gateway.loop.call_at(heals + NEXT_S * (2 + len(self.there.on_way)), self._parted)

    def reset(self) -> None:
        """Both ends learn of it at once; what is on its way is lost."""
        self.there.cut()
        self.back.cut()
        self._parted()
        self.gateway.loop.call_later(REFUSED_S, self.lose)

    def _parted(self) -> None:
        if self.listened_to:
            self.worker.gone.add(self.gateway.identity)


class PoolLink(HostLink):
    """What goes over it is about workers, not requests."""

    def _asked(self, frames: list[bytes]) -> Any:
        return decode_to_pool(frames)

    def _told(self, message: Any) -> None:
        pass
