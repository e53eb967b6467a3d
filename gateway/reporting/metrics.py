"""What this process did, as Prometheus metrics: the only place that names them.

With PROMETHEUS_MULTIPROC_DIR set (the launcher does), every process writes its own files there (`metrics_files.py`
adds them up); without it the metrics are this process's own. Labels never hold anything a caller chooses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.reporting.tally import Tally

REFRESH_INTERVAL_S = 1.0
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)

#: Name, meaning, and how the processes' values become one.
GAUGES: tuple[tuple[str, str, Literal["livesum", "livemax", "livemin"]], ...] = (
    ("requests_in_house", "Requests let in and not answered", "livesum"),
    ("bytes_in_house", "Bytes of their bodies", "livesum"),
    ("crop_memory_bytes", "Bytes of crops in the memory that workers read", "livesum"),
    ("queue_decode", "Requests waiting for a decoder", "livesum"),
    ("queue_workers", "Requests waiting for a worker", "livesum"),
    ("in_hand", "Requests in the hand of workers", "livesum"),
    ("oldest_wait_seconds", "Wait of the request that waits longest", "livemax"),
    ("expected_wait_seconds", "What a newcomer would wait", "livemax"),
    ("workers", "Workers that serve", "livemin"),
    ("links_standing", "Links to other hosts' pools and workers that stand", "livesum"),
    ("links_doubted", "Such links that are gone, with requests in the worker's hand", "livesum"),
    ("links_cut", "Such links that are gone, with none", "livesum"),
    ("connections", "Open connections", "livesum"),
    ("ready", "1 when a picture sent now would be answered", "livemin"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one part of the process has counted since it began, by name, and how things stand (`GAUGES`)."""

    events: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    loop_failures: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)


class Metrics:
    """Everything is counted in memory, here or by the parts, and handed to Prometheus once a second and at the end."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "face_api_requests", "Requests by endpoint and status", ["endpoint", "status"], registry=registry
        )
        self.request_seconds = Tally("face_api_request_seconds", "Whole requests", SECONDS, registry, "endpoint")
        self.stage_seconds = Tally("face_api_stage_seconds", "Stages of answered requests", SECONDS, registry, "stage")
        self.batch_size = Tally("face_api_batch_size", "Pictures in the run an answer came from", BATCHES, registry)
        self.dispatch = Counter(
            "face_api_batch_dispatch", "Answers by why their batch was sent", ["reason"], registry=registry
        )
        self.events = Counter(
            "face_api_events", "What happened to requests and workers", ["event"], registry=registry
        )  # fmt: skip
        self.refused = Counter("face_api_refused", "Requests refused, by reason", ["reason"], registry=registry)
        self.loop_failures = Counter(
            "face_api_loop_failures", "Failed rounds of background loops", ["loop"], registry=registry
        )
        self.gauges = {
            name: Gauge(f"face_api_{name}", words, registry=registry, multiprocess_mode=mode)
            for name, words, mode in GAUGES
        }
        self._samplers: list[Callable[[], Sample]] = []
        self._answers: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._dispatches: defaultdict[str, int] = defaultdict(int)
        self._told: dict[tuple[Counter, str | tuple[str, ...]], int] = {}

    def watch(self, sampler: Callable[[], Sample]) -> None:
        """Asks this one as well, from now on."""
        self._samplers.append(sampler)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        self._answers[endpoint, str(status)] += 1
        self.request_seconds.observe(seconds, endpoint)

    def stages(self, stages: Iterable[tuple[str, float]]) -> None:
        """Milliseconds by stage of one answered request."""
        self.stage_seconds.observe_all(stages, 0.001)

    def batch(self, size: int, reason: str) -> None:
        self.batch_size.observe(size)
        self._dispatches[reason] += 1

    def refresh(self) -> None:
        """Takes over what was counted since the last time, and how things stand. Once a second and at the end."""
        self._move(self.requests, self._answers)
        self._move(self.dispatch, self._dispatches)
        for tally in (self.request_seconds, self.stage_seconds, self.batch_size):
            tally.hand_in()
        for sampler in self._samplers:
            sample = sampler()
            self._move(self.events, sample.events)
            self._move(self.refused, sample.refused)
            self._move(self.loop_failures, sample.loop_failures)
            for name, value in sample.gauges.items():
                self.gauges[name].set(value)

    def _move(self, counter: Counter, counts: Mapping[str, int] | Mapping[tuple[str, str], int]) -> None:
        for label, count in counts.items():
            before = self._told.get((counter, label), 0)
            if count > before:
                names = (label,) if isinstance(label, str) else label
                counter.labels(*names).inc(count - before)
                self._told[counter, label] = count
