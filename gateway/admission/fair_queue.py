"""FairQueue: whose turn it is. Weighted fair queueing over flows: each gets an equal share of the work. Pure.

A flow is a client's small or large pictures; a picture costs what its decoding and inference are expected to
take. A bulk client or large pictures thus delay only themselves. Source: start-time fair queueing, Goyal 1996.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class FairQueue(Generic[Item]):
    """Items are taken in order of their start tags; large ones only when the taker has room for large ones.

    waiting: the items, whether each is large and since when; to be read alone.
    """

    def __init__(self) -> None:
        self.waiting: dict[Item, tuple[bool, float]] = {}
        #: Of small and of large ones: start tag, number, item.
        self._heaps: dict[bool, list[tuple[float, int, Item]]] = {False: [], True: []}
        self._finish: dict[Hashable, float] = {}
        self._virtual = 0.0
        self._numbers = itertools.count()

    def add(self, item: Item, flow: Hashable, cost: float, *, large: bool, now: float) -> None:
        assert item not in self.waiting
        assert cost > 0
        start = max(self._virtual, self._finish.get(flow, 0.0))
        self._finish[flow] = start + cost
        self.waiting[item] = (large, now)
        heapq.heappush(self._heaps[large], (start, next(self._numbers), item))

    def remove(self, item: Item) -> bool:
        """Takes out an item whose client left or whose time is over; False when it does not wait here."""
        return self.waiting.pop(item, None) is not None

    def take(self, *, large_too: bool) -> Item | None:
        """The next item, or None."""
        heads = [head for large in (False, True) if (large_too or not large) and (head := self._head(large))]
        if not heads:
            return None
        start, _, item = min(heads)
        large, _ = self.waiting.pop(item)
        heapq.heappop(self._heaps[large])
        self._virtual = max(self._virtual, start)
        if not self.waiting:
            self._finish.clear()
            self._virtual = 0.0
        return item

    def oldest_since(self) -> float | None:
        """When what waits longest came."""
        return min((since for _, since in self.waiting.values()), default=None)

    def _head(self, large: bool) -> tuple[float, int, Item] | None:
        heap = self._heaps[large]
        while heap and heap[0][2] not in self.waiting:
            heapq.heappop(heap)
        return heap[0] if heap else None
