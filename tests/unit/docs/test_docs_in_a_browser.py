"""The documentation pages as a browser shows them, with nothing but this service to ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.docs.pages import docs_routes

START_S_MAX = 20
BROWSER_S_MAX = 90
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=20000",
    "--dump-dom",
)

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium here")


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    app = Starlette(routes=docs_routes(console=True))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + START_S_MAX
        while not server.started and time.monotonic() < end:
            time.sleep(0.02)
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)


def shown(url: str, profile: Path) -> str:
    """The page's elements after its scripts have run."""
    command = ["chromium", *FLAGS, f"--user-data-dir={profile}", url]
    environment = os.environ | {"HOME": str(profile)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_S_MAX, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_swagger_ui_offers_a_file_picker_for_the_picture(origin: str, tmp_path: Path) -> None:
    page = shown(f"{origin}/docs#/Faces/mask", tmp_path)
    assert "/api/v1/detect" in page
    assert 'type="file"' in page
    assert "Execute" in page


def test_redoc_shows_every_endpoint_with_this_address_in_its_examples(origin: str, tmp_path: Path) -> None:
    page = shown(f"{origin}/redoc", tmp_path)
    for path in ("/api/v1/detect", "/api/v1/mask", "/health"):
        assert f"{origin}{path}" in page
    assert "127.0.0.1:8000" not in page


def test_the_first_page_names_this_address_in_its_example(origin: str, tmp_path: Path) -> None:
    page = shown(f"{origin}/", tmp_path)
    assert f"{origin}</span>/api/v1/mask" in page
