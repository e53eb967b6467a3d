"""/api/v1/jobs: what was kept of a key's own requests; read with the scope records:read, deleted with records:delete.

Where the service asks for no keys all callers are one, and see what all of them asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.keys.records import Scope
from gateway.records.job import JobPage, shown
from gateway.records.keeping import Records
from gateway.services import services_of
from gateway.unknown_names import refuse_unknown
from shared import numerals
from shared.errors import BadParameter, NotFound

PATH = "/api/v1/jobs"
LIMIT_MAX, LIMIT = 1000, 100
SCOPES: dict[str, Scope] = {"GET": "records:read", "HEAD": "records:read", "DELETE": "records:delete"}
OFF = "This service keeps no records: FACE_API_RECORDS=best_effort or required makes it keep them"

#: Of one admitted request: the records, whose, and the request.
Answer = Callable[[Records, str, Request], Awaitable[Response]]


def routes() -> list[Route]:
    """To be mounted by the application as they are."""
    return [
        Route(PATH, _admitted({"GET": _list}), methods=["GET"]),
        Route(f"{PATH}/{{job_id}}", _admitted({"GET": _one, "DELETE": _delete}), methods=["GET", "DELETE"]),
    ]


def _admitted(answers: dict[str, Answer]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        services = services_of(request.scope)
        admitted = await services.door.enter(request.scope, SCOPES[request.method])
        async with admitted.settled():
            if services.records is None:
                raise NotFound(OFF)
            answer = answers["GET" if request.method == "HEAD" else request.method]
            response = await answer(services.records, admitted.principal.key_id, request)
        response.raw_headers.extend(admitted.headers)
        return response

    return endpoint


async def _list(records: Records, key_id: str, request: Request) -> Response:
    query = request.query_params
    refuse_unknown(("limit", "cursor"), query.multi_items(), [])
    limit = _limit(query.get("limit", ""))
    cursor = query.get("cursor", "")
    jobs = await records.page(key_id, _id(cursor, "cursor") if cursor else "", limit + 1)
    more = jobs[limit - 1].id if len(jobs) > limit else None
    return _json(JobPage([shown(job) for job in jobs[:limit]], more))


async def _one(records: Records, key_id: str, request: Request) -> Response:
    return _json(shown(await records.one(key_id, _job_id(request))))


async def _delete(records: Records, key_id: str, request: Request) -> Response:
    await records.delete(key_id, _job_id(request))
    return Response(status_code=204)


def _limit(text: str) -> int:
    limit = numerals.whole(text) if text else LIMIT
    if limit is None or not 1 <= limit <= LIMIT_MAX:
        raise BadParameter(f"limit: must be a whole number from 1 to {LIMIT_MAX}")
    return limit


def _job_id(request: Request) -> str:
    return _id(str(request.path_params["job_id"]), "job_id")


def _id(text: str, name: str) -> str:
    """As the table has it. BadParameter."""
    try:
        return str(UUID(text))
    except ValueError:
        raise BadParameter(f"{name}: must be the id of a job, a UUID as in X-Job-Id") from None


def _json(facts: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(facts), media_type="application/json")
