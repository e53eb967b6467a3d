"""Exact limits over several hosts: one Lua call per request on Redis 6 or newer, or Valkey.

It alone talks to Redis about limits. Requests that arrive together share one round trip; whatever Redis does
wrong (gone, hanging, read-only, wrong password) is LimiterDown within the time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections import deque
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from gateway.access.rate_limit import Hit, LimiterDown
from gateway.stores.key_format import redact
from gateway.stores.redis_news import GONE

PREFIX = "face-api:limit:"
AT_ONCE_MAX = 256
WAITING_MAX = 10_000

# KEYS[1] the bucket; ARGV: limit, window in ms, a name for the window should this request begin it.
# The window ends by Redis's own clock. Effects are replicated, so PTTL and the like are fine on Redis 6 too.
_HIT = """
local ttl = redis.call('PTTL', KEYS[1])
if ttl <= 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'n', 1, 'w', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, 1, tonumber(ARGV[2]), ARGV[3]}
end
local seen = redis.call('HMGET', KEYS[1], 'n', 'w')
if tonumber(seen[1]) >= tonumber(ARGV[1]) then
  return {0, tonumber(seen[1]), ttl, seen[2]}
end
return {1, redis.call('HINCRBY', KEYS[1], 'n', 1), ttl, seen[2]}
"""
# KEYS[1] the bucket; ARGV[1] the window that was charged.
_REFUND = """
if redis.call('HGET', KEYS[1], 'w') == ARGV[1] and tonumber(redis.call('HGET', KEYS[1], 'n')) > 0 then
  return redis.call('HINCRBY', KEYS[1], 'n', -1)
end
return -1
"""
_SUMS = {script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (_HIT, _REFUND)}


class _Call(NamedTuple):
    script: str
    arguments: tuple[str, ...]  # the key first
    answer: asyncio.Future[Any]


class RedisLimiter:
    """`timeout_s` bounds every round trip; requests beyond WAITING_MAX are not kept waiting."""

    def __init__(self, client: Redis, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._waiting: deque[_Call] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._log = logging.getLogger("face_api.access")

    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        milliseconds, name = max(1, round(window_s * 1000)), secrets.randbits(48)
        allowed, count, left, window = await self._call(_HIT, bucket, str(limit), str(milliseconds), str(name))
        remaining = max(0, limit - count) if allowed else 0
        return Hit(bool(allowed), limit, remaining, left / 1000, bucket, int(window), self)

    async def refund(self, hit: Hit) -> None:
        with contextlib.suppress(LimiterDown):  # then the client is charged one too many
            await self._call(_REFUND, hit.bucket, str(int(hit.window)))

    async def aclose(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        self._fail([], "closing")
        await self._client.aclose()

    async def _call(self, script: str, bucket: str, *arguments: str) -> Any:
        if len(self._waiting) >= WAITING_MAX:
            raise LimiterDown("too many requests wait for Redis")
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(script, (PREFIX + bucket, *arguments), answer))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        """Sends what waits, as often as something does. One failure answers everybody who waits, whatever it was."""
        batch: list[_Call] = []
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE_MAX))]
                async with asyncio.timeout(self._timeout_s):
                    answers = await self._send(batch)
                for call, answer in zip(batch, answers, strict=True):
                    _settle(call.answer, answer)
        except asyncio.CancelledError:
            self._fail(batch, "closing")
            raise
        except Exception as error:
            if not isinstance(error, (*GONE, ValueError)):
                self._log.exception("a bug in counting with Redis")
            try:
                await self._drop_connections()
            finally:
                self._fail(batch, redact(str(error)) or type(error).__name__)

    async def _send(self, batch: list[_Call]) -> list[Any]:
        answers = await self._pipeline(batch, by_sum=True)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # a fresh server, or somebody flushed its scripts; these calls did nothing
            again = await self._pipeline([batch[index] for index in unknown], by_sum=False)
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return answers

    async def _pipeline(self, batch: list[_Call], *, by_sum: bool) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for call in batch:
            if by_sum:
                pipeline.execute_command("EVALSHA", _SUMS[call.script], 1, *call.arguments)
            else:
                pipeline.execute_command("EVAL", call.script, 1, *call.arguments)
        return list(await pipeline.execute(raise_on_error=False))

    async def _drop_connections(self) -> None:
        """A connection that was given up in mid-answer must not answer the next question."""
        with contextlib.suppress(*GONE):
            await self._client.connection_pool.disconnect(inuse_connections=True)

    def _fail(self, sent: list[_Call], words: str) -> None:
        """Answers those that were sent and have no answer, and those that wait."""
        for call in (*sent, *self._waiting):
            _settle(call.answer, RedisError(words))
        self._waiting.clear()


def _settle(answer: asyncio.Future[Any], value: Any) -> None:
    if answer.done():
        return  # the client left meanwhile
    if isinstance(value, Exception):
        answer.set_exception(LimiterDown(redact(str(value))))
    else:
        answer.set_result(value)
