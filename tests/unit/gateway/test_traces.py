"""Requests become spans at an OTLP collector; without one nothing of the library is loaded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.record import RequestRecord
from gateway.reporting.traces import Otlp, open_traces, problem, share_of
from gateway.timings import DatedTimings, Timings
from gateway.trace_context import trace_of
from shared.settings import Settings
from tests.service import ROOT

TRACE_ID, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(HTTPServer):
    """Takes what exporters send."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the tests' output."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def record(flags: str = "01") -> RequestRecord:
    trace = trace_of([(b"traceparent", f"00-{TRACE_ID}-{CALLER}-{flags}".encode())], 0.0)
    timings = DatedTimings(Timings())
    timings.lap("auth")
    timings.lap("read")
    for stage in ("decode", "queue", "inference", "mask"):
        timings.add(stage, 1.0)
    return RequestRecord(request_id="an id", trace=trace, timings=timings, faces=3)


def test_a_request_is_a_span_of_its_callers_trace_with_its_stages_below(collector: Collector) -> None:
    traces, one = Otlp(Settings(traces_url=collector.url)), record()
    traces.close(one, "POST /api/v1/mask", 503)
    traces.aclose()
    (sent,) = collector.taken
    spans = {span.name: span for span in sent.resource_spans[0].scope_spans[0].spans}
    assert set(spans) == {"POST /api/v1/mask", "admission", "read", "decode", "queue", "inference", "mask"}
    whole = spans.pop("POST /api/v1/mask")
    assert one.trace is not None
    assert (whole.span_id.hex(), whole.parent_span_id.hex()) == (one.trace.span_id, CALLER)
    assert {span.trace_id.hex() for span in (whole, *spans.values())} == {TRACE_ID}
    assert {span.parent_span_id.hex() for span in spans.values()} == {one.trace.span_id}
    assert whole.status.code == 2
    facts = {fact.key: fact.value.string_value or fact.value.int_value for fact in whole.attributes}
    assert facts == {
        "http.request.method": "POST", "http.route": "/api/v1/mask", "http.response.status_code": 503,
        "face_api.request_id": "an id", "face_api.faces": 3,
    }  # fmt: skip
    assert whole.start_time_unix_nano <= spans["admission"].start_time_unix_nano <= spans["read"].start_time_unix_nano


def test_a_trace_that_its_caller_does_not_sample_is_not_sent(collector: Collector) -> None:
    traces = Otlp(Settings(traces_url=collector.url))
    traces.close(record(flags="00"), "POST /api/v1/mask", 200)
    traces.aclose()
    assert collector.taken == []


def test_a_collector_that_is_gone_is_no_reason_to_fail() -> None:
    traces = Otlp(Settings(traces_url="http://127.0.0.1:9/v1/traces"))
    traces.close(record(), "POST /api/v1/mask", 200)
    traces.aclose()


def test_without_a_collector_nothing_is_made_or_loaded() -> None:
    assert open_traces(Settings()) is None
    assert share_of(Settings()) is None
    code = (
        "import sys, gateway.reporting.traces; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_what_stands_in_the_way_of_tracing_is_told_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Settings(traces_url="http://collector:4318/v1/traces")
    assert problem(Settings()) == problem(wanted) == ""
    assert "no http:// or https:// address" in problem(Settings(traces_url="collector:4317"))
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as where it is not installed
    assert "requirements/tracing.txt" in problem(wanted)
