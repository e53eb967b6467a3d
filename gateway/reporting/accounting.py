"""Counts every answered detect and mask request: endpoint, status, time, faces, key. Pure ASGI.

It reads what the layers below left in the request's state (`principal`, `faces`) and tells the counters.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access.door import ANONYMOUS

ENDPOINTS = {"/api/v1/detect": "detect", "/api/v1/mask": "mask"}
CLIENT_LEFT = 499


class Accounting:
    """Around the application; without services in the state (a bare test) it only passes on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = ENDPOINTS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        services = scope.get("state", {}).get("services")
        if endpoint is None or services is None:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), CLIENT_LEFT

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            _note(services.access.parts, scope["state"], endpoint, status, (time.perf_counter() - started) * 1000)


def _note(parts: Any, state: dict[str, Any], endpoint: str, status: int, milliseconds: float) -> None:
    faces = state.get("faces", 0) if status < 400 else 0
    parts.counters.answered(endpoint, status, milliseconds, faces)
    principal = state.get("principal")
    if principal is not None and principal.key_id != ANONYMOUS:
        parts.gathering.note(principal.key_id, time.time(), error=status >= 400)
