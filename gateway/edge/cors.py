"""Which pages of other origins may call the API from a browser. Pure ASGI; off unless origins are named.

The API is called with a key in a header, never with cookies, so credentials are never allowed; the console and
the admin API are no business of other pages.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

PATHS = ("/api/v1/detect", "/api/v1/mask", "/health", "/openapi.json")
ALLOWED_METHODS = b"GET, POST"
ALLOWED_HEADERS = b"X-API-Key, Content-Type, X-Request-Id, X-Request-Timeout-Ms"
EXPOSED_HEADERS = (
    b"X-Request-Id, X-Face-Count, X-Inference-Ms, X-Total-Ms, X-Model, X-Image-Width, X-Image-Height, X-Blur-Method, "
    b"X-Mask-Weak, X-Mask-Colors, X-Frames, Retry-After, RateLimit, RateLimit-Policy, Server-Timing"
)
PREFLIGHT_SECONDS = b"7200"  # the longest that Chromium takes


class Cors:
    """Answers preflights and marks answers for the named origins; `*` is any."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        asked = {name: value for name, value in scope["headers"] if name in _ASKED}
        allowed = self._allowed(asked.get(b"origin"))
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            await _answer_preflight(send, _preflight_headers(allowed))
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_answer_headers(allowed)]
            await send(message)

        await self._app(scope, receive, send_marked)

    def _allowed(self, origin: bytes | None) -> bytes | None:
        """What Access-Control-Allow-Origin says to this origin; None: nothing."""
        if origin is None:
            return None
        if b"*" in self._origins:
            return b"*"
        return origin if origin in self._origins else None


_ASKED = frozenset((b"origin", b"access-control-request-method"))


def _answer_headers(allowed: bytes | None) -> Headers:
    if allowed is None:
        return [(b"vary", b"Origin")]
    return [
        (b"vary", b"Origin"),
        (b"access-control-allow-origin", allowed),
        (b"access-control-expose-headers", EXPOSED_HEADERS),
    ]


def _preflight_headers(allowed: bytes | None) -> Headers:
    if allowed is None:
        return [(b"vary", b"Origin")]
    return [
        (b"vary", b"Origin"),
        (b"access-control-allow-origin", allowed),
        (b"access-control-allow-methods", ALLOWED_METHODS),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", PREFLIGHT_SECONDS),
    ]


async def _answer_preflight(send: Send, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
