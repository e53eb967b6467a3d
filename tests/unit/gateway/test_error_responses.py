"""Errors as answers: JSON, and with how the caller's rate limit stands, a bug's too."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway.error_responses import face_api_error, http_exception, unexpected
from gateway.record import record_of
from shared.errors import BadParameter, FaceApiError, Overloaded, UnsupportedMedia

LIMIT = [(b"ratelimit-policy", b'"detect";q=300;w=60'), (b"ratelimit", b'"detect";r=299;t=60')]


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadParameter("x"), 422), (UnsupportedMedia("x"), 415), (Overloaded(), 503), (ZeroDivisionError(), 500)],
)
@pytest.mark.parametrize("asked", [True, False])
def test_an_error_tells_the_limit_where_it_was_asked(error: Exception, status: int, *, asked: bool) -> None:
    async def fail(request: Request) -> Response:
        if asked:
            record_of(request.scope).limit_headers = LIMIT
        raise error

    handlers = {FaceApiError: face_api_error, Exception: unexpected}
    site = TestClient(Starlette(routes=[Route("/", fail)], exception_handlers=handlers), raise_server_exceptions=False)
    answer = site.get("/")
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.headers.get("ratelimit") == (LIMIT[1][1].decode() if asked else None)


def test_a_method_that_is_not_allowed_is_told_which_are() -> None:
    routes = [Route("/a", unexpected, methods=["POST"]), Route("/b", unexpected, methods=["GET", "DELETE"])]
    site = TestClient(Starlette(routes=routes, exception_handlers={HTTPException: http_exception}))
    assert site.put("/a").json() == {"detail": "PUT is not allowed here; send POST"}
    assert site.put("/b").json() == {"detail": "PUT is not allowed here; send DELETE or GET"}
