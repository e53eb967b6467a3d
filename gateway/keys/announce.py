"""Tells the gateway processes of all hosts, through Redis, that keys changed. A hint only: they also look themselves.

It alone knows the channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import redis
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from gateway.stores.key_format import redact

CHANNEL = "face-api:keys-changed"
FIRST_PAUSE_S, PAUSE_S_MAX = 0.5, 10.0
LISTEN_S = 5.0


async def announce(client: Redis) -> bool:
    """Says that keys changed; False where nobody could be told (they find out by looking)."""
    try:
        await client.publish(CHANNEL, "1")
    except (RedisError, OSError, TimeoutError):
        return False
    return True


def announce_blocking(url: str, timeout_s: float = 1.0) -> bool:
    """The same for the command line."""
    try:
        with contextlib.closing(
            redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        ) as client:
            client.publish(CHANNEL, "1")
    except (RedisError, OSError, ValueError):
        return False
    return True


class Listening:
    """Calls `heard` for every announcement, and once after each gap. `round` is called over and over, then `aclose`."""

    def __init__(self, client: Redis, heard: Callable[[], None]) -> None:
        self._client, self._heard = client, heard
        self._subscription: PubSub | None = None
        self._pause = FIRST_PAUSE_S
        self._log = logging.getLogger("face_api.keys")

    async def round(self) -> None:
        """Waits a while for an announcement; where Redis is gone, before it is asked again."""
        try:
            subscription = self._subscription or await self._subscribe()
            if await subscription.get_message(timeout=LISTEN_S) is not None:
                self._heard()
        except (RedisError, OSError, TimeoutError) as error:
            self._log.info("no news of keys from Redis (%s); looking every few seconds", redact(str(error)))
            await self.aclose()
            await asyncio.sleep(self._pause)
            self._pause = min(PAUSE_S_MAX, self._pause * 2)

    async def aclose(self) -> None:
        """Ends the subscription, if there is one."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(RedisError, OSError):
                await subscription.aclose()  # type: ignore[no-untyped-call]

    async def _subscribe(self) -> PubSub:
        self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
        await self._subscription.subscribe(CHANNEL)
        self._pause = FIRST_PAUSE_S
        self._heard()  # whatever was said while nobody listened
        return self._subscription
