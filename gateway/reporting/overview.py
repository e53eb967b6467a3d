"""What the house is doing, in numbers for people: made from the counts of all processes of this host."""

from __future__ import annotations

import msgspec

from gateway.endpoints import TASKS
from gateway.reporting.counters import Counters, Present, Worker, percentile

CHART_MINUTES = 60
LATENCY_MINUTES = 5
WORKERS_MAX = 256


class Minute(msgspec.Struct, frozen=True):
    requests: int
    errors: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the start unless a name says otherwise; milliseconds over the last LATENCY_MINUTES."""

    requests: int
    requests_by_endpoint: dict[str, int]
    requests_last_minute: int
    faces: int
    statuses: dict[str, int]
    client_errors: int
    server_errors: int
    refused_by_limit: int
    wrong_key_refusals: int
    limiter_failures: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    in_flight: int
    queued: int
    gateway_processes: int
    workers: list[Worker]
    minutes: list[Minute]


def overview_of(counters: Counters) -> Overview:
    """The overview of this moment."""
    return overview(
        counters.total(), counters.total(LATENCY_MINUTES), counters.by_minute(CHART_MINUTES), counters.present()
    )


def overview(
    total: dict[str, float], recent: dict[str, float], series: list[dict[str, float]], present: list[Present]
) -> Overview:
    """`total` since the start, `recent` of the last LATENCY_MINUTES, `series` per minute, the present one last."""
    statuses = {name[7:]: int(n) for name, n in sorted(total.items()) if name.startswith("status.")}
    workers = {worker.name: worker for said in present for worker in said.workers}
    minutes = [_minute(counts) for counts in series]
    return Overview(
        requests=sum(statuses.values()),
        requests_by_endpoint={name: int(total.get(f"requests.{name}", 0)) for name in TASKS},
        requests_last_minute=sum(minute.requests for minute in minutes[-2:-1]),
        faces=int(total.get("faces", 0)),
        statuses=statuses,
        client_errors=sum(n for status, n in statuses.items() if status.startswith("4")),
        server_errors=sum(n for status, n in statuses.items() if status.startswith("5")),
        refused_by_limit=sum(int(total.get(f"refused.limit.{name}", 0)) for name in TASKS),
        wrong_key_refusals=int(total.get("refused.wrong_keys", 0)),
        limiter_failures={name[17:]: int(n) for name, n in total.items() if name.startswith("limiter_failures.")},
        p50_ms=percentile(recent, TASKS, 0.50),
        p95_ms=percentile(recent, TASKS, 0.95),
        p99_ms=percentile(recent, TASKS, 0.99),
        in_flight=sum(said.in_flight for said in present),
        queued=sum(said.queued for said in present),
        gateway_processes=len(present),
        workers=[workers[name] for name in sorted(workers)][:WORKERS_MAX],
        minutes=minutes,
    )


def _minute(counts: dict[str, float]) -> Minute:
    by_status = {name[7:]: int(n) for name, n in counts.items() if name.startswith("status.")}
    failed = sum(n for status, n in by_status.items() if status.startswith("5"))
    return Minute(sum(by_status.values()), failed)
