"""One fault after the other under load, with requests in the struck host's hands, and what became of every request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from deploy.balancing import HELD_BYTES
from deploy.timings import TimeTable
from tests.chaos.gallery import Known
from tests.cluster.balancers import PORT, Balancer
from tests.cluster.faults import Fault
from tests.cluster.hosts import Host
from tests.cluster.load import Asked, Load

#: A host's share of what all hosts could answer is offered, less that of the host that is away, times this.
LOAD = 0.7
CLIENTS = 16
#: A host is struck with so many requests in its hands, or with what came so soon: before a look finds it frozen.
IN_HAND_ENOUGH, FILL_S_MAX = 4, 1.5
TRIES = 20
SETTLE_S = 2.0
CAPACITY_S = 4.0
WHOLE_S_MAX = 120.0
#: Beyond `per_try`: noticing, and the other host's own answer.
ANSWER_MARGIN_S = 2.0


class Outcome(Struct, frozen=True):
    """What a fault did. lost: everything but the right answer; too_large: of requests that the balancer does not hold while a
    host has them. Seconds are those of a client."""

    balancer: str
    fault: str
    requests: int
    in_hand: int
    asked_again: int
    lost: dict[str, int]
    too_large: dict[str, int]
    slowest_s: float
    allowed_s: float
    rate: float

    @property
    def kept(self) -> bool:
        return not self.lost and self.requests > 0 and self.slowest_s <= self.allowed_s


@dataclass
class Rehearsal:
    balancer: Balancer
    hosts: Sequence[Host]
    pictures: Sequence[Known]
    load: float = LOAD
    rate: float = 0.0

    async def run(self, faults: Sequence[Fault]) -> list[Outcome]:
        await self._until_whole()
        self.rate = await self._capacity(CAPACITY_S) * self.load * (len(self.hosts) - 1) / len(self.hosts)
        return [await self._through(fault) for fault in faults]

    async def _capacity(self, seconds: float) -> float:
        """Right answers a second, of all hosts together."""
        load = Load(PORT, self.pictures, CLIENTS)
        load.begin()
        await asyncio.sleep(seconds)
        answered = sum(one.became == "ok" for one in load.asked)
        await load.end()
        return answered / seconds

    async def _through(self, fault: Fault) -> Outcome:
        """The fault stays until every client was answered again."""
        load = Load(PORT, self.pictures, CLIENTS, self.rate)
        again = self.balancer.asked_again()
        load.begin()
        await asyncio.sleep(SETTLE_S)
        in_hand = await asyncio.to_thread(self._frozen_with_requests) if fault.held else 0
        await asyncio.to_thread(fault.struck, self.hosts)
        await asyncio.sleep(SETTLE_S)
        asked = await load.end()
        again = self.balancer.asked_again() - again
        await asyncio.to_thread(fault.mended, self.hosts)
        await self._until_whole()
        return self._outcome(fault, asked, in_hand, again)

    def _frozen_with_requests(self) -> int:
        """The first host stands still with requests in its hands; how many."""
        for _ in range(TRIES):
            self.hosts[0].freeze()
            end, in_hand = time.monotonic() + FILL_S_MAX, 0
            while time.monotonic() < end and in_hand < IN_HAND_ENOUGH:
                time.sleep(0.02)
                in_hand = self.balancer.views()[0].in_hand
            if in_hand:
                return in_hand
            self.hosts[0].thaw()
            time.sleep(SETTLE_S)
        raise AssertionError("no request came into the host's hands")

    def _outcome(self, fault: Fault, asked: Sequence[Asked], in_hand: int, again: int) -> Outcome:
        held = HELD_BYTES[self.balancer.name] if fault.held else max(HELD_BYTES.values())
        return Outcome(
            balancer=self.balancer.name,
            fault=fault.name,
            requests=len(asked),
            in_hand=in_hand,
            asked_again=again,
            lost=_lost(one for one in asked if one.size < held),
            too_large=_lost(one for one in asked if one.size >= held),
            slowest_s=round(max((one.took for one in asked), default=0.0), 2),
            allowed_s=TimeTable().per_try + ANSWER_MARGIN_S,
            rate=round(self.rate, 1),
        )

    async def _until_whole(self) -> None:
        """Until the balancer sends requests to every host."""
        async with asyncio.timeout(WHOLE_S_MAX):
            while not await asyncio.to_thread(self._is_whole):  # noqa: ASYNC110 — another process
                await asyncio.sleep(0.1)

    def _is_whole(self) -> bool:
        return all(view.serving for view in self.balancer.views())


def _lost(asked: Iterable[Asked]) -> dict[str, int]:
    return dict(Counter(one.became for one in asked if one.became != "ok"))
