"""Redis as this gateway asks it, and news through it: hints that something changed, for processes of all hosts.

News carry nothing. Whoever waits for them looks for himself when they come, and after every gap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.stores.key_format import redact
from shared.seldom import Seldom

#: What Redis does that is not there, hangs or refuses; a time limit is an OSError.
GONE = (RedisError, OSError)
#: How long news are waited for, and the pause while the server is gone.
LISTEN_S, PAUSE_S = 5.0, 0.5
#: News that come within this of the first are one with it.
TOGETHER_S = 0.02


def open_client(url: str, timeout_s: float) -> Redis:
    """A client that fails fast and never tries twice: whoever calls knows what to do instead. ValueError."""
    client: Redis = Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        max_connections=4,
    )
    return client


@dataclass(slots=True)
class News:
    """Of one channel. told: why none come now, not too often. The client is its owner's to close."""

    client: Redis
    channel: str
    told: Callable[[str], None]
    _subscription: PubSub | None = None
    _seldom: Seldom = field(default_factory=Seldom)

    async def come(self) -> bool:
        """Whether any came within LISTEN_S, or may have before: it listens only from now on. GONE."""
        if self._subscription is None:
            self._subscription = self.client.pubsub(ignore_subscribe_messages=True)
            await self._subscription.subscribe(self.channel)
            return True
        if await self._subscription.get_message(timeout=LISTEN_S) is None:
            return False
        await asyncio.sleep(TOGETHER_S)
        while await self._subscription.get_message(timeout=0.0) is not None:
            pass
        return True

    async def lost(self, error: Exception) -> None:
        """After what `come` raised: says so, and waits a while before it listens anew."""
        self.complain(error)
        await self.aclose()
        await asyncio.sleep(PAUSE_S)

    def complain(self, error: Exception) -> None:
        if self._seldom.may("", monotonic()):
            self.told(redact(str(error)) or type(error).__name__)

    async def aclose(self) -> None:
        """Ends the subscription, if there is one."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*GONE):
                await subscription.aclose()  # type: ignore[no-untyped-call]
