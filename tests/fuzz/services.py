"""Bytes of a connection, sent to the whole application: whatever is asked of any path, no answer is a mistake of ours.

No worker serves, so that pictures get as far as the 503 that says so; the key store, the console and the documents
are real. `KEY` and `COOKIE` in an input stand for an admin key and for a session that signed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from gateway.app import create_app
from gateway.keys.audit import Actor
from gateway.keys.records import Draft
from gateway.services import open_services
from shared.settings import Settings
from tests.fuzz.bodies import part
from tests.fuzz.conversations import Room, read_answers

_BOUNDARY = b"b"
_HEADER = re.compile(rb"[!-~]+: [\t -~\x80-\xff]*")


class House:
    """The services of one gateway process, in a folder that goes with them."""

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="face-api-fuzz-")))
        (folder / "run").mkdir()
        self.room = self._loop.run_until_complete(self._open(folder))

    async def _open(self, folder: Path) -> Room:
        settings = Settings(
            data_dir=str(folder / "var"), runtime_dir=str(folder / "run"), decode_processes=1,
            api_key_enabled=False, rate_limit_enabled=False, log_level="critical",
        )  # fmt: skip
        services = await self._stack.enter_async_context(open_services(settings))
        keys = services.keys
        draft = Draft(name="fuzz", scopes=("detect", "mask", "admin"))
        self.key = keys.store.create(draft, keys.cache.peppers, Actor("fuzz"), time.time()).key.encode()
        return Room(self._loop, create_app(settings), {"services": services})

    def close(self) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()


@lru_cache(1)
def house() -> House:
    """One for all inputs."""
    return House()


def close() -> None:
    """Ends the services, where there are any."""
    if house.cache_info().currsize:
        house().close()
        house.cache_clear()


def check_service(data: bytes) -> None:
    """Whole answers, none of them a 5xx but "no worker"; errors are words (/health says how it is)."""
    room = house().room
    asked = data.replace(b"KEY", house().key).replace(b"HEAD ", b"GET ")
    answer = room.ask(asked, max(1, len(asked)))
    assert room.left() == []
    statuses = read_answers(answer)
    assert all(status < 500 or status == 503 for status in statuses), statuses
    for head, body in _parts(answer):
        lines = head.split(b"\r\n")[1:]
        assert all(_HEADER.fullmatch(line) for line in lines), lines
        if b"content-type: application/json" in head and not head.startswith(b"HTTP/1.1 2"):
            assert msgspec.json.decode(body[: _length(head)]).keys() & {"detail", "status"}


def _parts(answer: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and what follows of each answer."""
    for each in answer.split(b"HTTP/1.1 ")[1:]:
        head, _, body = (b"HTTP/1.1 " + each).partition(b"\r\n\r\n")
        yield head, body


def _length(head: bytes) -> int:
    match = re.search(rb"content-length: (\d+)", head)
    return int(match[1]) if match else 0


def _request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def seeds() -> Iterator[bytes]:
    key = "X-API-Key: KEY"
    for path in ("/", "/health", "/readyz", "/livez", "/metrics", "/docs", "/openapi.json", "/api/v1/detect/", "/%2e%2e/x", "/console",
                 "/console/sign-in?next=//a", "/console/keys", "/console/static/console.css", "/api-keys", "/favicon.ico", "//a/b"):  # fmt: skip
        yield _request("GET", path, "Origin: http://b", 'If-None-Match: "x"', "Accept-Encoding: gzip")
    for path in ("keys?search=a&state=active&count=5", "keys/key_0", "audit?before=0&count=1", "overview", "system"):
        yield _request("GET", f"/api/v1/admin/{path}", key)
    yield _request("POST", "/api/v1/admin/keys", key, "Content-Type: application/json", body=b'{"name":"ci"}')
    yield _request("POST", "/api/v1/admin/keys/key_0/rotate", key, body=b'{"grace":"24h"}')
    yield _request("DELETE", "/api/v1/admin/keys/key_0", key)
    form = part(_BOUNDARY, "image", b"\xff\xd8\xff") + part(_BOUNDARY, "confidence", b".5") + b"--b--\r\n"
    for path in ("detect", "mask?method=solid"):
        kind = "Content-Type: multipart/form-data; boundary=b"
        yield _request("POST", f"/api/v1/{path}", key, kind, "X-Request-Timeout-Ms: 500", body=form)
    yield _request("OPTIONS", "/api/v1/detect", "Origin: http://b", "Access-Control-Request-Method: POST")
    form = b"password=correct+horse&next=%2Fconsole"
    for own in ("same-origin", "cross-site"):
        yield _request(
            "POST",
            "/console/sign-in",
            f"Sec-Fetch-Site: {own}",
            "Content-Type: application/x-www-form-urlencoded",
            body=form,
        )
    yield _request("GET", "/console/welcome?token=x", "Cookie: face_api_session=x")


WORDS = (
    b"GET /", b"POST /", b"DELETE /", b"/api/v1/detect", b"/api/v1/mask", b"/api/v1/admin/keys", b"/console/", b"/docs", b"%00", b"%ff",
    b"X-API-Key: KEY\r\n", b"Origin: ", b"Cookie: ", b"X-Forwarded-For: ", b"If-None-Match: ", b"Accept-Encoding: ", b"Host: ",
    b"X-Request-Id: ", b"X-Request-Timeout-Ms: ", b"Sec-Fetch-Site: same-origin\r\n", b"Content-Length: ", b"Accept-Language: ",
)  # fmt: skip
