"""The pages that only show: overview, audit, system; and the account with its sessions."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from gateway.console.web import Visitor, go_to
from gateway.keys.audit import write_entry
from gateway.reporting.overview import overview_of
from gateway.reporting.system_facts import system_of
from shared.access_rules import PASSWORD_LENGTH_MIN
from shared.errors import BadParameter, RateLimited, Unauthorized

AUDIT_PER_PAGE = 50


async def show_overview(visitor: Visitor) -> Response:
    return visitor.show("overview.html", seen=overview_of(visitor.services.counters), health=_health(visitor))


async def live_overview(visitor: Visitor) -> Response:
    return visitor.show("overview_live.html", seen=overview_of(visitor.services.counters), health=_health(visitor))


def _health(visitor: Visitor) -> dict[str, bool]:
    return {"key_store": visitor.services.keys.cache.ready}


async def show_audit(visitor: Visitor) -> Response:
    query = visitor.request.query_params
    search, before = query.get("search", "")[:100], query.get("before", "")[:64]
    entries = await visitor.administration.audit(search=search, before=before, count=AUDIT_PER_PAGE + 1)
    older = None
    if len(entries) > AUDIT_PER_PAGE:
        entries = entries[:AUDIT_PER_PAGE]
        older = "/console/audit?" + urlencode({"search": search, "before": entries[-1].id})
    return visitor.show("audit.html", entries=entries, search=search, older=older, newest=not before)


async def show_system(visitor: Visitor) -> Response:
    services = visitor.services
    system = system_of(services.settings, services.keys, services.counters)
    changed = [row for row in system.settings if row.value != row.default]
    return visitor.show("system.html", system=system, changed=changed)


async def show_account(visitor: Visitor) -> Response:
    return await _account(visitor, 200, "")


async def change_password(visitor: Visitor) -> Response:
    session, accounts, network = visitor.session, visitor.accounts, visitor.network
    assert session is not None
    old, new, actor, now = visitor.value("old"), visitor.value("password"), visitor.actor, visitor.now
    try:
        if new != visitor.value("again"):
            raise BadParameter("The two new passwords differ")
        await visitor.in_thread(lambda: accounts.change_password(session.account, old, new, network, actor, now))
    except (BadParameter, Unauthorized, RateLimited) as error:
        words = "The present password is wrong" if isinstance(error, Unauthorized) else str(error)
        return await _account(visitor, error.status, words)
    return go_to("/console/sign-in?next=/console/account")


async def end_session(visitor: Visitor) -> Response:
    sessions, session, actor, now = visitor.sessions, visitor.session, visitor.actor, visitor.now
    assert session is not None
    wanted, database = visitor.value("session"), visitor.database

    def end() -> None:
        ended = sessions.end_others(session) if wanted == "others" else int(sessions.end(session.account, wanted))
        with database.write() as connection:
            write_entry(connection, actor, "sessions ended", session.account, f"{ended} of them", now)

    await visitor.in_thread(end)
    return go_to("/console/account")


async def _account(visitor: Visitor, status: int, words: str) -> Response:
    session, sessions, accounts, now = visitor.session, visitor.sessions, visitor.accounts, visitor.now
    assert session is not None
    found, account = await visitor.in_thread(
        lambda: (sessions.of(session.account, now), accounts.find(session.account))
    )
    return visitor.show(
        "account.html",
        status,
        sessions=found,
        mine=session,
        from_setting=account is not None and account.from_setting,
        least=PASSWORD_LENGTH_MIN,
        words=words,
        idle_minutes=sessions.idle_s / 60,
        life_hours=sessions.life_s / 3600,
    )
