"""create_app: the table of contents of the HTTP side. Routes, middleware in their order, error handlers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Scope

from gateway.console.routes import routes as console_routes
from gateway.docs.pages import docs_routes
from gateway.edge.books import Books
from gateway.edge.cors import Cors
from gateway.edge.request_context import RequestContext
from gateway.edge.security_headers import SecurityHeaders
from gateway.endpoints import ENDPOINTS
from gateway.error_responses import face_api_error, http_exception, unexpected
from gateway.reporting.traces import share_of
from gateway.routes.admin import routes as admin_routes
from gateway.routes.detect import detect
from gateway.routes.health import health, livez, readyz
from gateway.routes.images import routes as image_routes
from gateway.routes.jobs import routes as job_routes
from gateway.routes.mask import mask
from gateway.routes.metrics import metrics
from gateway.services import is_opened, open_services, services_of, state_with
from shared.access_rules import items
from shared.environment import load
from shared.errors import FaceApiError
from shared.settings import Settings

#: By the endpoint's name; a row without one is a start that fails.
ANSWERS: dict[str, Callable[..., Any]] = {
    "detect": detect,
    "mask": mask,
    "health": health,
    "readyz": readyz,
    "livez": livez,
    "metrics": metrics,
}


def _books_of(scope: Scope) -> Books | None:
    return services_of(scope).books if is_opened(scope) else None


def create_app(settings: Settings | None = None) -> Starlette:
    """The application of one gateway process; its settings are the environment's unless given."""
    effective = load()[0] if settings is None else settings

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_services(effective) as services:
            yield state_with(services)

    origins = items(effective.cors_origins)
    application = Starlette(
        routes=[
            *(Route(row.path, ANSWERS[row.name], methods=[row.method]) for row in ENDPOINTS),
            *docs_routes(console=effective.console_enabled),
            *admin_routes(),
            *job_routes(),
            *image_routes(),
            *(console_routes() if effective.console_enabled else []),
        ],
        middleware=[
            Middleware(RequestContext, _books_of, share_of(effective)),
            Middleware(SecurityHeaders),
            *([Middleware(Cors, origins)] if origins else []),
        ],
        exception_handlers={
            FaceApiError: face_api_error,
            HTTPException: http_exception,
            Exception: unexpected,
        },
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False  # it would name a scheme and a host; the 404 names the right path
    return application
