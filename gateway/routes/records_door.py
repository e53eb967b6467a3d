"""The way into the endpoints for what was kept of a key's own requests; what their lists and ids have in common.

Where the service asks for no keys all callers are one, and see what all of them asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.keys.records import Scope
from gateway.records.images import Images
from gateway.records.keeping import Records
from gateway.services import services_of
from gateway.unknown_names import refuse_unknown
from shared import numerals
from shared.errors import BadParameter, NotFound

LIMIT_MAX, LIMIT = 1000, 100
SCOPES: dict[str, Scope] = {"GET": "records:read", "HEAD": "records:read", "DELETE": "records:delete"}
OFF = "This service keeps no records: FACE_API_RECORDS=best_effort or required makes it keep them"
NO_PICTURES = "This service keeps no pictures: FACE_API_STORAGE_URL says where it may"


class RecordsVisit(NamedTuple):
    """One admitted request: whose, and what is kept."""

    records: Records
    key_id: str
    request: Request

    @property
    def images(self) -> Images:
        if self.records.images is None:
            raise NotFound(NO_PICTURES)
        return self.records.images

    def id(self, name: str) -> str:
        """The one that the path names, as the table has it. BadParameter."""
        return _id(str(self.request.path_params[name]), name)

    def page(self) -> tuple[str, int]:
        """The cursor, or nothing, and how many. BadParameter."""
        query = self.request.query_params
        refuse_unknown(("limit", "cursor"), query.multi_items(), [])
        cursor = query.get("cursor", "")
        return _id(cursor, "cursor") if cursor else "", _limit(query.get("limit", ""))


Answer = Callable[[RecordsVisit], Awaitable[Response]]


def admitted(answers: dict[str, Answer]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers each method so, for keys with its scope."""

    async def endpoint(request: Request) -> Response:
        services = services_of(request.scope)
        caller = await services.door.enter(request.scope, SCOPES[request.method])
        async with caller.settled():
            if services.records is None:
                raise NotFound(OFF)
            answer = answers["GET" if request.method == "HEAD" else request.method]
            response = await answer(RecordsVisit(services.records, caller.principal.key_id, request))
        response.raw_headers.extend(caller.headers)
        return response

    return endpoint


def json(facts: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(facts), media_type="application/json")


def deleted(*, whole: bool) -> Response:
    """204; 202 where nobody can see it any more, but its picture waits for the storage."""
    return Response(status_code=204 if whole else 202)


def _limit(text: str) -> int:
    limit = numerals.whole(text) if text else LIMIT
    if limit is None or not 1 <= limit <= LIMIT_MAX:
        raise BadParameter(f"limit: must be a whole number from 1 to {LIMIT_MAX}")
    return limit


def _id(text: str, name: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadParameter(f"{name}: must be an id, a UUID as in X-Job-Id and X-Image-Id") from None
