"""QuarantineShare: findings told to the gateways of other hosts, and heard from them, through Redis 6 or Valkey.

One sorted set holds what every host found, each for as long as it counts by the server's own clock: what crosses is
time left, never a time. Nothing waits for it; while it is gone each host knows what its own folder holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from redis.asyncio import Redis

from gateway.dispatching.quarantine import REMEMBERED_MAX, REMEMBERED_S, Finding, finding_of
from gateway.dispatching.quarantine_folder import QuarantineFolder
from gateway.stores.redis_news import GONE, PAUSE_S, News
from shared.supervision import Loops

KEY, CHANNEL = "face-api:quarantine", "face-api:quarantine-changed"
UNSENT_MAX = 2 * REMEMBERED_MAX

_CLOCK = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
# ARGV: most members; then for each its milliseconds left and its name.
_NOTE = (
    _CLOCK
    + f"""
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], now + ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
redis.call('PEXPIRE', KEYS[1], {int(REMEMBERED_S * 1000)})
redis.call('PUBLISH', '{CHANNEL}', '1')
"""
)
_ACQUIT = f"if redis.call('ZREM', KEYS[1], unpack(ARGV)) > 0 then redis.call('PUBLISH', '{CHANNEL}', '1') end"
_READ = (
    _CLOCK
    + """
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
for i = 2, #found, 2 do found[i] = found[i] - now end
return found
"""
)


@dataclass(slots=True)
class QuarantineShare:
    """folder: this host's view, which hears what others found. told: why nothing is shared now, not too often."""

    client: Redis
    folder: QuarantineFolder
    told: Callable[[str], None]
    clock: Callable[[], float] = monotonic
    _unsent: list[Finding | str] = field(default_factory=list)
    _any: asyncio.Event = field(default_factory=asyncio.Event)
    _news: News = field(init=False)

    def __post_init__(self) -> None:
        self._news = News(self.client, CHANNEL, self.told)
        self.folder.noted = self._say
        self.folder.acquitted = lambda digest: self._say(f"{digest.hex()}.suspected")

    def _say(self, what: Finding | str) -> None:
        """A finding, or the name of one that is over."""
        self._unsent = [*self._unsent[-UNSENT_MAX:], what]
        self._any.set()

    async def send(self) -> None:
        """One round: says what was found here, in order. What cannot be said now is said later."""
        await self._any.wait()
        self._any.clear()
        saying, self._unsent = self._unsent, []
        try:
            for over, together in itertools.groupby(saying, lambda what: isinstance(what, str)):
                await self._say_together(list(together), over=over)
        except GONE as error:
            self._news.complain(error)
            self._unsent = saying + self._unsent  # what was said already may be said again
            self._any.set()
            await asyncio.sleep(PAUSE_S)

    async def _say_together(self, what: list[Any], *, over: bool) -> None:
        if over:
            await self._called(_ACQUIT, *what)
        else:
            await self._called(_NOTE, REMEMBERED_MAX, *self._left(what))

    def _left(self, findings: Iterable[Finding]) -> list[Any]:
        """Milliseconds left and name of each, by turns."""
        now = self.clock()
        pairs = (
            (max(1, int((one.at + REMEMBERED_S - now) * 1000)), f"{one.digest.hex()}.{one.standing}")
            for one in findings
        )
        return list(itertools.chain.from_iterable(pairs))

    async def hear(self) -> None:
        """One round: waits a while for news, then reads what all hosts have found."""
        try:
            await self._news.come()
            await self.read()
        except GONE as error:
            await self._news.lost(error)

    async def read(self) -> None:
        self.folder.hear(findings_of(await self._called(_READ), self.clock()))

    async def aclose(self) -> None:
        await self._news.aclose()

    async def _called(self, script: str, *arguments: object) -> Any:
        return await self.client.execute_command("EVAL", script, 1, KEY, *arguments)  # type: ignore[no-untyped-call]


def findings_of(found: Sequence[Any], now: float) -> list[Finding]:
    """From names and milliseconds left, by turns; what is no finding's name is none. now: this host's clock."""
    findings = []
    for name, left_ms in zip(found[::2], found[1::2], strict=True):
        digest, _, standing = name.decode(errors="replace").partition(".")
        at_ms = int((now - REMEMBERED_S) * 1000) + int(left_ms)
        findings.append(finding_of(f"{digest}.{max(0, at_ms)}.{standing}"))
    return [finding for finding in findings if finding is not None]


@contextlib.asynccontextmanager
async def sharing(
    client: Redis, folder: QuarantineFolder, loops: Loops, told: Callable[[str], None]
) -> AsyncIterator[None]:
    """Shares the findings of one gateway process for as long as it lives; closes the client."""
    share = QuarantineShare(client, folder, told)
    sending = loops.keep("quarantine_said", share.send, 0.0, last_round_s=0.0)
    hearing = loops.keep("quarantine_news", share.hear, 0.0, last_round_s=0.0)
    try:
        yield
    finally:
        await sending.end()
        await hearing.end()
        await share.aclose()
        await client.aclose()
