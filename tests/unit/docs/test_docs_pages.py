"""The documentation pages: complete, cacheable, vendored as published, and asking no other host for anything."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.docs.pages import ASSETS, POLICIES, docs_routes

PAGES = {"/": "home", "/try": "try", "/docs": "docs", "/redoc": "redoc"}
VENDORED = ("swagger-ui-5.35.0", "redoc-2.5.4")
SCRIPT = "/docs-assets/swagger-ui-5.35.0/swagger-ui-bundle.js"
#: Served by others; the pages may link there.
ELSEWHERE = {"/health", "/console"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=docs_routes(console=True)))


def listed() -> dict[str, str]:
    """File → sha256, from the list beside the files."""
    return dict(
        re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (ASSETS / "VENDORED.md").read_text(), re.MULTILINE)
    )


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def test_every_vendored_file_has_the_sum_in_the_list() -> None:
    files = {f"{folder}/{path.name}": path for folder in VENDORED for path in (ASSETS / folder).iterdir()}
    assert {name: hashlib.sha256(content(path)).hexdigest() for name, path in files.items()} == listed()


def test_each_vendored_package_brings_its_licence() -> None:
    assert {f"{folder}/LICENSE" for folder in VENDORED} <= set(listed())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_with_its_own_strict_policy(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy == POLICIES[PAGES[path]]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_no_inline_code_and_everything_it_names_is_served_here(client: TestClient, path: str) -> None:
    page = client.get(path).text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page)
    named = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert named
    for reference in named:
        address = urljoin(path, reference)
        assert address.startswith("/"), reference
        assert not reference.startswith("/"), f"{reference} would break behind a path prefix"
        assert address in ELSEWHERE or client.get(address).status_code == 200, reference


@pytest.mark.parametrize(
    "name",
    [
        "docs.js",
        "redoc.js",
        "home.js",
        "try.js",
        "try-controls.js",
        "try-shown.js",
        "try-code.js",
        "try.css",
        "pages.css",
        "mark.svg",
    ],
)
def test_our_own_files_name_no_other_host(name: str) -> None:
    text = (
        (ASSETS / "pages" / name)
        .read_text()
        .replace("http://127.0.0.1:8000", "")
        .replace("http://www.w3.org/2000/svg", "")
    )
    assert "://" not in text


def test_swagger_ui_asks_no_validator_and_keeps_no_key() -> None:
    script = (ASSETS / "pages/docs.js").read_text()
    assert "validatorUrl: null" in script
    assert "persistAuthorization: false" in script


def test_the_first_page_leads_to_the_console_only_where_there_is_one() -> None:
    with_console = TestClient(Starlette(routes=docs_routes(console=True))).get("/").text
    without = TestClient(Starlette(routes=docs_routes(console=False))).get("/").text
    assert 'href="console"' in with_console
    assert "console" not in without.lower()
    assert 'href="health"' in without


@pytest.mark.parametrize("path", [*PAGES, "/openapi.json", SCRIPT])
def test_packed_and_plain_are_the_same_and_an_etag_saves_both(client: TestClient, path: str) -> None:
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["etag"] == plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    again = client.get(path, headers={"If-None-Match": f'"other", {packed.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("header", "encoding"),
    [("gzip;q=0", None), ("br, gzip;q=0.5", "gzip"), ("*", "gzip"), ("gzip;q=0.0, identity", None), ("br", None)],
)
def test_gzip_is_sent_only_to_who_takes_it(client: TestClient, header: str, encoding: str | None) -> None:
    response = client.get("/", headers={"Accept-Encoding": header})
    assert response.headers.get("content-encoding") == encoding


def test_versioned_files_are_kept_for_ever_and_the_rest_is_asked_for_again(client: TestClient) -> None:
    assert "immutable" in client.get(SCRIPT).headers["cache-control"]
    for path in (*PAGES, "/openapi.json", "/docs-assets/pages/docs.js"):
        assert client.get(path).headers["cache-control"] == "no-cache", path


def test_head_answers_without_a_body(client: TestClient) -> None:
    response = client.head("/docs")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["VENDORED.md", "redoc-2.5.4/LICENSE", "pages/home.html", "../openapi.py", "pages/..%2f..%2fopenapi.py"]
)
def test_only_what_the_pages_load_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/docs-assets/{path}").status_code == 404
