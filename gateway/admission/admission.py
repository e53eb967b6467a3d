"""Admission: who may come in, decided before a body is read and again before it is decoded. Pure; `now` is given.

Bounded by count, by bytes, by one client's share and by expected wait; a permit gives its place back exactly once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from shared.errors import NoTimeLeft, Overloaded

#: Never told to come back later than this: by then the load is another.
RETRY_AFTER_S_MAX = 60
#: What an answer leaves of the past while somebody waits (twenty answers count), and when nobody does: then the bad
#: moment is over, and refusing by what was learned in it would keep everybody out for good.
KEPT_WHEN_FULL, KEPT_WHEN_NOT = 0.95, 0.8
#: How many answers the workers' cost model counts as: it decides where nothing was measured lately.
MODEL_WEIGHT = 0.1
#: Houses smaller than this are not divided among clients.
SHARED_FROM = 16


@dataclass(slots=True)
class DrainRate:
    """Seconds between two answers, learned while somebody waits: only then the house works as fast as it can."""

    _seconds: float = 0.0
    _answers: float = 0.0
    _last: float | None = None

    def answered(self, now: float, *, saturated: bool) -> None:
        kept = KEPT_WHEN_FULL if saturated else KEPT_WHEN_NOT
        self._seconds, self._answers = self._seconds * kept, self._answers * kept
        if saturated and self._last is not None:
            self._seconds += now - self._last
            self._answers += 1
        self._last = now if saturated else None

    def interval_s(self, model_s: float) -> float:
        """Seconds in which the house gets one request done; model_s: the cost model's, 0 while it knows nothing."""
        weight = MODEL_WEIGHT if model_s else 0.0
        counted = self._answers + weight
        return (self._seconds + weight * model_s) / counted if counted else 0.0


@dataclass(slots=True)
class Admission:
    """requests_max, bytes_max: the house rules; client_share: of places and bytes, for one client.

    model_interval_s: seconds per picture as the workers' cost model has it, for the time before the drain rate
    is known. saturated: whether somebody waits. jitter: a number from 0 to 1 that spreads the retries.
    """

    requests_max: int
    bytes_max: int
    client_share: float = 1.0
    model_interval_s: Callable[[], float] = lambda: 0.0
    saturated: Callable[[], bool] = lambda: False
    jitter: Callable[[], float] = lambda: 0.0
    requests: int = 0
    bytes: int = 0
    drain: DrainRate = field(default_factory=DrainRate)
    refused: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    #: What each client holds: places, bytes.
    _held: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def interval_s(self) -> float:
        """Seconds in which the house gets one request done; 0 while nothing is known."""
        return self.drain.interval_s(self.model_interval_s())

    @property
    def expected_wait_s(self) -> float:
        """How long a request coming now would be in the house."""
        return self.requests * self.interval_s if self.requests else 0.0

    def retry_after_s(self) -> int:
        """When a refused client should come again: the time to drain what is here, spread by a quarter each way."""
        seconds = self.expected_wait_s * (0.75 + 0.5 * self.jitter())
        return min(max(1, math.ceil(seconds)), RETRY_AFTER_S_MAX)

    def enter(self, declared_bytes: int, client: str = "", left_s: float = math.inf) -> Permit:
        """A place for one request of so many body bytes. Raises Overloaded at once when there is none."""
        if reason := self._no_place(declared_bytes, client):
            raise self.refuse(reason)
        if (wait_s := self.expected_wait_s) > left_s:
            raise self.refuse_for_time("expected wait", wait_s)
        self.accepted += 1
        self._take(client, 1, declared_bytes)
        return Permit(self, declared_bytes, client)

    def check_again(self, ahead: int, left_s: float, passes: float = 1.0) -> None:
        """Before decoding: whether it can still be answered in its time behind so many that wait before it.

        passes: how often the network may have to look at it.
        """
        needed_s = ahead * self.interval_s if ahead else 0.0
        if passes != 1:
            needed_s += (passes - 1) * self.model_interval_s()
        if needed_s > left_s:
            raise self.refuse_for_time("no time left", needed_s)

    def refuse(self, reason: str) -> Overloaded:
        self.refused[reason] += 1
        return Overloaded(self.retry_after_s())

    def refuse_for_time(self, reason: str, needed_s: float) -> NoTimeLeft:
        self.refused[reason] += 1
        return NoTimeLeft(self.retry_after_s(), needed_s)

    def answered(self, now: float) -> None:
        """A request was answered after real work."""
        self.drain.answered(now, saturated=self.saturated())

    def leave(self, permit: Permit) -> None:
        self._take(permit.client, -1, -permit.held_bytes)

    def _take(self, client: str, places: int, size: int) -> None:
        self.requests += places
        self.bytes += size
        held, held_bytes = self._held.get(client, (0, 0))
        if held + places:
            self._held[client] = held + places, held_bytes + size
        else:
            del self._held[client]

    def _no_place(self, declared_bytes: int, client: str) -> str:
        if self.requests >= self.requests_max:
            return "count"
        if self.requests and self.bytes + declared_bytes > self.bytes_max:
            return "bytes"
        if self.requests_max >= SHARED_FROM and self._has_its_share(declared_bytes, client):
            return "client's share"
        return ""

    def _has_its_share(self, declared_bytes: int, client: str) -> bool:
        """Of the places, or of the bytes: a slow upload holds both for long. One request alone is never too heavy."""
        held, held_bytes = self._held.get(client, (0, 0))
        heavy = held_bytes + declared_bytes > self.bytes_max * self.client_share
        return held >= self.requests_max * self.client_share or (held > 0 and heavy)


@dataclass(slots=True)
class Permit:
    """A place in the house, as a context manager."""

    admission: Admission
    held_bytes: int
    client: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.admission.leave(self)
