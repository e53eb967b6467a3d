"""Nobody starves: who has work waiting gets the credit that another leaves unused, within a bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.rules import Rules

#: (gateway that waits, worker, gateway whose credit of it lies idle), by name.
Hunger = tuple[str, str, str]


@dataclass(slots=True)
class Starving:
    """since: when each hunger was first seen, while it lasts."""

    rules: Rules
    late_s: float
    since: dict[Hunger, float] = field(default_factory=dict)

    def look(self, workers: list[Any], gateways: list[Any]) -> None:
        now, seen = self.rules.loop.time(), {}
        for worker in workers:
            # Who was asked first may stand still; then a message each way, twice, and the worker's turns between them,
            # which a run may hold up.
            bound_s = 2.0 + 6 * self.late_s + 4 * worker.numbers.longest_s
            for hungry, idle in _hungry(worker, gateways):
                key = (hungry.name, worker.generation, idle.name)
                sent_at = self.rules.hand(idle.name, worker.generation).sent_at
                seen[key] = max(self.since.get(key, now), sent_at)
                if now - seen[key] > bound_s:
                    self.rules.broken(f"{hungry.name} starves: {idle.name} holds idle credit of {worker.generation}")
                    seen[key] = float("inf")  # told once
        self.since = seen


def _hungry(worker: Any, gateways: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Pairs of gateways, of this worker: one has work and no credit, the other credit and no work."""
    if not worker.serves:
        return
    known = [(one, one.dispatcher.queue) for one in gateways if one.works and _serves(one, worker)]
    hungry = [one for one, queue in known if queue.waiting]
    idle = [one for one, queue in known if not queue.waiting and queue.workers[worker.generation].credits]
    yield from ((one, other) for one in hungry for other in idle)


def _serves(gateway: Any, worker: Any) -> bool:
    return worker.generation in gateway.dispatcher.queue.workers and gateway.identity in worker.serving.ledger
