"""Requests as spans over OTLP: the only place that knows OpenTelemetry, which is there only where it was installed.

A request's span is made when it has ended, from its record and the stages in it; a queue of the library's, which
drops what is too much, sends them in a thread of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from importlib import util
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from gateway.record import RequestRecord
from gateway.timings import DatedTimings
from gateway.trace_context import RANDOM, Trace
from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

#: The longest that sending one lot of spans may take, the last one at a process's end among them.
SEND_MS_MAX = 2000
#: The door and admission are one stage.
SPAN_NAMES = {"auth": "admission"}
_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
INSTALL = "uv pip install --require-hashes -r deploy/requirements/tracing.txt"


class Traces(Protocol):
    def close(self, record: RequestRecord, told: str, status: int) -> None:
        """Of one request that has ended. told: what it asked for, as `POST /api/v1/detect`."""

    def aclose(self) -> None:
        """Sends what is left."""


def problem(settings: Settings) -> str:
    """Why requests cannot be traced as the settings have it; empty when they can, or are not to be."""
    url = settings.traces_url
    if not url:
        return ""
    if not url.startswith(("http://", "https://")):
        return f"FACE_API_TRACES_URL={url} is no http:// or https:// address, as http://collector:4318/v1/traces is one"
    if not all(_found(package) for package in _PACKAGES):
        return f"FACE_API_TRACES_URL is set, but OpenTelemetry is not installed; install it ({INSTALL}) or unset it"
    return ""


def _found(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def share_of(settings: Settings) -> float | None:
    """How many of the traces that begin here are sampled; None where traces go nowhere."""
    return settings.traces_share if settings.traces_url else None


def open_traces(settings: Settings) -> Traces | None:
    """None, and nothing of the library loaded, where requests are not to be traced."""
    return Otlp(settings) if settings.traces_url else None


class Otlp:
    """Spans to an OTLP collector over HTTP."""

    def __init__(self, settings: Settings) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        process = f"{socket.gethostname()}-{os.getpid()}"
        self._resource = Resource.create({"service.name": "face-api", "service.instance.id": process})
        exporter = OTLPSpanExporter(endpoint=settings.traces_url, timeout=SEND_MS_MAX / 1000)
        self._queue = BatchSpanProcessor(exporter, export_timeout_millis=SEND_MS_MAX)

    def close(self, record: RequestRecord, told: str, status: int) -> None:
        trace, timings = record.trace, record.timings
        if trace is None or not trace.sampled or not isinstance(timings, DatedTimings):
            return
        epoch_s = time.time() - perf_counter()
        own = _context(trace, trace.span_id)
        for stage, began, ended in timings.dated():
            name = SPAN_NAMES.get(stage, stage)
            self._queue.on_end(self._span(name, _context(trace), own, epoch_s + began, epoch_s + ended, {}))
        facts: dict[str, str | int] = {
            "http.request.method": told.partition(" ")[0],
            "http.route": told.partition(" ")[2],
            "http.response.status_code": status,
            "face_api.request_id": record.request_id,
            "face_api.faces": record.faces,
        }
        parent = _context(trace, trace.parent_id) if trace.parent_id else None
        self._queue.on_end(self._span(told, own, parent, epoch_s + timings.began, time.time(), facts, server=True))

    def aclose(self) -> None:
        self._queue.shutdown()  # type: ignore[no-untyped-call]

    def _span(
        self, name: str, own: SpanContext, parent: SpanContext | None, began: float, ended: float,
        facts: dict[str, str | int], *, server: bool = False,
    ) -> ReadableSpan:  # fmt: skip
        """began, ended: seconds of the epoch."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanKind, Status, StatusCode

        failed = int(facts.get("http.response.status_code", 0)) >= 500
        return ReadableSpan(
            name, own, parent, resource=self._resource, attributes=facts,
            kind=SpanKind.SERVER if server else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=int(began * 1e9), end_time=int(ended * 1e9),
        )  # fmt: skip


def _context(trace: Trace, span_id: str = "") -> SpanContext:
    """Of a span of this trace; a new one where no id is given."""
    from opentelemetry.trace import SpanContext, TraceFlags

    own = span_id or secrets.token_hex(8)
    flags = TraceFlags(trace.flags & ~RANDOM)  # the library knows no other
    return SpanContext(int(trace.trace_id, 16), int(own, 16), is_remote=False, trace_flags=flags)
