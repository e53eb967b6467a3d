"""Tells the gateway processes of all hosts, through Redis, that keys changed. A hint only: they also look themselves.

It alone knows the channel.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

import redis
from redis.asyncio import Redis

from gateway.stores.redis_news import GONE, News

CHANNEL = "face-api:keys-changed"
#: How long the command line waits for Redis.
SAY_S_MAX = 1.0
_log = logging.getLogger("face_api.keys")


async def announce(client: Redis) -> bool:
    """Says that keys changed; False where nobody could be told (they find out by looking)."""
    try:
        await client.publish(CHANNEL, "1")
    except GONE:
        return False
    return True


def announce_blocking(url: str) -> bool:
    """The same for the command line."""
    try:
        with contextlib.closing(
            redis.Redis.from_url(url, socket_timeout=SAY_S_MAX, socket_connect_timeout=SAY_S_MAX)
        ) as client:
            client.publish(CHANNEL, "1")
    except (*GONE, ValueError):
        return False
    return True


class Listening:
    """Calls `heard` for every announcement, and once after each gap. `round` is called over and over, then `aclose`."""

    def __init__(self, client: Redis, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._news = News(client, CHANNEL, _tell)
        self.aclose = self._news.aclose

    async def round(self) -> None:
        """Waits a while for an announcement; where Redis is gone, before it is asked again."""
        try:
            if await self._news.come():
                self._heard()
        except GONE as error:
            await self._news.lost(error)


def _tell(words: str) -> None:
    _log.info("no news of keys from Redis (%s); looking every few seconds", words)
