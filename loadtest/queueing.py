"""What no server can beat: requests taken as they come, by cores that are never idle while one waits. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import cycle


def least_latencies(arrivals_s: Iterable[float], work_ms: Iterable[float], cores: int) -> list[float]:
    """Milliseconds from each arrival (ascending) to its end, where the n-th takes the n-th work, over and over.

    Of requests that cost much the same, this order keeps the longest wait shortest.
    """
    free_s, found = [0.0] * cores, []
    for arrival_s, ms in zip(arrivals_s, cycle(work_ms), strict=False):
        end_s = max(arrival_s, heapq.heappop(free_s)) + ms / 1000
        heapq.heappush(free_s, end_s)
        found.append((end_s - arrival_s) * 1000)
    return found
