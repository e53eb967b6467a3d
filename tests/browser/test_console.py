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
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx2
import pytest

from tests.browser.chromium import Browser, Page
from tests.networks import beacon_network, beacon_picture
from tests.service import Service, running_service

PASSWORD = "correct horse battery"
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
    settings = {"model": model, "precision": "fp32", "gateway_processes": 2}
    with running_service(folder / "var", api_key_enabled="true", rate_limit_enabled="true", **settings) as service:
        link = (folder / "var" / "console-link.txt").read_text().strip()
        page = browser.page()
        page.go(service.url + link)
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click_through("button.main")
        assert page.text("h1") == "API keys"
        yield service
        assert service.process.poll() is None, service.output
    found = [path for path in (folder / "var").rglob("*") if path.is_file() and _holds_a_key(path)]
    assert found == [folder / "var" / "first-key.txt"]
    assert "xyl_" not in service.output


def _holds_a_key(path: Path) -> bool:

    return re.search(rb"xyl_[0-9a-f]{12}", path.read_bytes()) is not None


@pytest.fixture
def page(browser: Browser, service: Service) -> Page:
    """A page of somebody who has signed in."""
    return signed_in(browser.page(), service)


def signed_in(page: Page, service: Service) -> Page:
    page.go(service.url + "/api-keys")
    page.fill("[name=password]", PASSWORD)
    page.click_through("button.main")
    assert page.text("h1") == "API keys"
    return page


def make_key(page: Page, service: Service, name: str) -> str:
    """The new key; the page that shows it once stays open."""
    page.go(service.url + "/console/keys/new")
    page.fill("[name=name]", name)
    page.click_through("main button.main")
    return page.text("#key")


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
    page.go(f"{service.url}/console/keys?search={name}")
    return page.text("td[data-label=Today]")


def test_a_key_is_made_used_counted_rotated_and_revoked(page: Page, service: Service, folder: Path) -> None:
    key = make_key(page, service, "lifecycle")
    line = page.text("#curl")
    assert key in line
    assert key in page.text("#python")
    assert run_line(line, folder) == 200
    until(lambda: today_of(page, service, "lifecycle") == "1")

    page.click_through("tbody a")
    page.click("[name=grace][value='1h']")
    page.click_through("form[action$=rotate] button")
    successor_line = page.text("#curl")
    assert page.text("#key") != key
    assert [run_line(line, folder), run_line(successor_line, folder)] == [200, 200]

    page.click_through("p.actions .button.main")
    page.click(".confirm summary")
    page.click_through("form[action$=revoke] button")
    assert page.text(".head .badge") == "revoked"
    # In every gateway process, whichever answers. Promised within 5 s; the ceiling is for busy machines.
    until(lambda: all(run_line(successor_line, folder) == 403 for _ in range(8)))
    assert run_line(line, folder) == 200

    page.go(service.url + "/console/audit?search=lifecycle")
    told = page.evaluate("[...document.querySelectorAll('td[data-label=What]')].map(e => e.innerText)")
    assert told == ["key revoked", "key rotated", "key created"]
    assert key not in page.evaluate("document.documentElement.outerHTML")


def test_the_printed_python_lines_work(page: Page, service: Service, folder: Path) -> None:
    make_key(page, service, "python")
    program = page.text("#python").replace("import requests", "import httpx2 as requests")
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'face_count': 1" in done.stdout


def test_a_name_with_markup_is_shown_as_text(page: Page, service: Service) -> None:
    page.evaluate("window.alerted = 0")
    make_key(page, service, NASTY)
    for path in ("/console/keys?search=onerror", "/console/audit?search=onerror"):
        page.go(service.url + path)
        assert NASTY in page.text()
        assert not page.has("main img")
    page.go(service.url + "/console/keys?search=onerror")
    page.click_through("tbody a")
    assert page.text("h1") == NASTY
    page.go(service.url + "/console/keys?search=%22%3E%3Cimg%20src%3Dx%3E")
    assert page.evaluate("document.querySelector('#search').value") == '"><img src=x>'
    assert not page.has("main img")


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
    page.go(f"http://{host}:{other_site.server_port}/")
    page.until("location.pathname === '/console/keys' && document.querySelector('.alert') !== null")
    assert "not sent by a page of this console" in page.text()
    page.go(service.url + "/console/keys?search=forged")
    if not page.has("#found"):  # the other site's visit may have cost us the strict cookie on this page only
        signed_in(page, service)
        page.go(service.url + "/console/keys?search=forged")
    assert "No key is like that" in page.text()


def test_the_console_cannot_be_framed(page: Page, service: Service, other_site: HTTPServer) -> None:
    other_site.page = f'<iframe src="{service.url}/console/sign-in"></iframe>'
    page.go(f"http://127.0.0.1:{other_site.server_port}/")
    until(lambda: any("frame" in words for words in page.complaints()))


def test_without_scripts_everything_works_by_links_and_forms(browser: Browser, service: Service, folder: Path) -> None:
    page = signed_in(browser.page(scripts=False), service)
    key = make_key(page, service, "no scripts")
    assert not page.evaluate("document.querySelector('[data-copy]').checkVisibility()")
    assert run_line(page.text("#curl"), folder) == 200
    assert key.startswith("xyl_")
    page.click_through("p.actions .button.main")
    page.click(".confirm summary")
    page.click_through("form[action$=revoke] button")
    assert page.text(".head .badge") == "revoked"
    page.go(service.url + "/console/keys")
    page.fill("#search", "no scripts")
    page.click_through(".filter button")
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 1
    page.go(service.url + "/console/overview")
    assert "Requests" in page.text()
    page.click_through(".me button")
    assert page.text("h1") == "Sign in"


def test_the_keyboard_alone_is_enough(browser: Browser, service: Service) -> None:
    page = browser.page()
    page.go(service.url + "/console/sign-in")
    assert page.evaluate("document.activeElement.name") == "password"
    page.ask("Input.insertText", text=PASSWORD)
    page.press("Enter")
    page.until("document.querySelector('h1')?.innerText === 'API keys'")
    page.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    reached = []
    for _ in range(12):
        page.press("Tab")
        reached.append(page.evaluate("(document.activeElement.innerText || document.activeElement.name || '').trim()"))
    assert reached[1:8] == ["Keys", "Overview", "Audit", "System", "admin", "Sign out", "New key"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_search_finds_while_typing(page: Page, service: Service) -> None:
    make_key(page, service, "needle in the hay")
    page.go(service.url + "/console/keys")
    page.fill("#search", "needle")
    page.until("document.querySelectorAll('tbody tr').length === 1")
    assert "needle in the hay" in page.text("tbody")


def test_the_overview_moves_by_itself(page: Page, service: Service, folder: Path) -> None:
    make_key(page, service, "live")
    line = page.text("#curl")
    page.go(service.url + "/console/overview")
    before = int(page.text(".tiles dd"))
    loads = page.evaluate("performance.timeOrigin")
    assert run_line(line, folder) == 200
    page.until(f"parseInt(document.querySelector('.tiles dd').innerText) > {before}")
    assert page.evaluate("performance.timeOrigin") == loads
    assert "worker 0" in page.text()
    assert "beacon" in page.text()


def test_the_copy_button_copies(page: Page, service: Service) -> None:
    key = make_key(page, service, "copied")
    page.grant("clipboardReadWrite", "clipboardSanitizedWrite")
    page.click("[data-copy=key]")
    page.until("document.querySelector('[data-copy=key]').innerText === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == key


def test_a_session_that_is_ended_elsewhere_is_over(browser: Browser, page: Page, service: Service) -> None:
    other = signed_in(browser.page(), service)
    other.go(service.url + "/console/account")
    other.click_through("button.danger")
    page.go(service.url + "/console/keys")
    assert page.text("h1") == "Sign in"
    other.go(service.url + "/console/keys")
    assert other.text("h1") == "API keys"


def test_signing_in_leads_back_and_the_cookie_is_out_of_reach(browser: Browser, service: Service) -> None:
    page = browser.page()
    page.go(service.url + "/console/audit")
    assert page.text("h1") == "Sign in"
    page.fill("[name=password]", "wrong")
    page.click_through("button.main")
    assert "Wrong name or password" in page.text(".alert")
    time.sleep(1.1)  # the first wrong try costs a second
    page.fill("[name=password]", PASSWORD)
    page.click_through("button.main")
    assert page.text("h1") == "Audit"
    assert page.evaluate("document.cookie") == ""
    cookie = next(c for c in page.ask("Network.getCookies")["cookies"] if c["name"] == "face_api_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")


def test_every_page_fits_every_width_in_light_and_dark_and_asks_no_other_host(page: Page, service: Service) -> None:
    make_key(page, service, "n" * 100)
    page.go(service.url + "/console/keys")
    one = page.evaluate("document.querySelector('tbody a').getAttribute('href')")
    paths = ["/console/keys", "/console/keys/new", one, "/console/keys?search=zzz", "/console/overview"]
    paths += ["/console/audit", "/console/system", "/console/account"]
    grounds = set()
    for dark in (False, True):
        for width in (320, 390, 768, 1440):
            page.look(width=width, height=800, dark=dark)
            for path in paths:
                page.go(service.url + path)
                wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wider <= 0, f"{path} is {wider} px wider than {width}"
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    assert page.complaints() == []
    hosts = {urlsplit(url).netloc for url in page.requested()} - {""}  # about:blank and data: name no host
    assert hosts == {urlsplit(service.url).netloc}


def until(true: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
