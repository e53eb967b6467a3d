"""/api/v1/admin/…: keys, audit, overview and system as JSON, for callers with an admin key.

Always with a key, also where detect and mask need none; console sessions are not taken here, so no page can forge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.keys.administration import Administration
from gateway.keys.audit import Actor
from gateway.keys.records import Draft, State, parse_duration, parse_scopes
from gateway.keys.shown import AuditPage, Key, KeyDetails, KeyPage, ListedKey, entry_of, made_key, shown
from gateway.keys.store import Made
from gateway.record import Principal
from gateway.records import erasing
from gateway.reporting.overview import overview_of
from gateway.reporting.system_facts import system_of
from gateway.routes.json_body import read_json
from gateway.services import Services, services_of
from gateway.stores.key_format import redact
from shared import numerals
from shared.errors import BadParameter, TooLarge

BODY_BYTES_MAX = 65_536
PER_PAGE_MAX = 1000
SEARCHED_MAX, ID_CHARACTERS_MAX = 100, 64
PREFIX = "/api/v1/admin"
Body = TypeVar("Body", bound=msgspec.Struct)


class CreateBody(msgspec.Struct, forbid_unknown_fields=True):
    """`expires_in`, `records_ttl`: seconds, or `90d`, `24h`, `30m`; null for never, and for the setting's."""

    name: str
    scopes: tuple[str, ...] = ("detect", "mask")
    expires_in: str | int | None = None
    detect_limit: int | None = None
    mask_limit: int | None = None
    records_ttl: str | int | None = None


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    grace: str | int = "24h"


class EraseBody(msgspec.Struct, forbid_unknown_fields=True):
    """`before`: a day or a moment, UTC unless it says otherwise."""

    key_id: str | None = None
    before: str | None = None


class AdminVisit(msgspec.Struct, frozen=True):
    """One admitted admin request."""

    request: Request
    services: Services
    principal: Principal

    @property
    def administration(self) -> Administration:
        return self.services.administration

    def now(self) -> float:
        return self.services.door.now()

    @property
    def actor(self) -> Actor:
        return Actor(f"key:{self.principal.key_id}", self.principal.address)

    @property
    def key_id(self) -> str:
        """The key the path names; a key itself in its place is refused unrepeated."""
        return _no_key(str(self.request.path_params["key_id"]), "URLs are kept in logs, so revoke it now")


AdminAnswer = Callable[[AdminVisit], Awaitable[Response]]


def routes() -> list[Route]:
    """To be mounted by the application as they are."""
    return [
        Route(f"{PREFIX}/keys", _admitted({"GET": _list, "POST": _create}), methods=["GET", "POST"]),
        Route(f"{PREFIX}/keys/{{key_id}}", _admitted({"GET": _one, "DELETE": _revoke}), methods=["GET", "DELETE"]),
        Route(f"{PREFIX}/keys/{{key_id}}/rotate", _admitted({"POST": _rotate}), methods=["POST"]),
        Route(f"{PREFIX}/keys/{{key_id}}/revoke", _admitted({"POST": _revoke}), methods=["POST"]),
        Route(f"{PREFIX}/erase", _admitted({"POST": _erase}), methods=["POST"]),
        Route(f"{PREFIX}/audit", _admitted({"GET": _audit}), methods=["GET"]),
        Route(f"{PREFIX}/overview", _admitted({"GET": _overview}), methods=["GET"]),
        Route(f"{PREFIX}/system", _admitted({"GET": _system}), methods=["GET"]),
    ]


def _admitted(answers: dict[str, AdminAnswer]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        services = services_of(request.scope)
        admitted = await services.door.enter(request.scope, "admin")
        method = "GET" if request.method == "HEAD" else request.method
        async with admitted.settled():
            response = await answers[method](AdminVisit(request, services, admitted.principal))
        response.raw_headers.extend(admitted.headers)
        return response

    return endpoint


async def _list(visit: AdminVisit) -> Response:
    query = visit.request.query_params
    state = query.get("state") or None
    if state not in {None, "active", "expired", "revoked"}:
        raise BadParameter("state: must be active, expired or revoked")
    rows, total = await visit.administration.page(
        search=_text(query, "search", SEARCHED_MAX),
        state=cast("State | None", state),
        offset=_number(query.get("offset") or "0", "offset", 0, 10_000_000),
        count=_number(query.get("count") or "100", "count", 1, PER_PAGE_MAX),
    )
    now = visit.now()
    return _json(KeyPage([row.shown(ListedKey, now) for row in rows], total))


async def _create(visit: AdminVisit) -> Response:
    body = await _body(visit.request, CreateBody)
    draft = Draft(
        name=body.name,
        scopes=parse_scopes(list(body.scopes)),
        expires_in_s=None if body.expires_in is None else parse_duration(str(body.expires_in)),
        detect_limit=body.detect_limit,
        mask_limit=body.mask_limit,
        records_ttl=None if body.records_ttl is None else parse_duration(str(body.records_ttl)),
    )
    return _made(visit, await visit.administration.create(draft, visit.actor))


async def _one(visit: AdminVisit) -> Response:
    row, days = await visit.administration.one(visit.key_id)
    return _json(row.shown(KeyDetails, visit.now(), requests_by_day=dict(days)))


async def _rotate(visit: AdminVisit) -> Response:
    body = await _body(visit.request, RotateBody)
    return _made(visit, await visit.administration.rotate(visit.key_id, parse_duration(str(body.grace)), visit.actor))


async def _revoke(visit: AdminVisit) -> Response:
    record = await visit.administration.revoke(visit.key_id, visit.actor)
    return _json(shown(Key, record, visit.now()))


async def _erase(visit: AdminVisit) -> Response:
    body = await _body(visit.request, EraseBody)
    wanted = erasing.checked(_no_key(body.key_id or "", "give the id, `key_…`"), body.before)
    keep = visit.services.settings.audit_keep
    services = visit.services
    return _json(await erasing.erase(services.keys, services.images, wanted, visit.actor, visit.now(), keep))


async def _audit(visit: AdminVisit) -> Response:
    query = visit.request.query_params
    rows = await visit.administration.audit(
        search=_text(query, "search", SEARCHED_MAX),
        before=_text(query, "before", ID_CHARACTERS_MAX),
        count=_number(query.get("count") or "100", "count", 1, PER_PAGE_MAX),
    )
    return _json(AuditPage([entry_of(row) for row in rows]))


async def _overview(visit: AdminVisit) -> Response:
    return _json(overview_of(visit.services.counters))


async def _system(visit: AdminVisit) -> Response:
    return _json(system_of(visit.services.settings, visit.services.keys, visit.services.counters))


def _no_key(key_id: str, mend: str) -> str:
    """What is to be a key's id. BadParameter where it is the key itself, which is not repeated."""
    if redact(key_id) != key_id:
        raise BadParameter(f"this is a key, not its id: {mend}")
    return key_id


def _made(visit: AdminVisit, made: Made) -> Response:
    return _json(made_key(made.record, made.key, visit.now()), status=201)


async def _body(request: Request, kind: type[Body]) -> Body:
    """The JSON body, or the kind's defaults for none. BadParameter, TooLarge."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > BODY_BYTES_MAX:
                raise TooLarge(f"The body has more than {BODY_BYTES_MAX} bytes")
    except ClientDisconnect:
        raise BadParameter("The body did not arrive") from None
    return read_json(bytes(data) or b"{}", kind)


def _text(query: QueryParams, name: str, most: int) -> str:
    text = query.get(name, "")
    if len(text) > most:
        raise BadParameter(f"{name}: at most {most} characters")
    return text


def _number(text: str, name: str, low: int, high: int) -> int:
    number = numerals.whole(text)
    if number is None or not low <= number <= high:
        raise BadParameter(f"{name}: must be a whole number from {low} to {high}")
    return number


def _json(facts: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(facts), status_code=status, media_type="application/json")
