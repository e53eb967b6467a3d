"""What is told of a request that has ended: one line in the log, and one count wherever anything is counted.

None of it holds anything secret, or a name that a caller chose.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.types import Scope

from gateway.keys.usage import Gathering
from gateway.record import ANONYMOUS, RequestRecord
from gateway.reporting.counters import Counters
from gateway.reporting.metrics import ENDPOINTS, Metrics
from shared.logs import Log

#: What the console's numbers count.
COUNTED = {"/api/v1/detect": "detect", "/api/v1/mask": "mask"}
#: Asked all the time by balancers, dashboards and the console's open pages.
QUIET = ("/health", "/readyz", "/livez", "/metrics", "/console/overview/live", "/console/static/")


@dataclass(frozen=True, slots=True)
class Books:
    """use: of keys; the store is told of it later."""

    log: Log
    metrics: Metrics
    counters: Counters
    use: Gathering

    def close(self, scope: Scope, record: RequestRecord, status: int, total_ms: float) -> None:
        """Of one request."""
        path, timings = scope["path"], record.timings
        self.metrics.answered(path, status, total_ms / 1000)
        if status == 200:
            self.metrics.stages(timings.stages())
        if scope["method"] == "POST" and (endpoint := COUNTED.get(path)) is not None:
            self._count(endpoint, record, status, total_ms)
        tell = self.log.debug if path.startswith(QUIET) else self.log.info
        tell(
            "request",
            request_id=record.request_id, method=scope["method"], path=path if path in ENDPOINTS else "other",
            status=status, ms=round(total_ms, 2),
            stages={name: round(spent, 2) for name, spent in timings.stages()},
        )  # fmt: skip

    def _count(self, endpoint: str, record: RequestRecord, status: int, total_ms: float) -> None:
        self.counters.answered(endpoint, status, total_ms, record.faces if status < 400 else 0)
        principal = record.principal
        if principal is not None and principal.key_id != ANONYMOUS:
            self.use.note(principal.key_id, time.time(), error=status >= 400)
