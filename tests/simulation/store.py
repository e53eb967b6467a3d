"""What hosts share in the simulation: the findings in Valkey, as its scripts keep them, late and sometimes out of reach."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ConnectionError as NotReached

from gateway.dispatching import quarantine_share as share

LATE_S = 0.005


@dataclass(eq=False)
class SimStore:
    """members: names of findings, and when each is over by this server's clock."""

    loop: asyncio.AbstractEventLoop
    chance: random.Random
    members: dict[str, float] = field(default_factory=dict)
    listeners: set[SimListener] = field(default_factory=set)
    away_until: float = 0.0

    async def reach(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, LATE_S))
        if self.loop.time() < self.away_until:
            raise NotReached("out of reach")

    async def execute_command(self, _eval: str, script: str, _keys: int, _key: str, *arguments: Any) -> Any:
        await self.reach()
        now = self.loop.time()
        self.members = {name: over for name, over in self.members.items() if over > now}
        if script == share._READ:
            return [word for name, over in self.members.items() for word in (name.encode(), int((over - now) * 1000))]
        if script == share._NOTE:
            _, *pairs = arguments
            self.members.update({name: now + left / 1000 for left, name in zip(pairs[::2], pairs[1::2], strict=True)})
        else:
            assert script == share._ACQUIT
            self.members = {name: over for name, over in self.members.items() if name not in arguments}
        for listener in self.listeners:
            listener.news.set()
        return None

    def pubsub(self, **_options: bool) -> SimListener:
        return SimListener(self)


@dataclass(eq=False)
class SimListener:
    store: SimStore
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def subscribe(self, _channel: str) -> None:
        await self.store.reach()
        self.store.listeners.add(self)

    async def get_message(self, timeout: float) -> str | None:  # noqa: ASYNC109 — as redis has it
        """Who listened when the server went is told; what was said meanwhile is lost."""
        if self not in self.store.listeners:
            raise NotReached("out of reach")
        try:
            async with asyncio.timeout(timeout):
                await self.news.wait()
        except TimeoutError:
            return None
        self.news.clear()
        return "1"

    async def aclose(self) -> None:
        self.store.listeners.discard(self)
