"""A caller's trace: in the answer and in the log line, and no reason to refuse anything."""

from __future__ import annotations

import json
import time

import httpx2
import pytest

from tests.contract.test_http import PICTURE
from tests.service import Service

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
WELL = f"00-{TRACE_ID}-b7ad6b7169203331-01"


def asked(client: httpx2.Client, headers: dict[str, str]) -> httpx2.Response:
    response = client.post("/api/v1/detect", headers=headers, files={"image": ("p.png", PICTURE)})
    assert response.status_code == 200
    return response


def line_of(service: Service, request_id: str) -> dict[str, object]:
    """The request's line in the log, once it is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for line in [line for line in service.lines if request_id in line]:
            return dict(json.loads(line))
        time.sleep(0.02)
    raise AssertionError(service.output)


def test_a_callers_trace_is_in_the_answer_and_in_the_log(client: httpx2.Client, service: Service) -> None:
    response = asked(client, {"traceparent": WELL, "tracestate": "a=b"})
    version, trace_id, span_id, flags = response.headers["traceresponse"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE_ID, "01")
    line = line_of(service, response.headers["x-request-id"])
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, span_id)


@pytest.mark.parametrize("malformed", ["", "nonsense", WELL.upper(), "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_a_malformed_trace_is_replaced(client: httpx2.Client, malformed: str) -> None:
    response = asked(client, {"traceparent": malformed})
    assert TRACE_ID not in response.headers["traceresponse"]
    assert response.headers["traceresponse"].endswith("-02")


def test_a_refusal_has_its_trace_too(client: httpx2.Client) -> None:
    response = client.post("/api/v1/detect", headers={"traceparent": WELL})
    assert response.is_client_error
    assert TRACE_ID in response.headers["traceresponse"]


def test_without_a_trace_there_is_none(client: httpx2.Client, service: Service) -> None:
    response = asked(client, {})
    assert "traceresponse" not in response.headers
    assert "trace_id" not in line_of(service, response.headers["x-request-id"])
