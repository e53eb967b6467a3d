"""Signing in and out, and the one-time link that sets the first password."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.console.web import HOME, SIGN_IN, Visitor, give_cookie, go_to, safe_next
from gateway.keys.audit import write_entry
from gateway.people.accounts import ADMIN
from shared.access_rules import PASSWORD_LENGTH_MIN
from shared.errors import BadParameter, RateLimited, Unauthorized


class SignIn:
    """`_one_at_a_time`: a password costs 64 MiB and 50 ms to check, for this process as a whole."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)

    async def form(self, visitor: Visitor) -> Response:
        following = safe_next(visitor.request.query_params.get("next", HOME))
        if visitor.session is not None:
            return go_to(following)
        return await self._show(visitor, following)

    async def sign_in(self, visitor: Visitor) -> Response:
        following = safe_next(visitor.value("next"))
        accounts, network, actor, now = visitor.accounts, visitor.network, visitor.actor, visitor.now
        name, password = visitor.value("name") or ADMIN, visitor.value("password")
        try:
            async with visitor.services.door.counted_sign_in(network), self._one_at_a_time:
                account = await visitor.in_thread(lambda: accounts.sign_in(name, password, network, actor, now))
        except (Unauthorized, RateLimited) as error:
            return await self._show(visitor, following, str(error), error.status, error.retry_after_s)
        return await begin_session(visitor, account, following)

    async def welcome(self, visitor: Visitor) -> Response:
        token = visitor.request.query_params.get("token", "")[:100]
        accounts, now = visitor.accounts, visitor.now
        works = await visitor.in_thread(lambda: accounts.link_works(token, now))
        return visitor.show("welcome.html", 200 if works else 403, token=token, works=works, least=PASSWORD_LENGTH_MIN)

    async def set_password(self, visitor: Visitor) -> Response:
        token, password = visitor.value("token")[:100], visitor.value("password")
        accounts, actor, now = visitor.accounts, visitor.actor, visitor.now
        try:
            if password != visitor.value("again"):
                raise BadParameter("The two passwords differ")
            async with visitor.services.door.counted_sign_in(visitor.network), self._one_at_a_time:
                await visitor.in_thread(lambda: accounts.use_link(token, password, actor, now))
        except BadParameter as error:
            return visitor.show(
                "welcome.html", error.status, token=token, works=True, least=PASSWORD_LENGTH_MIN, words=str(error)
            )
        return await begin_session(visitor, ADMIN, HOME)

    async def sign_out(self, visitor: Visitor) -> Response:
        sessions, session, actor, now = visitor.sessions, visitor.session, visitor.actor, visitor.now
        database = visitor.database

        def end() -> None:
            assert session is not None
            sessions.end(session.account, session.id)
            with database.write() as connection:
                write_entry(connection, actor, "signed out", session.account, "", now)

        await visitor.in_thread(end)
        response = go_to(SIGN_IN)
        give_cookie(visitor, response, "")
        return response

    async def _show(
        self, visitor: Visitor, following: str, words: str = "", status: int = 200, retry_after_s: int | None = None
    ) -> Response:
        accounts = visitor.accounts
        account = await visitor.in_thread(accounts.find)
        response = visitor.show(
            "sign_in.html",
            status,
            following=following,
            words=words,
            no_password=account is None,
            plain=not visitor.secure and not _is_local(visitor),
            name=visitor.value("name") or ADMIN,
        )
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response


async def begin_session(visitor: Visitor, account: str, following: str) -> Response:
    """A new session for somebody who has just shown who they are."""
    sessions, address, now = visitor.sessions, visitor.address, visitor.now
    agent = visitor.request.headers.get("user-agent", "")
    token = await visitor.in_thread(lambda: sessions.open(account, address, agent, now))
    response = go_to(following)
    give_cookie(visitor, response, token)
    return response


def _is_local(visitor: Visitor) -> bool:
    """Whether the browser calls this very machine: nothing can listen in between."""
    try:
        host = urlsplit("//" + visitor.request.headers.get("host", "")).hostname
    except ValueError:  # such as half an IPv6 address in brackets
        return False
    return host in {"localhost", "127.0.0.1", "::1"}
