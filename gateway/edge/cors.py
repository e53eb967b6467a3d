"""Which pages of other origins may call the API from a browser. Pure ASGI; off unless origins are named.

The API is called with a key in a header, never with cookies, so credentials are never allowed; the console and
the admin API are no business of other pages.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.paths import tidy
from gateway.endpoints import ENDPOINTS
from gateway.record import HeaderPairs, record_of

PATHS = frozenset({"/openapi.json", *(endpoint.path for endpoint in ENDPOINTS if endpoint.for_pages)})
#: Ours; then what tracing adds to every request of a page, and what upload widgets and HTTP libraries send. The others
#: mean nothing here, so they can do no harm; a page that must not send them could not call at all.
ALLOWED_HEADERS = b", ".join(
    (
        b"X-API-Key, Content-Type, X-Request-Id, X-Request-Timeout-Ms, Idempotency-Key",
        b"traceparent, tracestate, baggage, b3, X-B3-TraceId, X-B3-SpanId, X-B3-ParentSpanId, X-B3-Sampled, X-B3-Flags",
        b"sentry-trace, newrelic, uber-trace-id, elastic-apm-traceparent, X-Amzn-Trace-Id, X-Cloud-Trace-Context",
        b"x-datadog-trace-id, x-datadog-parent-id, x-datadog-origin, x-datadog-sampling-priority, Request-Id",
        b"Request-Context, X-Correlation-Id, X-Requested-With, Cache-Control, Pragma, X-CSRF-Token",
        b"X-XSRF-TOKEN",
    )
)
EXPOSED_HEADERS = (
    b"X-Request-Id, X-Face-Count, X-Inference-Ms, X-Total-Ms, X-Model, X-Image-Width, X-Image-Height, X-Blur-Method, "
    b"X-Looks, X-Mask-Weak, X-Mask-Colors, X-Frames, X-Ignored-Fields, Retry-After, RateLimit, RateLimit-Policy, "
    b"X-Job-Id, X-Job-Status, X-Image-Id, X-Original-Id, X-Image-Status, Idempotency-Replayed, Server-Timing, "
    b"traceresponse"
)
#: For two hours, the longest that Chromium takes.
_ALLOWED = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", ALLOWED_HEADERS),
    (b"access-control-max-age", b"7200"),
]
_PREFLIGHT, _VARY = b"access-control-request-method", (b"vary", b"Origin")


class Cors:
    """Answers preflights and marks answers for the named origins; `*` is any."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = named(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins or not is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and any(name == _PREFLIGHT for name, _ in scope["headers"]):
            headers = _told(self._origins, scope["headers"], _ALLOWED)
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        mine = record_of(scope).page_headers = marks(self._origins, scope["path"], scope["headers"])

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *mine]
            await send(message)

        await self._app(scope, receive, send_marked)


def named(origins: Iterable[str]) -> frozenset[bytes]:
    return frozenset(origin.encode() for origin in origins)


def is_open(path: str) -> bool:
    """Whether pages of other origins may read what is answered here: also that a path is written wrong."""
    return path in PATHS or tidy(path).lower() in PATHS


def marks(origins: frozenset[bytes], path: str, headers: HeaderPairs) -> HeaderPairs:
    """What an answer at this path says to the page that asked, whoever makes it."""
    if not origins or not is_open(path):
        return []
    return _told(origins, headers, [(b"access-control-expose-headers", EXPOSED_HEADERS)])


def _told(origins: frozenset[bytes], headers: HeaderPairs, more: HeaderPairs) -> HeaderPairs:
    """more: only to pages of these origins."""
    origin = next((value for name, value in headers if name == b"origin"), None)
    if origin is None or not (origin in origins or b"*" in origins):
        return [_VARY]
    return [_VARY, (b"access-control-allow-origin", b"*" if b"*" in origins else origin), *more]
