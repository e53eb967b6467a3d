"""Console and admin API with nothing behind them but the door: no workers, no pictures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.console.routes import routes as console_routes
from gateway.edge.security_headers import SecurityHeaders
from gateway.error_responses import face_api_error
from gateway.keys.administration import Administration
from gateway.routes.admin import routes as admin_routes
from gateway.services import state_with
from shared.errors import FaceApiError
from shared.settings import Settings
from tests.unit.access.stores import ME, NOW, settings_in

PASSWORD = "correct horse battery"
OWN = {"sec-fetch-site": "same-origin"}


class Site:
    """A client, the door behind it, and keys made straight in the store."""

    def __init__(self, client: TestClient, door: Door) -> None:
        self.client, self.door = client, door

    def key(self, **draft: Any) -> str:
        import time

        from gateway.keys.records import Draft

        store, peppers = self.door.keys.store, self.door.keys.cache.peppers
        return store.create(Draft(**({"name": "n"} | draft)), peppers, ME, time.time()).key

    def sign_in(self) -> None:
        answer = self.client.post("/console/sign-in", data={"password": PASSWORD}, headers=OWN)
        assert answer.status_code == 303, answer.text


@contextlib.contextmanager
def opened(folder: Path, *, base_url: str = "http://testserver", **settings: Any) -> Iterator[Site]:
    """The site with an admin account whose password is PASSWORD."""
    effective = settings_in(folder, **settings)
    found: list[Door] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_access(effective, Path(effective.runtime_dir)) as door:
            found.append(door)
            yield state_with(services_with(effective, door))

    application = Starlette(
        routes=[*admin_routes(), *console_routes()],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={FaceApiError: face_api_error},
        lifespan=lifespan,
    )
    with TestClient(application, base_url=base_url, follow_redirects=False) as client:
        give_password(effective, found[0])
        yield Site(client, found[0])


def services_with(settings: Settings, door: Door) -> Any:
    """What console and admin API ask of the process's services."""
    return SimpleNamespace(
        settings=settings, door=door, keys=door.keys, counters=door.counters, addresses=door.addresses,
        administration=Administration(door.keys, door.counters.key_use), images=None,
    )  # fmt: skip


def give_password(settings: Settings, door: Door) -> None:
    from argon2 import PasswordHasher

    from gateway.people.accounts import Accounts

    accounts = Accounts(door.keys.store.database, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts.use_link(accounts.new_link(NOW), PASSWORD, ME, NOW)
    assert settings.console_enabled
