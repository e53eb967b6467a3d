"""Security headers, CORS and what is told of a request: thin layers around any application."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.edge.books import Books
from gateway.edge.cors import EXPOSED_HEADERS, Cors
from gateway.edge.request_context import RequestContext
from gateway.edge.security_headers import HEADERS, SecurityHeaders, completed
from gateway.keys.usage import Gathering
from gateway.record import Principal, record_of
from gateway.reporting.counters import Counters


async def answer(request: Request) -> Response:
    headers = {"cache-control": "public", "server": "loud"} if request.url.path == "/own" else {}
    return Response("x", headers=headers)


def client(*middleware: Middleware) -> TestClient:
    paths = ("/own", "/api/v1/detect", "/api/v1/mask", "/api/v1/admin/keys", "/console/keys")
    routes = [Route(path, answer, methods=["GET", "POST"]) for path in paths]
    return TestClient(Starlette(routes=routes, middleware=list(middleware)))


def test_every_answer_gets_the_headers_a_404_too_and_keeps_its_own() -> None:
    with client(Middleware(SecurityHeaders)) as site:
        missing, own = site.get("/nowhere"), site.get("/own")
    for name, value in HEADERS:
        assert missing.headers[name.decode()] == value.decode()
    assert own.headers["cache-control"] == "public"
    assert "server" not in own.headers


def test_headers_are_compared_whatever_their_case() -> None:
    made = completed([(b"X-Frame-Options", b"SAMEORIGIN"), (b"Server", b"x")])
    assert [value for name, value in made if name.lower() == b"x-frame-options"] == [b"SAMEORIGIN"]
    assert b"server" not in {name.lower() for name, _ in made}


PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "POST"}


def test_cors_is_off_unless_origins_are_named() -> None:
    with client(Middleware(Cors, [])) as site:
        assert "access-control-allow-origin" not in site.post("/api/v1/detect", headers=PREFLIGHT).headers
        assert site.options("/api/v1/detect", headers=PREFLIGHT).status_code == 405


@pytest.mark.parametrize(("named", "told"), [("https://app.example", "https://app.example"), ("*", "*")])
def test_a_named_origin_may_call_with_a_key_and_see_our_headers(named: str, told: str) -> None:
    with client(Middleware(Cors, [named])) as site:
        before = site.options("/api/v1/mask", headers=PREFLIGHT)
        assert before.status_code == 204
        assert before.headers["access-control-allow-origin"] == told
        assert "X-API-Key" in before.headers["access-control-allow-headers"]
        assert "POST" in before.headers["access-control-allow-methods"]
        after = site.post("/api/v1/mask", headers={"origin": "https://app.example"})
        assert after.headers["access-control-allow-origin"] == told
        assert after.headers["access-control-expose-headers"] == EXPOSED_HEADERS.decode()
        for name in ("X-Face-Count", "X-Inference-Ms", "X-Total-Ms", "X-Model", "X-Image-Width", "X-Blur-Method"):
            assert name in after.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in after.headers
        assert after.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "name",
    ["traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "sentry-trace", "x-requested-with", "cache-control"],
)
def test_a_page_may_send_what_tracing_and_upload_widgets_add(name: str) -> None:
    with client(Middleware(Cors, ["*"])) as site:
        before = site.options("/api/v1/detect", headers=PREFLIGHT | {"access-control-request-headers": name})
        allowed = before.headers["access-control-allow-headers"].lower().split(", ")
        assert {name, "x-api-key"} <= set(allowed)
        assert "authorization" not in allowed


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://app.example", "https://app.example.evil.example", "null"]
)
def test_another_origin_is_told_nothing(origin: str) -> None:
    with client(Middleware(Cors, ["https://app.example"])) as site:
        before = site.options("/api/v1/detect", headers=PREFLIGHT | {"origin": origin})
        after = site.post("/api/v1/detect", headers={"origin": origin})
        for found in (before, after):
            assert "access-control-allow-origin" not in found.headers
            assert found.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ["/api/v1/admin/keys", "/console/keys"])
def test_console_and_admin_are_no_business_of_other_pages(path: str) -> None:
    with client(Middleware(Cors, ["*"])) as site:
        assert "access-control-allow-origin" not in site.post(path, headers=PREFLIGHT).headers
        assert site.options(path, headers=PREFLIGHT).status_code == 405


class Ended:
    """Requests that end in one way or another, and what log, metrics and counts say of them."""

    def __init__(self, folder: Path) -> None:
        self.counters, self.gathering = Counters(folder), Gathering()
        self.logged, self.measured = list[int](), list[int]()
        metrics = SimpleNamespace(answered=self._measure, stages=lambda _: None)
        log = SimpleNamespace(info=self._log, debug=lambda *_, **__: None)
        self.books = Books(log, metrics, self.counters, self.gathering)

    def _measure(self, _path: str, status: int, _seconds: float) -> None:
        self.measured.append(status)

    def _log(self, _event: str, *, status: int, **_: object) -> None:
        self.logged.append(status)

    def counted(self) -> dict[int, float]:
        self.counters.hand_in()
        return {int(name[7:]): n for name, n in self.counters.total().items() if name.startswith("status.")}

    async def request(
        self,
        sent: int | None,
        failure: BaseException | None = None,
        *,
        key: str = "key_1",
        answered_for_it: int | None = None,
    ) -> None:
        async def application(scope: Any, _receive: Any, send: Any) -> None:
            record = record_of(scope)
            record.principal, record.faces, record.answered_for_it = Principal(key, "127.0.0.1"), 3, answered_for_it
            if sent is not None:
                await send({"type": "http.response.start", "status": sent, "headers": []})
            if failure is not None:
                raise failure

        async def ignore(_message: Any) -> None: ...

        scope = {"type": "http", "method": "POST", "path": "/api/v1/detect", "headers": []}
        with contextlib.suppress(type(failure) if failure is not None else ()):
            await RequestContext(application, lambda _scope: self.books)(scope, ignore, ignore)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("sent", "failure", "answered_for_it", "status"),
    [
        (200, None, None, 200),
        (503, None, None, 503),
        (None, ClientDisconnect(), None, 499),
        (None, ClientDisconnect(), 408, 408),
        (None, KeyError("a bug"), None, 500),
        (None, ConnectionError(), None, 500),
        (None, asyncio.CancelledError(), None, 500),
        (200, KeyError("a bug in mid-answer"), None, 500),
        (None, None, None, 500),
    ],
)
def test_log_metrics_and_counts_say_the_same_of_how_a_request_ended(
    tmp_path: Path, sent: int | None, failure: BaseException | None, answered_for_it: int | None, status: int
) -> None:
    ended = Ended(tmp_path)
    asyncio.run(ended.request(sent, failure, answered_for_it=answered_for_it))
    assert (ended.logged, ended.measured, ended.counted()) == ([status], [status], {status: 1})
    used = next(iter(ended.gathering.take().values()))
    assert (used.requests, used.errors) == (1, int(status >= 400))


def test_faces_are_counted_of_good_answers_and_use_of_keys_only(tmp_path: Path) -> None:
    async def work(ended: Ended) -> None:
        await ended.request(200)
        await ended.request(200, key="anonymous")
        await ended.request(503)

    ended = Ended(tmp_path)
    asyncio.run(work(ended))
    ended.counters.hand_in()
    total = ended.counters.total()
    assert (total["requests.detect"], total["faces"]) == (3, 6)
    assert [(key, used.requests, used.errors) for (key, _), used in ended.gathering.take().items()] == [("key_1", 2, 1)]
