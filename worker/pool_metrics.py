"""What the pool counts, as Prometheus metrics: this file alone names them.

With PROMETHEUS_MULTIPROC_DIR set (the launcher does) they join those of the gateway processes on `/metrics`.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter

#: died: ended while it served. hung: killed since it gave no sign of life. start: ended before it served.
Reason = Literal["died", "hung", "start"]
REASONS: tuple[Reason, ...] = ("died", "hung", "start")


class PoolMetrics:
    """Of one pool; every reason is there from the start, at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._restarts = Counter(
            "face_api_worker_restarts", "Workers that were replaced, by reason", ["reason"], registry=self.registry
        )
        for reason in REASONS:
            self._restarts.labels(reason)

        self._failures = Counter(
            "face_api_loop_failures", "Failed rounds of background loops", ["loop"], registry=self.registry
        )

    def failed(self, loop: str) -> None:
        self._failures.labels(loop).inc()

    def restarted(self, reason: Reason) -> None:
        self._restarts.labels(reason).inc()
