"""A path written wrong gets a 404 that names the right one; no redirect of ours names a scheme or a host."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest
from starlette.routing import Mount, Route

from gateway.app import create_app
from gateway.console.web import go_to, safe_next
from gateway.edge.paths import PATH_LENGTH_MAX, right_path, tidy
from gateway.edge.security_headers import HEADERS
from shared.settings import Settings

APPLICATION = create_app(Settings(cors_origins="https://app.example"))
PATHS = sorted(
    {route.path.replace("{", "").replace("}", "") for route in APPLICATION.routes if isinstance(route, Route)}
)
BEHIND_TLS = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example", "host": "evil.example"}


async def ask(method: str, path: str, headers: dict[str, str] = BEHIND_TLS) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, without the application's services: nothing that is asked for here comes so far."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(), "query_string": b"a=1",
        "scheme": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await APPLICATION(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(message["body"] for message in sent[1:])


def mistakes(path: str) -> set[str]:
    doubled, shouted = path.replace("/", "//"), path.upper()
    return {path + "/", path + "//", "/" + path, doubled, shouted, shouted + "/", path + "%2F"} - {path}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_written_wrong_gets_404_with_the_right_one(method: str) -> None:
    wrongs = [(path, wrong) for path in PATHS if path not in {"/", "/console", "/console/"} for wrong in mistakes(path)]

    async def scene() -> None:
        for path, wrong in wrongs:
            status, headers, body = await ask(method, wrong)
            assert (status, headers.get("location")) == (404, None), wrong
            detail = msgspec.json.decode(body)["detail"]
            assert detail.lower().endswith(f"send it to {path}".lower()), wrong
            assert {name.decode() for name, _ in HEADERS} <= set(headers)
            assert headers["x-request-id"]

    assert len(wrongs) > 200
    asyncio.run(scene())


async def test_the_right_one_is_told_to_pages_of_named_origins_and_their_preflight_passes() -> None:
    page = {"origin": "https://app.example"}
    for wrong in ("/api/v1/detect/", "/API/v1/mask", "//api//v1/detect"):
        status, headers, _ = await ask("OPTIONS", wrong, page | {"access-control-request-method": "POST"})
        assert (status, headers["access-control-allow-origin"]) == (204, page["origin"])
        status, headers, _ = await ask("POST", wrong, page)
        assert (status, headers["access-control-allow-origin"]) == (404, page["origin"])
    for wrong in ("/api/v1/admin/keys/", "/console/keys/"):
        _, headers, _ = await ask("POST", wrong, page)
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/console", "/console/", "/api-keys"])
def test_what_redirects_names_a_path_only(path: str) -> None:
    status, headers, _ = asyncio.run(ask("GET", path))
    assert (status, headers["location"]) == (303, "/console/keys")


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "/console//evil", "/console/../x"]
)
def test_after_signing_in_nobody_is_sent_to_another_host(path: str) -> None:
    place = go_to(safe_next(path)).headers["location"]
    assert place.startswith("/console/")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("/Keys/AbC/Rotate/", "/keys/AbC/rotate"),
        ("/keys//AbC", "/keys/AbC"),
        ("/files/A/B/", "/files/A/B"),
        ("/FILES/a/../B", "/files/B"),
        ("/keys/AbC", None),
        ("/nothing/", None),
        ("/" * (PATH_LENGTH_MAX + 1), None),
    ],
)
def test_what_a_path_holds_keeps_its_case(wrong: str, right: str | None) -> None:
    routes = [Route("/keys/{key}", print), Route("/keys/{key}/rotate", print), Mount("/files", print)]
    assert right_path(wrong, routes) == right


def test_a_tidy_path_stays_as_it_is() -> None:
    assert [tidy(path) for path in (*PATHS[:-1], "/")] == [path.rstrip("/") or "/" for path in (*PATHS[:-1], "/")]
    assert tidy("//" + quote("..") + "/a") == "/a"
