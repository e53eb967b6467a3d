"""The outermost layer of every request: its id and its clock. Pure ASGI; knows headers, not endpoints."""

from __future__ import annotations

import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.timings import Timings

_HEADER = b"x-request-id"


def request_id_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's own id when it is a UUID, else a new one."""
    for name, value in headers:
        if name == _HEADER and len(value) == 36:
            try:
                return str(uuid.UUID(value.decode("ascii")))
            except ValueError:
                break
    return str(uuid.uuid4())


class RequestContext:
    """Puts `request_id` and `timings` into the request's state and X-Request-Id on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        state = scope.setdefault("state", {})
        state["request_id"], state["timings"] = request_id, Timings()
        header = (_HEADER, request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), header]
            await send(message)

        await self._app(scope, receive, send_with_id)
