"""GET /health, /readyz, /livez: what the service says of itself. None of them needs a key."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.error_responses import detail_response
from gateway.services import Services, services_of


class HealthResponse(msgspec.Struct, frozen=True):
    """The API reference's fields, then ours. The database and storage fields speak of configured ones only."""

    status: str
    model: str | None
    model_loaded: bool
    input_size: tuple[int, int]
    supports_landmarks: bool
    database_enabled: bool
    database_ready: bool | None
    storage_enabled: bool
    storage_ready: bool | None
    reason: str
    precision: str | None
    provider: str | None
    max_batch: int
    batch_invariant: bool
    model_note: str
    license: str | None
    workers: int
    queue: int
    decode_sandbox: str
    decode_sandbox_note: str


async def health(request: Request) -> Response:
    """200 when a picture sent now would be answered, else 503 with status "degraded"."""
    services = services_of(request.scope)
    answer = health_of(services)
    status = 200 if answer.status == "ok" else 503
    return Response(msgspec.json.encode(answer), status_code=status, media_type="application/json")


def health_of(services: Services) -> HealthResponse:
    workers, readiness, side = services.dispatcher.workers, services.readiness, services.settings.input_side
    model = workers[0].model if workers else None
    database, written, reason = _database(services)
    storage, stored, storage_reason = _storage(services)
    return HealthResponse(
        status="ok" if readiness.ready and written and stored else "degraded",
        model=model.name if model else None,
        model_loaded=model is not None,
        input_size=(model.input_side, model.input_side) if model else (side, side),
        supports_landmarks=model.landmarks if model else False,
        database_enabled=database is not None,
        database_ready=database,
        storage_enabled=storage is not None,
        storage_ready=storage,
        reason=readiness.reason or reason or storage_reason,
        precision=model.precision if model else None,
        provider=model.provider if model else None,
        max_batch=model.max_batch if model else 0,
        batch_invariant=model.batch_invariant if model else False,
        model_note=model.note if model else "",
        license=model.license if model else None,
        workers=len(workers),
        queue=services.dispatcher.queue.waiting,
        decode_sandbox=str(services.pictures.sandbox),
        decode_sandbox_note="; ".join(services.pictures.sandbox.notes),
    )


def _database(services: Services) -> tuple[bool | None, bool, str]:
    """Whether the database is ready, None where none is asked for; whether requests are answered, and why not."""
    records = services.records
    keys = services.keys.cache.ready if services.settings.database_url else None
    if records is None:
        return keys, keys is not False, ""
    written = records.condition.ready
    reason = "" if written else "jobs cannot be written to the database"
    return written and keys is not False, keys is not False and (written or not records.required), reason


def _storage(services: Services) -> tuple[bool | None, bool, str]:
    """The same of the storage of pictures."""
    if services.images is None or services.records is None:
        return None, True, ""
    ready = services.images.storage.condition.ready
    reason = "" if ready else "pictures cannot be stored; the log tells why"  # which names the place
    return ready, ready or not services.records.required, reason


async def readyz(request: Request) -> Response:
    """For load balancers: send traffic here or not."""
    readiness = services_of(request.scope).readiness
    if readiness.ready:
        return Response(b'{"status":"ready"}', media_type="application/json")
    return detail_response(503, f"not ready: {readiness.reason}", {"Retry-After": "1"})


async def livez(_request: Request) -> Response:
    """The process turns its loop. Touches nothing."""
    return Response(b'{"status":"alive"}', media_type="application/json")
