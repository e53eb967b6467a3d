"""What every console page goes through: own-origin check, session, form, errors as pages.

It alone sets and reads the console's cookie.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

from jinja2 import Environment
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from gateway.console.render import environment, page
from gateway.console.same_origin import is_own
from gateway.keys.administration import Administration
from gateway.keys.audit import Actor
from gateway.people.accounts import Accounts
from gateway.people.sessions import Session, Sessions
from gateway.services import Services, services_of
from gateway.stores.database import Database
from gateway.stores.key_format import redact
from shared.errors import BadParameter, FaceApiError, Forbidden, StoreDown, TooLarge

HOME = "/console/keys"
SIGN_IN = "/console/sign-in"
FORM_BYTES_MAX = 16_384
FIELDS_MAX = 50
_SAFE_NEXT = re.compile(r"/console/[A-Za-z0-9/_.-]*")
_SAFE_HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

Result = TypeVar("Result")
Form = dict[str, list[str]]


@dataclass
class Visitor:
    """One request to the console. `session` is None only on pages that need none."""

    request: Request
    services: Services
    templates: Environment
    now: float
    session: Session | None = None
    form: Form = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.services.addresses.of(self.request.scope)[0]

    @property
    def network(self) -> str:
        return self.services.addresses.of(self.request.scope)[1]

    @property
    def secure(self) -> bool:
        """Whether the browser came over HTTPS, as far as can be known."""
        return self.services.addresses.is_https(self.request.scope)

    @property
    def actor(self) -> Actor:
        return Actor(f"console:{self.session.account}" if self.session else "console", self.address)

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.database)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.database, self.services.settings)

    @property
    def administration(self) -> Administration:
        return self.services.administration

    @property
    def database(self) -> Database:
        return self.services.keys.store.database

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """What blocks, beside the event loop."""
        return await self.services.keys.threads.call(work)

    def value(self, name: str) -> str:
        """The form's first field of that name, or nothing."""
        return self.form.get(name, [""])[0]

    def show(self, template: str, code: int = 200, /, **facts: Any) -> Response:
        common = {
            "visitor": self,
            "path": self.request.url.path,
            "now": self.now,
            "account": self.session.account if self.session else None,
        }
        return page(self.templates, template, code, common | facts)

    def base_url(self) -> str:
        """How the visitor reached us, for lines to copy; a Host that could carry anything else is not repeated."""
        host = self.request.headers.get("host", "")
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{host}" if _SAFE_HOST.fullmatch(host) else "http://localhost:8000"


PageAnswer = Callable[[Visitor], Awaitable[Response]]


class Console:
    """Turns answers into endpoints; holds the templates."""

    def __init__(self) -> None:
        self._templates = environment()

    def page(self, answer: PageAnswer, *, passive: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for people who are signed in; `passive` ones do not keep the session alive."""

        async def endpoint(request: Request) -> Response:
            return await self._visit(request, answer, open_to_all=False, passive=passive)

        return endpoint

    def open_page(self, answer: PageAnswer) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for everybody."""

        async def endpoint(request: Request) -> Response:
            return await self._visit(request, answer, open_to_all=True, passive=False)

        return endpoint

    async def _visit(self, request: Request, answer: PageAnswer, *, open_to_all: bool, passive: bool) -> Response:
        visitor = Visitor(request, services_of(request.scope), self._templates, time.time())
        try:
            if not is_own(request.method, request.scope["headers"]):
                raise Forbidden("This form was not sent by a page of this console")
            passive = passive or request.query_params.get("live") == "1"
            visitor.session = await _session(visitor, active=not passive)
            if visitor.session is None and not open_to_all:
                return _to_sign_in(request)
            if request.method == "POST":
                visitor.form = await read_form(request)
            return await answer(visitor)
        except FaceApiError as error:
            return refused(visitor, error)


def refused(visitor: Visitor, error: FaceApiError) -> Response:
    """An error as a page."""
    if isinstance(error, StoreDown):
        logging.getLogger("face_api.console").error("%s (%s)", error, redact(str(error.__cause__ or "")))
    response = visitor.show("error.html", error.status, words=str(error), status=error.status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


async def read_form(request: Request) -> Form:
    """The fields of a url-encoded form. TooLarge, BadParameter."""
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > FORM_BYTES_MAX:
                raise TooLarge(f"The form has more than {FORM_BYTES_MAX} bytes")
        pairs = parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except (ValueError, ClientDisconnect):
        raise BadParameter("The form cannot be read") from None
    form: Form = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


async def _session(visitor: Visitor, *, active: bool) -> Session | None:
    token = visitor.request.cookies.get(cookie_name(secure=visitor.secure), "")
    if not token:
        return None
    sessions, now = visitor.sessions, visitor.now
    return await visitor.in_thread(lambda: sessions.find(token, now, active=active))


def cookie_name(*, secure: bool) -> str:
    """The __Host- prefix makes browsers refuse a cookie that another host or plain HTTP set."""
    return "__Host-face_api_session" if secure else "face_api_session"


def give_cookie(visitor: Visitor, response: Response, token: str) -> None:
    """The session's cookie; an empty token takes it away."""
    response.set_cookie(
        cookie_name(secure=visitor.secure),
        token,
        max_age=int(visitor.sessions.life_s) if token else 0,
        path="/",
        secure=visitor.secure,
        httponly=True,
        samesite="strict",
    )


def go_to(path: str) -> Response:
    """After a form: the browser asks for the next page, and reloading that sends nothing twice."""
    return RedirectResponse(path, status_code=303)


def safe_next(path: str) -> str:
    """A page of the console to go on to; HOME for anything else."""
    return path if _SAFE_NEXT.fullmatch(path) and ".." not in path else HOME


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
    following = "" if request.method != "GET" else "?next=" + quote(request.url.path)
    return go_to(SIGN_IN + following)
