"""The door: who calls, from where, and whether there is room in their window; decided before the body is read.

It alone puts client address, key and limit together. `opening.py` makes one for a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from gateway.access import auth, rate_limit
from gateway.access.charging import is_charged
from gateway.access.client_ip import ClientAddresses
from gateway.access.rate_limit import Hit, Limiter
from gateway.keys.keeping import Keys
from gateway.keys.records import SCOPES, KeyRecord, Scope, limited_as
from gateway.keys.upkeep import Upkeep
from gateway.record import ANONYMOUS, HeaderPairs, Principal, record_of
from gateway.reporting.counters import Counters
from gateway.request_time import RequestTime
from shared.errors import StoreDown, Unavailable
from shared.settings import Settings

AsgiScope = Mapping[str, Any]
SIGN_INS_MAX, SIGN_IN_WINDOW_S = 60, 60.0


@dataclass(slots=True)
class Admitted:
    """A request that was let in. `client`: who shares the queue with whom, a key's id or an address's bucket.

    `headers` belong on its answer, whatever that is.
    """

    principal: Principal
    client: str
    headers: HeaderPairs
    _charge: tuple[str, Hit, float] | None = None
    _wanted: RequestTime | None = None

    def charge(self, policy: str, hit: Hit, window_s: float) -> None:
        """It counts in this window."""
        self._charge = policy, hit, window_s
        self.headers[:] = rate_limit.headers(policy, hit, window_s)

    def settled(self, wanted: RequestTime | None = None) -> Self:
        """Around all that is done for it: a 503 of the house's own doing is not charged (charging.py).

        wanted: the time that its caller gave it, where it could give one.
        """
        self._wanted = wanted
        return self

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Unavailable):
            wanted, now = self._wanted, asyncio.get_running_loop().time()
            if wanted is None or not is_charged(error, wanted.own, wanted.full, now):
                await self.refund()

    async def refund(self) -> None:
        """The request is not charged after all (charging.py says when). Never raises; twice is once."""
        charge, self._charge = self._charge, None
        if charge is not None:
            policy, hit, window_s = charge
            await hit.limiter.refund(hit)
            self.headers[:] = rate_limit.headers(policy, rate_limit.given_back(hit), window_s)


class Door:
    """`now` is wall-clock time, for expiry."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        upkeep: Upkeep,
        addresses: ClientAddresses,
        limiter: Limiter,
        counters: Counters,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self.keys, self.upkeep = keys, upkeep
        self.addresses, self.limiter, self.counters = addresses, limiter, counters
        self.now = now
        self._limits: dict[str, int] = {
            limit: getattr(settings, f"rate_limit_{limit}") for limit in map(limited_as, SCOPES)
        }

    async def enter(self, scope: AsgiScope, endpoint: Scope) -> Admitted:
        """The admin API always asks for a key. Unauthorized, Forbidden, RateLimited, StoreDown, BadParameter (a key in
        the query string).
        """
        auth.refuse_key_in_url(scope.get("query_string", b""))
        address, bucket = self.addresses.of(scope)
        if not self._settings.api_key_enabled and endpoint != "admin":
            admitted = _admitted(scope, Principal(ANONYMOUS, address), bucket)
            return await self._charged(admitted, limited_as(endpoint), bucket)
        record = await self._known(scope, endpoint, bucket)
        return await self._with_key(scope, record, endpoint, address, bucket)

    @contextlib.asynccontextmanager
    async def counted_sign_in(self, bucket: str) -> AsyncIterator[None]:
        """Around a try at the console's password: counted whatever the settings say of limits, RateLimited beyond them.

        Cheaper than the throttle behind it, which writes to the store for every try. None where the store is down.
        """
        hit = await self.limiter.hit(f"sign-in:{bucket}", SIGN_INS_MAX, SIGN_IN_WINDOW_S)
        if not hit.allowed:
            raise rate_limit.refuse("sign-in", hit, SIGN_IN_WINDOW_S, "Too many tries to sign in")
        try:
            yield
        except StoreDown:
            await hit.limiter.refund(hit)
            raise

    async def _with_key(
        self, scope: AsgiScope, record: KeyRecord, endpoint: Scope, address: str, bucket: str
    ) -> Admitted:
        own = record.limit(endpoint)
        admitted = _admitted(scope, Principal(record.id, address, record.records_ttl), record.id)
        if own is not None:
            return await self._charged(admitted, endpoint, record.id, own)
        return await self._charged(admitted, limited_as(endpoint), bucket)

    async def _known(self, scope: AsgiScope, endpoint: Scope, bucket: str) -> KeyRecord:
        """The record of the request's key, where it may use the endpoint now."""
        key = auth.require_key(auth.presented_key(scope["headers"]))
        cache = self.keys.cache
        if not auth.could_be_a_key(key):
            await self._count_wrong(bucket)
            raise auth.wrong_key()
        record = cache.lookup(key)
        if record is None:
            record = await self._look_again(key, bucket)
        elif not cache.usable():
            raise StoreDown
        allowed = auth.allow(record, endpoint, self.now())
        if record.pepper != cache.peppers.current:
            self.upkeep.note_old_pepper(record.id, key)
        return allowed

    async def _look_again(self, key: bytes, bucket: str) -> KeyRecord:
        """A key that this process never saw: made a moment ago elsewhere, or wrong. The store is asked for it.

        Charged before it is asked, so that guesses do not reach the store; given back unless it said that it is wrong.
        """
        cache, wrong = self.keys.cache, False
        if not cache.ready:
            await cache.refresh()  # nobody can say of any key that it is wrong
        charge = await self._count_wrong(bucket)
        try:
            await cache.refresh()
            record = cache.lookup(key)
            wrong = record is None
        finally:
            if charge is not None and not wrong:
                await charge.limiter.refund(charge)
        if record is None:
            raise auth.wrong_key()
        return record

    async def _count_wrong(self, bucket: str) -> Hit | None:
        """Counts against this address's wrong keys; RateLimited beyond them. Right keys are counted elsewhere."""
        if not self._settings.rate_limit_enabled:
            return None
        limit, window_s = self._settings.rate_limit_wrong_keys, self._settings.rate_limit_window
        hit = await self.limiter.hit(f"wrong:{bucket}", limit, window_s)
        if not hit.allowed:
            self.counters.add("refused.wrong_keys")
            raise rate_limit.refuse("wrong-keys", hit, window_s, "Too many wrong API keys from this address")
        return hit

    async def _charged(self, admitted: Admitted, endpoint: str, bucket: str, own: int | None = None) -> Admitted:
        """endpoint: as its limit is called. own: the key's own limit, in place of the setting's."""
        if not self._settings.rate_limit_enabled:
            return admitted
        limit, window_s = self._limits[endpoint] if own is None else own, self._settings.rate_limit_window
        hit = await self.limiter.hit(f"{endpoint}:{bucket}", limit, window_s)
        if not hit.allowed:
            self.counters.add(f"refused.limit.{endpoint}")
            words = f"Rate limit of {limit} {endpoint} requests in {window_s:g} s exceeded"
            raise rate_limit.refuse(endpoint, hit, window_s, words)
        admitted.charge(endpoint, hit, window_s)
        return admitted


def _admitted(scope: AsgiScope, principal: Principal, client: str) -> Admitted:
    """Leaves word in the request's record: for its books, and for answers that are made elsewhere."""
    record = record_of(scope)
    record.principal = principal
    return Admitted(principal, client, record.limit_headers)
