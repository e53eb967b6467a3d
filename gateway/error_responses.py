"""The one table from errors to responses: always JSON {"detail": "…"}, with Retry-After where the error has one.

The handlers are coroutines only because Starlette runs plain functions in a thread: that costs more than the answer.
"""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.edge.paths import right_path
from gateway.edge.security_headers import completed
from gateway.record import record_of
from shared.errors import FaceApiError


def detail_response(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode({"detail": detail})
    return Response(body, status_code=status, headers=headers, media_type="application/json")


async def face_api_error(request: Request, error: Exception) -> Response:
    """Our own errors know everything themselves but how the caller's rate limit stands."""
    assert isinstance(error, FaceApiError)
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    response = detail_response(error.status, str(error), headers)
    response.raw_headers.extend(record_of(request.scope).limit_headers)
    return response


async def http_exception(request: Request, error: Exception) -> Response:
    """The framework's: 404 and 405, in our words; and what may be asked of the server as a whole (OPTIONS *)."""
    assert isinstance(error, HTTPException)
    words, path = error.detail, request.scope["path"]
    if path == "*" and request.method == "OPTIONS":
        every = {method for route in request.app.routes for method in getattr(route, "methods", None) or ()}
        return Response(status_code=204, headers={"Allow": ", ".join(sorted(every | {"OPTIONS"}))})
    if error.status_code == 404:
        words = _nothing_at(path, right_path(path, request.app.routes))
    elif error.status_code == 405:
        words = f"{request.method} is not allowed here; send {_methods(error)}"
    return detail_response(error.status_code, words, dict(error.headers) if error.headers else None)


def _methods(error: HTTPException) -> str:
    """What its Allow header names; HEAD goes without saying."""
    allowed = (error.headers or {}).get("Allow", "").split(", ")
    return " or ".join(sorted(set(allowed) - {"HEAD"}))


def _nothing_at(path: str, right: str | None) -> str:
    return f"There is nothing at {path}; " + (f"send it to {right}" if right else "the endpoints are listed at /docs")


async def unexpected(request: Request, _error: Exception) -> Response:
    """A bug of ours: logged whole by the server, told without its insides.

    Starlette answers it outside of all middleware, so what every response carries is put on here.
    """
    record = record_of(request.scope)
    response = detail_response(500, "Internal error; the request id in X-Request-Id finds it in the log")
    response.headers["X-Request-Id"] = record.request_id
    response.headers["Connection"] = "close"  # the server ends it after a bug
    response.raw_headers = [*completed(response.raw_headers), *record.limit_headers, *record.page_headers]
    return response
