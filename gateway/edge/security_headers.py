"""Headers that every response carries, whatever made it. Pure ASGI.

A response that sets one itself keeps its own: pages have a wider Content-Security-Policy than the API's none.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.record import HeaderPairs

# OWASP ASVS 5.0 §3.4. HSTS is left to whoever ends TLS: only it knows that every host name has it.
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # no-referrer would make browsers send "Origin: null" with forms
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),  # answers tell about people
)


class SecurityHeaders:
    """Adds what is missing of HEADERS to every response, errors included; removes Server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = completed(message.get("headers", []))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def completed(headers: HeaderPairs) -> HeaderPairs:
    """The headers of a response with those of HEADERS that it did not set, without Server."""
    present = {name.lower() for name, _ in headers}
    kept = headers if b"server" not in present else [pair for pair in headers if pair[0].lower() != b"server"]
    return [*kept, *[pair for pair in HEADERS if pair[0] not in present]]
