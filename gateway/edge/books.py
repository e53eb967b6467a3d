"""What is told of a request that has ended: one line in the log, and one count wherever anything is counted.

None of it holds anything secret, or a name that a caller chose.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.types import Scope

from gateway.endpoints import BY_PATH, Task
from gateway.keys.usage import Gathering
from gateway.record import ANONYMOUS, RequestRecord
from gateway.reporting.counters import Counters
from gateway.reporting.metrics import Metrics
from gateway.reporting.traces import Traces
from shared.logs import Log

#: Asked all the time by the console's open pages.
QUIET_PAGES = ("/console/overview/live", "/console/static/")


@dataclass(frozen=True, slots=True)
class Books:
    """use: of keys; the store is told of it later."""

    log: Log
    metrics: Metrics
    counters: Counters
    use: Gathering
    traces: Traces | None = None

    def close(self, scope: Scope, record: RequestRecord, status: int, total_ms: float) -> None:
        """Of one request."""
        endpoint, timings = BY_PATH.get(scope["path"]), record.timings
        told = endpoint.path if endpoint else "other"
        stages = timings.stages()
        self.metrics.answered(told, status, total_ms / 1000)
        if status == 200:
            self.metrics.stages(stages)
        if endpoint and endpoint.task and scope["method"] == endpoint.method:
            self._count(endpoint.task, record, status, total_ms)
        quiet = endpoint.quiet if endpoint else scope["path"].startswith(QUIET_PAGES)
        tell = self.log.debug if quiet else self.log.info
        traced = {} if record.trace is None else {"trace_id": record.trace.trace_id, "span_id": record.trace.span_id}
        tell(
            "request",
            request_id=record.request_id, **traced, method=scope["method"], path=told,
            status=status, ms=round(total_ms, 2),
            stages={name: round(spent, 2) for name, spent in stages},
        )  # fmt: skip
        if self.traces is not None and not quiet:
            self.traces.close(record, f"{scope['method']} {told}", status)

    def _count(self, task: Task, record: RequestRecord, status: int, total_ms: float) -> None:
        self.counters.answered(task, status, total_ms, record.faces if status < 400 else 0)
        principal = record.principal
        if principal is not None and principal.key_id != ANONYMOUS:
            self.use.note(principal.key_id, time.time(), error=status >= 400)
