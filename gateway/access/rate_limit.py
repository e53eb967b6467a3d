"""Fixed windows that begin with a client's first request: the rule, its headers, and limiters that need no server.

It alone knows how a window counts, and when a broken store is left for the next one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.record import HeaderPairs
from shared.errors import RateLimited

BUCKETS_MAX = 100_000
REST_S = 1.0  # how long a limiter that failed is left alone


class LimiterDown(Exception):
    """This limiter cannot count now; the words are for the log."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What one request met: `remaining` after it, `reset_s` until the window ends.

    `window` and `limiter` say what to give back to where, should the request not be charged after all.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    bucket: str
    window: float
    limiter: Limiter


class Limiter(Protocol):
    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        """Counts one request unless the window is full. LimiterDown."""

    async def refund(self, hit: Hit) -> None:
        """Gives an allowed request back, if its window is still the present one. Never raises."""

    async def aclose(self) -> None: ...


class MemoryLimiter:
    """Counts inside this process; `share` is the part of every limit that is its own, 0.25 among four processes."""

    def __init__(self, share: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._now = now
        self._windows: dict[str, tuple[float, int]] = {}  # bucket → (end, count), oldest first

    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        now, share = self._now(), max(1, math.ceil(limit * self._share))
        ends, count = self._windows.get(bucket, (0.0, 0))
        if ends <= now:
            self._windows.pop(bucket, None)  # to the end of the order
            self._make_room(now)
            ends, count = now + window_s, 0
        allowed = count < share
        self._windows[bucket] = (ends, count + allowed)
        return Hit(allowed, limit, max(0, share - count - allowed), ends - now, bucket, ends, self)

    async def refund(self, hit: Hit) -> None:
        ends, count = self._windows.get(hit.bucket, (0.0, 0))
        if ends == hit.window and count > 0:
            self._windows[hit.bucket] = (ends, count - 1)

    async def aclose(self) -> None:
        self._windows.clear()

    def _make_room(self, now: float) -> None:
        """Drops what ended, two for each that comes; the oldest beyond BUCKETS_MAX."""
        for _ in range(2):
            oldest = next(iter(self._windows), None)
            if oldest is not None and (self._windows[oldest][0] <= now or len(self._windows) >= BUCKETS_MAX):
                del self._windows[oldest]


class FallbackLimiter:
    """The first limiter while it works; the second at once when it fails, for REST_S at a time."""

    def __init__(
        self,
        first: Limiter,
        second: Limiter,
        name: str,
        note_failure: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first, self._second = first, second
        self._name = name
        self._note_failure = note_failure
        self._now = now
        self._rest_until = -math.inf
        self._down = False
        self._log = logging.getLogger("face_api.access")

    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        now = self._now()
        if now < self._rest_until:
            return await self._second.hit(bucket, limit, window_s)
        if self._down:
            self._rest_until = now + REST_S  # this request tries; the others meanwhile take the second
        try:
            hit = await self._first.hit(bucket, limit, window_s)
        except LimiterDown as error:
            self._failed(error)
            return await self._second.hit(bucket, limit, window_s)
        if self._down:
            self._down, self._rest_until = False, -math.inf
            self._log.warning("the %s rate limit counts again", self._name)
        return hit

    async def refund(self, hit: Hit) -> None:
        await hit.limiter.refund(hit)

    async def aclose(self) -> None:
        await self._first.aclose()
        await self._second.aclose()

    def _failed(self, error: LimiterDown) -> None:
        self._note_failure(self._name)
        self._rest_until = self._now() + REST_S
        if not self._down:
            self._log.error("the %s rate limit cannot count (%s); a local one takes over", self._name, error)
        self._down = True


def given_back(hit: Hit) -> Hit:
    """As the window stands once this request is not charged."""
    return replace(hit, remaining=min(hit.limit, hit.remaining + 1))


def headers(policy: str, hit: Hit, window_s: float) -> HeaderPairs:
    """RateLimit-Policy and RateLimit as in draft-ietf-httpapi-ratelimit-headers (structured fields)."""
    return [
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (policy.encode(), hit.limit, math.ceil(window_s))),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (policy.encode(), hit.remaining, math.ceil(hit.reset_s))),
    ]


def refuse(policy: str, hit: Hit, window_s: float, words: str) -> RateLimited:
    """429 whose Retry-After is never before the window's end."""
    wait = max(1, math.ceil(hit.reset_s))
    pairs = tuple((name.decode(), value.decode()) for name, value in headers(policy, hit, window_s))
    return RateLimited(f"{words}; retry in {wait} {'second' if wait == 1 else 'seconds'}", wait, pairs)
