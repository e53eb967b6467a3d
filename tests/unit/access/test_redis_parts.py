"""What stands on Redis, where something fails that is not Redis: nobody waits for ever, and it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisGone

from gateway.access.rate_limit import LimiterDown
from gateway.access.rate_limit_redis import RedisLimiter
from gateway.keys.announce import Listening
from gateway.stores import redis_news
from gateway.stores.redis_news import open_client
from shared import supervision
from shared.supervision import Loops
from tests.waiting import WAIT_S_MAX, until

#: Nothing listens there; the tests never come so far.
URL = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("error", [LookupError("a bug"), RuntimeError("the transport is closed"), RedisGone("gone")])
async def test_whatever_fails_answers_everybody_who_waits_and_the_next_are_sent(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter, broken = RedisLimiter(open_client(URL, 0.1), 5.0), True

    async def send(batch: list[Any]) -> list[Any]:
        await asyncio.sleep(0.01)
        if broken:
            raise error
        return [[1, 1, 60_000, "7"] for _ in batch]

    monkeypatch.setattr(limiter, "_send", send)
    async with asyncio.timeout(WAIT_S_MAX):
        tries = (limiter.hit("a", 3, 60) for _ in range(300))  # more than are sent at once
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert {type(answer) for answer in answers} == {LimiterDown}
        broken = False
        assert (await limiter.hit("a", 3, 60)).allowed
    await limiter.aclose()


async def test_closing_answers_those_whose_question_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter, sent = RedisLimiter(open_client(URL, 0.1), 5.0), asyncio.Event()

    async def never(_batch: list[Any]) -> list[Any]:
        sent.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(limiter, "_send", never)
    asking = asyncio.create_task(limiter.hit("a", 3, 60))
    await sent.wait()
    await limiter.aclose()
    with pytest.raises(LimiterDown):
        await asyncio.wait_for(asking, WAIT_S_MAX)


class Subscription:
    """Redis's publications: each round's is the next of what is planted."""

    def __init__(self, planted: list[Any]) -> None:
        self._planted, self.closed = planted, 0

    async def subscribe(self, _channel: str) -> None: ...

    async def get_message(self, **_: float) -> Any:
        await asyncio.sleep(0.001)
        found = self._planted.pop(0) if self._planted else None
        if isinstance(found, Exception):
            raise found
        return found

    async def aclose(self) -> None:
        self.closed += 1


async def test_news_of_keys_go_on_after_redis_was_gone_and_after_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_news, "PAUSE_S", 0.001)
    monkeypatch.setattr(supervision, "FIRST_PAUSE_S", 0.001)
    heard: list[int] = []
    subscription = Subscription([{"data": b"1"}, None, RedisGone("gone"), LookupError("planted"), {"data": b"1"}])
    client: Any = open_client(URL, 0.1)
    monkeypatch.setattr(client, "pubsub", lambda **_: subscription)
    loops, listening = Loops(), Listening(client, lambda: heard.append(1))
    loops.keep("key_news", listening.round, 0.0, last_round_s=0.0)
    await until(lambda: len(heard) == 4)  # two announcements, and once after each beginning
    assert loops.failures == {"key_news": 1}
    assert loops.failing() == ""
    await loops.aclose()
    await listening.aclose()
    assert subscription.closed == 2
