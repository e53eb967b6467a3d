"""Security headers, CORS and accounting: thin layers around any application."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.access.door import Principal
from gateway.edge.cors import EXPOSED_HEADERS, Cors
from gateway.edge.security_headers import HEADERS, SecurityHeaders, completed
from gateway.keys.usage import Gathering
from gateway.reporting.accounting import Accounting
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


def test_accounting_counts_status_faces_and_key(tmp_path: Path) -> None:
    counters, gathering = Counters(tmp_path), Gathering()
    parts = SimpleNamespace(counters=counters, gathering=gathering)
    services = SimpleNamespace(access=SimpleNamespace(parts=parts))

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        scope["state"]["principal"] = Principal(scope["key"], "127.0.0.1")
        scope["state"]["faces"] = 3
        if scope["status"]:
            await send({"type": "http.response.start", "status": scope["status"], "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            raise ConnectionError

    async def work() -> None:
        async def ignore(_message: Any) -> None: ...

        for status, key in ((200, "key_1"), (200, "anonymous"), (503, "key_1"), (0, "key_1")):
            scope = {"type": "http", "method": "POST", "path": "/api/v1/detect", "status": status, "key": key}
            try:
                await Accounting(application)(scope | {"state": {"services": services}}, ignore, ignore)
            except ConnectionError:
                assert status == 0
        await Accounting(application)(scope | {"path": "/health", "state": {}, "status": 200}, ignore, ignore)

    asyncio.run(work())
    counters.hand_in()
    total = counters.total()
    assert (total["requests.detect"], total["faces"]) == (4, 6)
    assert (total["status.200"], total["status.503"], total["status.499"]) == (2, 1, 1)
    taken = gathering.take()
    assert [(key, used.requests, used.errors) for (key, _), used in taken.items()] == [("key_1", 3, 2)]
