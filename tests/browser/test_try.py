"""/try in a real browser: the sample is looked at and masked, faces are left visible, and the request goes home as code."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.docs.pages import ASSETS, docs_routes
from tests.browser.chromium import Browser, Page

START_S_MAX = 30
SAMPLE = (ASSETS / "pages/sample.jpg").read_bytes()
POINT = {"x": 300.0, "y": 200.0}
FACES = [
    {
        "index": index,
        "bbox": {"x1": 100.0 + 200 * index, "y1": 200.0, "x2": 200.0 + 200 * index, "y2": 330.0},
        "confidence": 0.9,
        "landmarks": {"left_eye": POINT, "right_eye": POINT, "nose": POINT, "left_mouth": POINT, "right_mouth": POINT},
        "size": {"width": 100.0, "height": 130.0},
    }
    for index in range(2)
]
TIMING = {"Server-Timing": "read;dur=1.00, inference;dur=9.00, other;dur=0.00, total;dur=10.00"}


@dataclass
class Stub:
    """A service that finds two faces, and what it was asked. refusal: the words it answers instead."""

    url: str = ""
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    refusal: str = ""

    async def answer(self, request: Request) -> Response:
        async with request.form() as form:
            assert await form["image"].read() == SAMPLE
        parameters = dict(request.query_params)
        self.asked.append((request.url.path[8:], parameters, request.headers.get("x-api-key", "")))
        if self.refusal:
            return JSONResponse({"detail": self.refusal}, 422)
        if "detect" in request.url.path:
            return JSONResponse({"detections": FACES}, headers=TIMING)
        masked = len(FACES) - len(json.loads(parameters.get("keep", "[]")))
        return Response(SAMPLE, media_type="image/jpeg", headers={"X-Face-Count": str(masked), **TIMING})


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    stub = Stub()
    asked = [Route(f"/api/v1/{name}", stub.answer, methods=["POST"]) for name in ("detect", "mask")]
    app = Starlette(routes=[*docs_routes(console=True), *asked])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + START_S_MAX
        while not server.started and time.monotonic() < end:
            time.sleep(0.02)
        stub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield stub
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)


def with_sample(browser: Browser, stub: Stub, **look: Any) -> Page:
    """The page opened by the first start's link, its sample taken."""
    stub.asked.clear()
    stub.refusal = ""
    page = browser.page(**look)
    page.go(f"{stub.url}/try#key=xyl_first")
    page.until("document.body.dataset.ready")
    page.click("#sample")
    page.until("document.querySelector('#status').textContent.includes('2 faces are masked')")
    return page


def test_the_sample_is_looked_at_and_masked_with_the_key_of_the_link_which_leaves_the_address(
    browser: Browser, stub: Stub, tmp_path: Path
) -> None:
    page = with_sample(browser, stub)
    assert page.evaluate("location.href") == f"{stub.url}/try"
    assert [(name, key) for name, _, key in stub.asked] == [("detect", "xyl_first"), ("mask", "xyl_first")]
    looks = [{name: asked[name] for name in ("turns", "second_side")} for _, asked, _ in stub.asked]
    assert looks[0] == looks[1], "both must number the same faces"
    assert page.evaluate("document.querySelectorAll('#boxes .face').length") == 2
    assert page.evaluate("document.querySelector('#after').naturalWidth") > 0
    assert "inference 9.0 ms" in page.text("#times")
    page.picture(tmp_path / "try.png")
    assert browser.events(page._session, "Log.entryAdded") == []


def test_a_face_that_is_pressed_by_key_is_left_visible_and_the_code_says_so(browser: Browser, stub: Stub) -> None:
    page = with_sample(browser, stub)
    page.evaluate("document.querySelector('[data-face=\"1\"]').focus()")
    page.press("Enter")
    page.until("document.querySelector('#status').textContent.includes('One is left visible')")
    assert stub.asked[-1][:2] == ("mask", {"keep": "[1]", "turns": "unsure", "second_side": "160"})
    assert page.evaluate("document.activeElement.dataset.face") == "1"
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.click("#tab-python")
    page.until(f"document.querySelector('#code').innerText.includes('{stub.url}/api/v1/mask?keep=%5B1%5D')")
    assert "xyl_first" not in page.text("body")
    page.grant("clipboardReadWrite", "clipboardSanitizedWrite")
    page.ask("Emulation.setFocusEmulationEnabled", enabled=True)  # of several open pages this is the one in front
    page.click("#copy")
    page.until("document.querySelector('#copied').textContent.includes('with your key')")
    assert "xyl_first" in page.evaluate("navigator.clipboard.readText()")


def test_every_simple_parameter_is_a_control_and_changing_one_asks_again(browser: Browser, stub: Stub) -> None:
    page = with_sample(browser, stub)
    page.evaluate(
        "(() => { const s = document.getElementById('p-method'); s.value = 'solid'; s.dispatchEvent(new Event('change')); })()"
    )
    page.until("document.querySelector('#code').innerText.includes('method=solid')")
    deadline = time.monotonic() + START_S_MAX
    while stub.asked[-1][1].get("method") != "solid" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stub.asked[-1][1]["method"] == "solid"
    for name in ("strength", "padding", "confidence", "format", "color", "turns", "tiles", "thorough", "max_faces"):
        assert page.has(f"#p-{name}"), name


def test_a_refusal_is_read_as_the_services_sentence(browser: Browser, stub: Stub) -> None:
    page = with_sample(browser, stub)
    stub.refusal = "strength=0 is not allowed; strength is 1 to 999"
    page.evaluate("document.getElementById('p-method').dispatchEvent(new Event('change'))")
    page.until("!document.querySelector('#error').hidden")
    assert page.text("#error") == stub.refusal


def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Browser, stub: Stub) -> None:
    page = with_sample(browser, stub, width=390, height=844, dark=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
