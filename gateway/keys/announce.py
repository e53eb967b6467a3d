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
from redis.exceptions import RedisError

from gateway.access.key_format import redact

CHANNEL = "face-api:keys-changed"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
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


async def listen(client: Redis, heard: Callable[[], None]) -> None:
    """Calls `heard` for every announcement, and once after each gap, until cancelled."""
    log = logging.getLogger("face_api.keys")
    pause = FIRST_PAUSE_S
    while True:
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(CHANNEL)
                heard()  # whatever was said while nobody listened
                pause = FIRST_PAUSE_S
                while True:
                    if await subscription.get_message(timeout=LISTEN_S) is not None:
                        heard()
        except (RedisError, OSError, TimeoutError) as error:
            log.info("no news of keys from Redis (%s); looking every few seconds", redact(str(error)))
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)
