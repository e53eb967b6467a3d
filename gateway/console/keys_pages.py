"""The pages about keys: list, make, show once, one key with rotation and revocation."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.console.web import Visitor, go_to
from gateway.keys.records import SCOPES, Draft, State, duration, parse_duration, parse_scopes
from gateway.keys.store import Made
from shared import numerals
from shared.errors import BadParameter

PER_PAGE = 50
PAGES_MAX = 20_000
EXPIRIES = (("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year"), ("", "never"), ("custom", "on a day…"))
GRACES = (("0s", "at once"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"))
STATES = ("active", "expired", "revoked")
SOON_S = 7 * 86_400.0


async def show_keys(visitor: Visitor) -> Response:
    query = visitor.request.query_params
    search, wanted = query.get("search", "")[:100], query.get("state", "")
    state = cast("State | None", wanted if wanted in STATES else None)
    number = _page_number(query.get("page", "1"))
    offset = (number - 1) * PER_PAGE
    rows, total = await visitor.administration.page(search=search, state=state, offset=offset, count=PER_PAGE)

    def link(to: int) -> str:
        return "/console/keys?" + urlencode({"search": search, "state": wanted, "page": to})

    return visitor.show(
        "keys.html",
        rows=rows,
        total=total,
        search=search,
        state=state or "",
        states=STATES,
        soon=SOON_S,
        former=link(number - 1) if number > 1 else None,
        further=link(number + 1) if offset + PER_PAGE < total else None,
        number=number,
    )


async def new_key(visitor: Visitor) -> Response:
    return _form(visitor, 200, "")


async def create_key(visitor: Visitor) -> Response:
    try:
        made = await visitor.administration.create(_draft(visitor), visitor.actor)
    except BadParameter as error:
        return _form(visitor, error.status, str(error))
    return _shown_once(visitor, made, "")


async def show_key(visitor: Visitor) -> Response:
    return await _key(visitor, 200, "")


async def rotate_key(visitor: Visitor) -> Response:
    key_id = _key_id(visitor)
    try:
        made = await visitor.administration.rotate(key_id, parse_duration(visitor.value("grace")), visitor.actor)
    except BadParameter as error:
        return await _key(visitor, error.status, str(error))
    return _shown_once(visitor, made, key_id)


async def revoke_key(visitor: Visitor) -> Response:
    record = await visitor.administration.revoke(_key_id(visitor), visitor.actor)
    return go_to(f"/console/keys/{record.id}")


async def _key(visitor: Visitor, status: int, words: str) -> Response:
    row, days = await visitor.administration.one(_key_id(visitor))
    return visitor.show("key.html", status, row=row, key=row.record, days=days, graces=GRACES, words=words)


def _key_id(visitor: Visitor) -> str:
    return str(visitor.request.path_params["key_id"])


def _form(visitor: Visitor, status: int, words: str) -> Response:
    given = {
        name: visitor.value(name) for name in ("name", "expires", "day", "detect_limit", "mask_limit", "records_ttl")
    }
    if not visitor.form:
        given["expires"] = "90d"
    chosen = visitor.form.get("scope", [] if visitor.form else ["detect", "mask"])
    limits = visitor.services.settings
    return visitor.show(
        "new_key.html",
        status,
        words=words,
        given=given,
        chosen=chosen,
        scopes=SCOPES,
        expiries=EXPIRIES,
        limits={"detect": limits.rate_limit_detect, "mask": limits.rate_limit_mask},
        window=limits.rate_limit_window,
        kept=duration(limits.records_ttl * 3600),
    )


def _draft(visitor: Visitor) -> Draft:
    return Draft(
        name=visitor.value("name"),
        scopes=parse_scopes(visitor.form.get("scope", [])),
        expires_in_s=_lifetime(visitor),
        detect_limit=_limit(visitor, "detect_limit"),
        mask_limit=_limit(visitor, "mask_limit"),
        records_ttl=_records_ttl(visitor),
    )


def _records_ttl(visitor: Visitor) -> float | None:
    text = visitor.value("records_ttl").strip()
    return parse_duration(text) if text else None


def _lifetime(visitor: Visitor) -> float | None:
    choice = visitor.value("expires")
    if choice == "custom":
        return _until_day(visitor.value("day"), visitor.now)
    return parse_duration(choice) if choice else None


def _until_day(day: str, now: float) -> float:
    """Seconds until the end of that day (UTC)."""
    from datetime import UTC, date, datetime, time, timedelta

    try:
        end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        raise BadParameter("expires: choose a day") from None
    return end.timestamp() - now


def _limit(visitor: Visitor, name: str) -> int | None:
    text = numerals.stripped(visitor.value(name))
    if not text:
        return None
    limit = numerals.whole(text)
    if limit is None:
        raise BadParameter(f"{name}: must be a whole number, or empty for the limit by address")
    return limit


def _page_number(text: str) -> int:
    return min(PAGES_MAX, max(1, numerals.whole(text) or 1))


def _shown_once(visitor: Visitor, made: Made, replaces: str) -> Response:
    endpoint = "mask" if "detect" not in made.record.scopes and "mask" in made.record.scopes else "detect"
    return visitor.show(
        "shown_once.html",
        201,
        key=made.key,
        record=made.record,
        replaces=replaces,
        base=visitor.base_url(),
        endpoint=endpoint,
        admin_only=made.record.scopes == ("admin",),
    )
