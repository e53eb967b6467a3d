"""GET /metrics on the main port: with the token only; without one set there is nothing here."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.reporting.metrics_files import exposition
from gateway.services import services_of
from shared.errors import NotFound, Unauthorized


async def metrics(request: Request) -> Response:
    """The text of all gateway processes of this host."""
    services = services_of(request.scope)
    token = services.settings.metrics_token
    if not token:
        raise NotFound("Metrics are not served on this port; see FACE_API_METRICS_PORT and FACE_API_METRICS_TOKEN")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Unauthorized("Metrics need `Authorization: Bearer` with FACE_API_METRICS_TOKEN")
    text = await asyncio.to_thread(exposition, Path(services.settings.runtime_dir))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
