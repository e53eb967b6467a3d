"""/api/v1/jobs: what was asked and found; read with the scope records:read, deleted with records:delete."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from gateway.records.job import JobPage, shown
from gateway.routes.records_door import RecordsVisit, admitted, deleted, json

PATH = "/api/v1/jobs"


def routes() -> list[Route]:
    """To be mounted by the application as they are."""
    return [
        Route(PATH, admitted({"GET": _list}), methods=["GET"]),
        Route(f"{PATH}/{{job_id}}", admitted({"GET": _one, "DELETE": _delete}), methods=["GET", "DELETE"]),
    ]


async def _list(visit: RecordsVisit) -> Response:
    cursor, limit = visit.page()
    jobs = await visit.records.page(visit.key_id, cursor, limit + 1)
    more = jobs[limit - 1].id if len(jobs) > limit else None
    return json(JobPage([shown(job) for job in jobs[:limit]], more))


async def _one(visit: RecordsVisit) -> Response:
    return json(shown(await visit.records.one(visit.key_id, visit.id("job_id"))))


async def _delete(visit: RecordsVisit) -> Response:
    return deleted(whole=await visit.records.delete(visit.key_id, visit.id("job_id")))
