"""Opens what access stands on, in order, for one gateway process, and keeps it going; closes it in the other order."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.access.client_ip import ClientAddresses
from gateway.access.door import Door
from gateway.access.rate_limit import FallbackLimiter, Limiter, MemoryLimiter
from gateway.access.rate_limit_sqlite import SqliteLimiter
from gateway.keys.keeping import open_keys
from gateway.keys.upkeep import HAND_IN_S, Forget, Upkeep
from gateway.keys.usage import day_of
from gateway.reporting.counters import HAND_IN_S as COUNTS_S
from gateway.reporting.counters import Counters, Present
from shared.access_rules import parse_networks
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.supervision import Loops

if TYPE_CHECKING:  # who has no Redis does not load its library
    from redis.asyncio import Redis


@contextlib.asynccontextmanager
async def open_access(
    settings: Settings, runtime_dir: Path, loops: Loops | None = None, also_forget: Sequence[Forget] = ()
) -> AsyncIterator[Door]:
    """The door of one gateway process. `runtime_dir` is shared by the processes of this host.

    loops: of the process; without any it has its own. also_forget: what others keep in the key store.
    ConfigurationError where it must not start; a key store or a Redis that is down does not stop it.
    """
    loops = loops or Loops()
    folder = runtime_dir if settings.runtime_dir else Path(settings.data_dir) / "run"
    async with contextlib.AsyncExitStack() as stack:
        redis = _open_redis(settings)
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        counters = Counters(folder)
        stack.callback(counters.close)
        keys = await stack.enter_async_context(open_keys(settings, redis))
        limiter = limiter_chain(settings, folder, redis, counters)
        stack.push_async_callback(limiter.aclose)
        upkeep = Upkeep(keys, settings.audit_keep, also_forget)
        stack.push_async_callback(upkeep.hand_in_at_last)
        counters.say_of_now(lambda: Present(use=upkeep.gathering.on_day(day_of(time.time()))))
        stack.callback(counters.hand_in)
        stack.push_async_callback(loops.keep("key_cache", keys.cache.round, 0.0, last_round_s=0.0).end)
        stack.push_async_callback(loops.keep("counts", counters.hand_in, COUNTS_S).end)
        stack.push_async_callback(loops.keep("key_use", upkeep.round, HAND_IN_S).end)
        if redis is not None:
            from gateway.keys.announce import Listening

            news = Listening(redis, keys.cache.poke)
            stack.push_async_callback(news.aclose)
            stack.push_async_callback(loops.keep("key_news", news.round, 0.0, last_round_s=0.0).end)
        addresses = ClientAddresses(parse_networks(settings.trusted_proxies))
        yield Door(settings, keys, upkeep, addresses, limiter, counters)


def limiter_chain(settings: Settings, folder: Path, redis: Redis | None, counters: Counters) -> Limiter:
    """Redis where there is one, else all processes of this host together, else this process alone."""

    def note(name: str) -> None:
        counters.add(f"limiter_failures.{name}")

    share = 1 / max(1, settings.gateway_processes)
    exact = SqliteLimiter(folder)
    with contextlib.suppress(sqlite3.Error, OSError):  # then the first request finds out, and what to do instead
        exact.open()
    here: Limiter = FallbackLimiter(exact, MemoryLimiter(share), "host-wide", note)
    if redis is None:
        return here
    from gateway.access.rate_limit_redis import RedisLimiter

    return FallbackLimiter(RedisLimiter(redis, settings.redis_timeout_ms / 1000), here, "Redis", note)


def _open_redis(settings: Settings) -> Redis | None:
    if not settings.redis_url:
        return None
    from gateway.stores.redis_news import open_client

    try:
        return open_client(settings.redis_url, settings.redis_timeout_ms / 1000)
    except ValueError as error:
        raise ConfigurationError("FACE_API_REDIS_URL cannot be understood; write redis://host:6379/0") from error
