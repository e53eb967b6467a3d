"""The documentation pages as a browser shows them, with nothing but this service to ask."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from gateway.docs.pages import docs_routes
from tests.serving import serving

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
    with serving(Starlette(routes=docs_routes(console=True))) as url:
        yield url


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
