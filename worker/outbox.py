"""Outbox: when finished answers leave. Pure: no clock or socket inside; `now` is given.

A run of the network sweeps everything else out of a core's caches, so each message finds a gateway that must be
fetched anew, and six answers one by one cost it nearly twice what six at once do (DECISIONS.md, "Answers leave in
groups"). So in a full house answers wait for one another; where little or no work waits, they leave at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

#: None waits longer for the others (seconds): the answers of a slow network never wait.
HELD_S_MAX = 0.06
#: With fewer requests waiting behind them, answers do not wait either.
WAITING_MIN = 2
#: The first of a group waits only where its others are here but for so many: else the house is not full.
MISSING_MAX = 2


def places(together: int, run_s: float) -> int:
    """How many finished answers may be here at once where a run takes so many seconds."""
    return together if run_s * together <= HELD_S_MAX else int(HELD_S_MAX / run_s)


@dataclass(slots=True)
class Outbox(Generic[Item]):
    """Finished answers, oldest first, and since when the oldest waits. together: so many always leave."""

    together: int = 1
    _items: list[Item] = field(default_factory=list)
    _since: float = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, now: float) -> None:
        if not self._items:
            self._since = now
        self._items.append(item)

    def due(self, now: float, waiting: int, run_s: float) -> bool:
        """Whether all should leave now. waiting: requests behind them here; run_s: seconds of the next run."""
        return self.due_in(now, waiting, run_s) == 0

    def due_in(self, now: float, waiting: int, run_s: float) -> float | None:
        """Seconds until all should leave, if nothing else happens; None when there is nothing."""
        if not self._items:
            return None
        enough = self._behind_the_first(run_s) if len(self._items) == 1 else WAITING_MIN
        if len(self._items) >= self.together or waiting < enough:
            return 0.0
        return max(0.0, self._since + HELD_S_MAX - run_s - now)

    def _behind_the_first(self, run_s: float) -> int:
        return max(WAITING_MIN, places(self.together, run_s) - MISSING_MAX)

    def take(self) -> list[Item]:
        """All of them, oldest first."""
        items, self._items = self._items, []
        return items

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Forgets answers that nobody waits for any more."""
        self._items = [item for item in self._items if not unwanted(item)]
