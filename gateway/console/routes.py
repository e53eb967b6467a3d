"""The console's table of contents."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from gateway.console import keys_pages, pages, records_pages
from gateway.console.sign_in import SignIn
from gateway.console.web import HOME, Console, go_to
from shared.errors import NotFound

STATIC = Path(__file__).parent / "static"
KINDS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def routes() -> list[Route]:
    """To be mounted by the application as they are."""
    console, door = Console(), SignIn()
    page, open_page = console.page, console.open_page
    return [
        Route("/api-keys", _home),
        Route("/console", _home),
        Route("/console/", _home),
        Route("/console/static/{name}", _static),
        Route("/console/sign-in", open_page(door.form), methods=["GET"]),
        Route("/console/sign-in", open_page(door.sign_in), methods=["POST"]),
        Route("/console/welcome", open_page(door.welcome), methods=["GET"]),
        Route("/console/welcome", open_page(door.set_password), methods=["POST"]),
        Route("/console/sign-out", page(door.sign_out), methods=["POST"]),
        Route("/console/keys", page(keys_pages.show_keys), methods=["GET"]),
        Route("/console/keys", page(keys_pages.create_key), methods=["POST"]),
        Route("/console/keys/new", page(keys_pages.new_key), methods=["GET"]),
        Route("/console/keys/{key_id}", page(keys_pages.show_key), methods=["GET"]),
        Route("/console/keys/{key_id}/rotate", page(keys_pages.rotate_key), methods=["POST"]),
        Route("/console/keys/{key_id}/revoke", page(keys_pages.revoke_key), methods=["POST"]),
        Route("/console/overview", page(pages.show_overview), methods=["GET"]),
        Route("/console/overview/live", page(pages.live_overview, passive=True), methods=["GET"]),
        Route("/console/records", page(records_pages.show_records), methods=["GET"]),
        Route("/console/records/erase", page(records_pages.erase), methods=["POST"]),
        Route("/console/records/{job_id}", page(records_pages.show_record), methods=["GET"]),
        Route("/console/records/{job_id}/picture", page(records_pages.show_picture), methods=["GET"]),
        Route("/console/records/{job_id}/delete", page(records_pages.delete_record), methods=["POST"]),
        Route("/console/audit", page(pages.show_audit), methods=["GET"]),
        Route("/console/system", page(pages.show_system), methods=["GET"]),
        Route("/console/account", page(pages.show_account), methods=["GET"]),
        Route("/console/account/password", page(pages.change_password), methods=["POST"]),
        Route("/console/account/sessions", page(pages.end_session), methods=["POST"]),
    ]


async def _home(_request: Request) -> Response:
    return go_to(HOME)


async def _static(request: Request) -> Response:
    """One of the few files in the repository; their text changes with the version only."""
    name = str(request.path_params["name"])
    if name not in KINDS:
        raise NotFound("There is no such file")
    return FileResponse(STATIC / name, media_type=KINDS[name], headers={"cache-control": "no-cache"})
