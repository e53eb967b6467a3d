"""The console as a person meets it: a real browser, the whole service behind it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx2
import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.axe import grave
from tests.browser.chromium import complaints, overflow, requested
from tests.browser.conftest import NewPage
from tests.browser.console import PASSWORD, make_key, sign_in, signed_in, welcomed
from tests.networks import beacon_network, beacon_picture
from tests.service import SMALL, Service, running_service
from tests.waiting import wait_until

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where photo.jpg lies, as the printed lines have it, and the service keeps its data."""
    folder = tmp_path_factory.mktemp("console")
    picture = beacon_picture([(200.0, 200.0, 100.0, 0.9)])
    (folder / "photo.jpg").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return folder


@pytest.fixture(scope="module")
def service(folder: Path, browser: Browser) -> Iterator[Service]:
    model = beacon_network(folder / "beacon.onnx")
    settings = {"model": model, "precision": "fp32", "gateway_processes": 2, "records": "required", **SMALL}
    settings["storage_url"] = (folder / "pictures").as_uri()
    with running_service(folder / "var", api_key_enabled="true", rate_limit_enabled="true", **settings) as service:
        welcomed(browser, service, folder / "var")
        yield service
        assert service.process.poll() is None, service.output
    found = [path for path in (folder / "var").rglob("*") if path.is_file() and _holds_a_key(path)]
    assert found == [folder / "var" / "first-key.txt"]
    assert "xyl_" not in service.output


def _holds_a_key(path: Path) -> bool:

    return re.search(rb"xyl_[0-9a-f]{12}", path.read_bytes()) is not None


@pytest.fixture(scope="module")
def session() -> StorageState:
    """The cookies of somebody who has signed in; signing in is slow by intention, so one does for all."""
    return {}


@pytest.fixture
def page(new_page: NewPage, service: Service, session: StorageState) -> Page:
    """A page of somebody who has signed in."""
    page = new_page(storage_state=session)
    page.goto(service.url + "/api-keys")
    if page.locator("[name=password]").count():  # the first, or the one after a test that ended all sessions
        sign_in(page)
        session.update(page.context.storage_state())
    return page


def run_line(line: str, folder: Path) -> int:
    """Runs a printed curl line as it stands; the status of its answer."""
    words = shlex.split(line)
    assert words[0] == "curl"
    if shutil.which("curl"):
        command = [*words, "-s", "-o", os.devnull, "-w", "%{http_code}"]
        return int(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout)
    name, _, value = words[words.index("-H") + 1].partition(": ")
    photo = (folder / "photo.jpg").read_bytes()
    return httpx2.post(words[-1], headers={name: value}, files={"image": photo}, timeout=60).status_code


def today_of(page: Page, service: Service, name: str) -> str:
    page.goto(f"{service.url}/console/keys?search={name}")
    return page.inner_text("td[data-label=Today]")


def test_a_key_is_made_used_counted_rotated_and_revoked(page: Page, service: Service, folder: Path) -> None:
    key = make_key(page, service, "lifecycle")
    line = page.inner_text("#curl")
    assert key in line
    assert key in page.inner_text("#python")
    assert run_line(line, folder) == 200
    wait_until(lambda: today_of(page, service, "lifecycle") == "1")

    page.click("tbody a")
    page.click("[name=grace][value='1h']")
    page.click("form[action$=rotate] button")
    successor_line = page.inner_text("#curl")
    assert page.inner_text("#key") != key
    assert [run_line(line, folder), run_line(successor_line, folder)] == [200, 200]

    page.click("p.actions .button.main")
    page.click(".confirm summary")
    page.click("form[action$=revoke] button")
    expect(page.locator(".head .badge")).to_have_text("revoked")
    # In every gateway process, whichever answers. Promised within 5 s; the ceiling is for busy machines.
    wait_until(lambda: all(run_line(successor_line, folder) == 403 for _ in range(8)))
    assert run_line(line, folder) == 200

    page.goto(service.url + "/console/audit?search=lifecycle")
    expect(page.locator("td[data-label=What]")).to_have_text(["key revoked", "key rotated", "key created"])
    assert key not in page.content()


def test_a_masked_picture_is_looked_at_and_all_records_of_its_key_are_erased(
    page: Page, service: Service, folder: Path
) -> None:
    told, key = complaints(page), make_key(page, service, "records")
    for _ in range(2):
        files = {"image": (folder / "photo.jpg").read_bytes()}
        answer = httpx2.post(f"{service.url}/api/v1/mask", headers={"X-API-Key": key}, files=files, timeout=60)
    page.click("text=Records")
    page.locator("tbody a").first.click()
    assert answer.headers["X-Job-Id"] in page.url
    page.click("text=Look at the masked one…")
    picture = page.locator("img.picture")
    expect(picture).to_be_visible()
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    assert grave(page) == []
    page.click("dd a[href*=key_]")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("tbody a").first.click()
    page.click("text=Delete…")
    page.click("text=Yes, delete this job")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.click("text=Erase…")
    expect(page.locator("h1")).to_contain_text("Erase records of key_")
    assert grave(page) == []
    page.click("text=Yes, erase them")
    expect(page.locator("[role=status]")).to_contain_text("Erased: 1 job and 1 picture")
    page.goto(service.url + "/console/audit")
    expect(page.locator("td[data-label=What]").first).to_have_text("records erased")
    assert "picture shown" in page.content()
    assert told == []


def test_the_printed_python_lines_work(page: Page, service: Service, folder: Path) -> None:
    make_key(page, service, "python")
    program = page.inner_text("#python").replace("import requests", "import httpx2 as requests")
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'face_count': 1" in done.stdout


def test_a_name_with_markup_is_shown_as_text(page: Page, service: Service) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    make_key(page, service, NASTY)
    for path in ("/console/keys?search=onerror", "/console/audit?search=onerror"):
        page.goto(service.url + path)
        assert NASTY in page.inner_text("body")
        expect(page.locator("main img")).to_have_count(0)
    page.goto(service.url + "/console/keys?search=onerror")
    page.click("tbody a")
    expect(page.locator("h1")).to_have_text(NASTY)
    page.goto(service.url + "/console/keys?search=%22%3E%3Cimg%20src%3Dx%3E")
    expect(page.locator("#search")).to_have_value('"><img src=x>')
    expect(page.locator("main img")).to_have_count(0)
    assert alerts == []


@pytest.fixture
def other_site() -> Iterator[HTTPServer]:
    """Somebody else's web server; `page` is what it shows."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.server.page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_form_forged_by_another_site_is_refused(
    page: Page, service: Service, other_site: HTTPServer, host: str
) -> None:
    other_site.page = (
        f'<form method="post" action="{service.url}/console/keys"><input name="name" value="forged">'
        '<input name="scope" value="admin"><input name="expires" value=""></form>'
        "<script>document.forms[0].submit()</script>"
    )
    page.goto(f"http://{host}:{other_site.server_port}/")
    expect(page.locator(".alert")).to_contain_text("not sent by a page of this console")
    assert page.url == service.url + "/console/keys"
    page.goto(service.url + "/console/keys?search=forged")
    if not page.locator(
        "#found"
    ).count():  # the other site's visit may have cost us the strict cookie on this page only
        signed_in(page, service)
        page.goto(service.url + "/console/keys?search=forged")
    assert "No key is like that" in page.inner_text("body")


def test_the_console_cannot_be_framed(page: Page, service: Service, other_site: HTTPServer) -> None:
    told = complaints(page)
    other_site.page = f'<iframe src="{service.url}/console/sign-in"></iframe>'
    page.goto(f"http://127.0.0.1:{other_site.server_port}/")
    assert any("frame" in words for words in told), told


def test_without_scripts_everything_works_by_links_and_forms(new_page: NewPage, service: Service, folder: Path) -> None:
    page = signed_in(new_page(java_script_enabled=False), service)
    key = make_key(page, service, "no scripts")
    expect(page.locator("[data-copy]:visible")).to_have_count(0)
    assert run_line(page.inner_text("#curl"), folder) == 200
    assert key.startswith("xyl_")
    page.click("p.actions .button.main")
    page.click(".confirm summary")
    page.click("form[action$=revoke] button")
    expect(page.locator(".head .badge")).to_have_text("revoked")
    page.goto(service.url + "/console/keys")
    page.fill("#search", "no scripts")
    page.click(".filter button")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(service.url + "/console/overview")
    assert "Requests" in page.inner_text("body")
    page.click(".me button")
    expect(page.locator("h1")).to_have_text("Sign in")


def test_the_keyboard_alone_is_enough(new_page: NewPage, service: Service) -> None:
    page = new_page()
    page.goto(service.url + "/console/sign-in")
    expect(page.locator("[name=password]")).to_be_focused()
    page.keyboard.insert_text(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("API keys")
    page.keyboard.press("Tab")
    skip = page.get_by_text("Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    focused = page.locator(":focus")
    page.keyboard.press("Tab")
    for words in ("Keys", "Overview", "Records", "Audit", "System", "admin", "Sign out", "New key"):
        page.keyboard.press("Tab")
        expect(focused).to_have_text(words)
        expect(focused).to_have_css("outline-style", "solid")


def test_the_search_finds_while_typing(page: Page, service: Service) -> None:
    make_key(page, service, "needle in the hay")
    page.goto(service.url + "/console/keys")
    page.fill("#search", "needle")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "needle in the hay" in page.inner_text("tbody")


def test_the_overview_moves_by_itself(page: Page, service: Service, folder: Path) -> None:
    make_key(page, service, "live")
    line = page.inner_text("#curl")
    page.goto(service.url + "/console/overview")
    requests = page.locator(".tiles dd").first
    before = int(requests.inner_text())
    loads = page.evaluate("performance.timeOrigin")
    assert run_line(line, folder) == 200
    expect(requests).not_to_have_text(str(before))
    assert int(requests.inner_text()) > before
    assert page.evaluate("performance.timeOrigin") == loads
    assert "worker 0" in page.inner_text("body")
    assert "beacon" in page.inner_text("body")


def test_the_copy_button_copies(page: Page, service: Service) -> None:
    key = make_key(page, service, "copied")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("[data-copy=key]")
    expect(page.locator("[data-copy=key]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key


def test_a_session_that_is_ended_elsewhere_is_over(new_page: NewPage, page: Page, service: Service) -> None:
    other = signed_in(new_page(), service)
    other.goto(service.url + "/console/account")
    other.click("button.danger")
    expect(other.locator("button.danger")).to_have_count(0)
    page.goto(service.url + "/console/keys")
    assert page.inner_text("h1") == "Sign in"
    other.goto(service.url + "/console/keys")
    assert other.inner_text("h1") == "API keys"


def test_signing_in_leads_back_and_the_cookie_is_out_of_reach(new_page: NewPage, service: Service) -> None:
    page = new_page()
    page.goto(service.url + "/console/audit")
    assert page.inner_text("h1") == "Sign in"
    page.fill("[name=password]", "wrong")
    page.click("button.main")
    expect(page.locator(".alert.bad")).to_contain_text("Wrong name or password")
    time.sleep(1.1)  # the first wrong try costs a second
    page.fill("[name=password]", PASSWORD)
    page.click("button.main")
    expect(page.locator("h1")).to_have_text("Audit")
    assert page.evaluate("document.cookie") == ""
    cookie = next(each for each in page.context.cookies() if each["name"] == "face_api_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")


@pytest.fixture
def paths(page: Page, service: Service) -> list[str]:
    """Every page of the console, that of a key with the longest name among them."""
    make_key(page, service, "n" * 100)
    httpx2.post(
        f"{service.url}/api/v1/detect", headers={"X-API-Key": page.inner_text("#key")},
        files={"image": cv2.imencode(".png", beacon_picture([]))[1].tobytes()}, timeout=60,
    )  # fmt: skip
    page.goto(service.url + "/console/keys")
    one = page.locator("tbody a").first.get_attribute("href")
    page.goto(service.url + "/console/records")
    job = page.locator("tbody a").first.get_attribute("href")
    places = ["keys", "keys/new", "keys?search=zzz", "overview", "records", "audit", "system", "account"]
    return [str(one), str(job), *[f"/console/{place}" for place in places]]


def test_every_page_fits_every_width_in_light_and_dark_and_asks_no_other_host(
    page: Page, service: Service, paths: list[str]
) -> None:
    told, asked, grounds = complaints(page), requested(page), set()
    for path in paths:
        page.goto(service.url + path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in (320, 390, 768, 1440):
                page.set_viewport_size({"width": width, "height": 800})
                assert overflow(page) <= 0, f"{path} at {width}, {scheme}"
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    assert told == []
    hosts = {urlsplit(url).netloc for url in asked} - {""}  # data: names no host
    assert hosts == {urlsplit(service.url).netloc}


def test_nothing_grave_is_found_on_any_page_by_those_who_see_or_move_otherwise(
    page: Page, service: Service, paths: list[str]
) -> None:
    for path in [*paths, "/console/sign-in"]:
        page.goto(service.url + path)
        assert grave(page) == [], path
