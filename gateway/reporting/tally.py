"""A Prometheus histogram that is counted in memory and handed in now and then.

With several processes prometheus_client writes each observation into mapped files, twice and under a lock. A request
makes ten of them; counted like this it writes none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram


class _Bulk(Histogram):
    """Takes many observations at once, which prometheus_client has no call for."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Observations by bucket (the last has no upper edge), and the sum of what was observed."""
        self._sum.inc(total)
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)


@dataclass(slots=True)
class _Row:
    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class Tally:
    """`observe` counts, `hand_in` tells. `edges` are the buckets' upper edges, ascending; at most one label."""

    name: str
    words: str
    edges: tuple[float, ...]
    registry: CollectorRegistry
    label: str = ""
    _histogram: _Bulk = field(init=False)
    _rows: defaultdict[str, _Row] = field(init=False)

    def __post_init__(self) -> None:
        names = [self.label] if self.label else []
        self._histogram = _Bulk(self.name, self.words, names, buckets=self.edges, registry=self.registry)
        self._rows = defaultdict(lambda: _Row([0] * (len(self.edges) + 1)))

    def observe(self, value: float, label: str = "") -> None:
        row = self._rows[label]
        row.counts[bisect_left(self.edges, value)] += 1
        row.total += value

    def observe_all(self, labelled: Iterable[tuple[str, float]], unit: float) -> None:
        """(label, value) pairs, each value in so many of the edges' units."""
        for label, value in labelled:
            row = self._rows[label]
            row.counts[bisect_left(self.edges, value * unit)] += 1
            row.total += value * unit

    def hand_in(self) -> None:
        rows, self._rows = self._rows, defaultdict(self._rows.default_factory)
        for label, row in rows.items():
            (self._histogram.labels(label) if label else self._histogram).add(row.counts, row.total)
