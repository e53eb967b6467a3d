"""MicroBatcher: which waiting requests go into the next run. No clock, socket or thread inside; `now` is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Item]):
    """An item, since when it waits and until when it is wanted (seconds, monotonic)."""

    item: Item
    since: float
    expires: float


@dataclass(frozen=True, slots=True)
class MicroBatch(Generic[Item]):
    """Items for one run. reason: "full", "idle" (nothing more was waiting) or "delay" (the wait was over)."""

    items: tuple[Waiting[Item], ...]
    reason: str


class MicroBatcher(Generic[Item]):
    """First come, first served, up to `max_batch` at a time, waiting at most `delay_s` for company."""

    def __init__(self, max_batch: int, delay_s: float) -> None:
        assert max_batch >= 1
        assert delay_s >= 0
        self._max_batch = max_batch
        self._delay_s = delay_s
        self._waiting: OrderedDict[Hashable, Waiting[Item]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting_keys(self) -> list[Hashable]:
        """Of everything that waits, oldest first."""
        return list(self._waiting)

    def add(self, key: Hashable, item: Item, now: float, expires: float) -> None:
        assert key not in self._waiting, "one key, one waiting item"
        self._waiting[key] = Waiting(item, now, expires)

    def remove(self, key: Hashable) -> Item | None:
        """Takes a waiting item out (its client left); None when it does not wait here."""
        waiting = self._waiting.pop(key, None)
        return None if waiting is None else waiting.item

    def drop_expired(self, now: float) -> list[Item]:
        """Takes out and returns what can no longer be answered in time."""
        late = [key for key, waiting in self._waiting.items() if waiting.expires <= now]
        return [self._waiting.pop(key).item for key in late]

    def due_in(self, now: float) -> float | None:
        """Seconds until a batch should go: 0 at once, None when nothing waits."""
        if not self._waiting:
            return None
        if len(self._waiting) >= self._max_batch:
            return 0.0
        oldest = next(iter(self._waiting.values()))
        return max(0.0, oldest.since + self._delay_s - now)

    def take(self, now: float) -> MicroBatch[Item] | None:
        """The next batch when one is due, else None."""
        due = self.due_in(now)
        if due is None or due > 0:
            return None
        count = min(len(self._waiting), self._max_batch)
        items = tuple(self._waiting.popitem(last=False)[1] for _ in range(count))
        return MicroBatch(items, self._reason(count))

    def _reason(self, count: int) -> str:
        if count == self._max_batch:
            return "full"
        return "idle" if self._delay_s == 0 else "delay"
