"""/try in a real browser: the sample is looked at and masked, faces are left visible, and the request goes home as code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.docs.pages import ASSETS, docs_routes
from tests.browser.axe import grave
from tests.browser.chromium import complaints, overflow
from tests.browser.conftest import NewPage
from tests.serving import serving

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
    with serving(app) as stub.url:
        yield stub


def with_sample(page: Page, stub: Stub) -> Page:
    """The page opened by the first start's link, its sample taken."""
    stub.asked.clear()
    stub.refusal = ""
    page.goto(f"{stub.url}/try#key=xyl_first")
    page.locator("body[data-ready]").wait_for()
    page.click("#sample")
    expect(page.locator("#status")).to_contain_text("2 faces are masked")
    return page


def test_the_sample_is_looked_at_and_masked_with_the_key_of_the_link_which_leaves_the_address(
    new_page: NewPage, stub: Stub
) -> None:
    page = new_page()
    told = complaints(page)
    with_sample(page, stub)
    assert page.url == f"{stub.url}/try"
    assert [(name, key) for name, _, key in stub.asked] == [("detect", "xyl_first"), ("mask", "xyl_first")]
    looks = [{name: asked[name] for name in ("turns", "second_side")} for _, asked, _ in stub.asked]
    assert looks[0] == looks[1], "both must number the same faces"
    expect(page.locator("#boxes .face")).to_have_count(2)
    assert page.locator("#after").evaluate("image => image.naturalWidth") > 0
    expect(page.locator("#times")).to_contain_text("inference 9.0 ms")
    assert told == []


def test_a_face_that_is_pressed_by_key_is_left_visible_and_the_code_says_so(new_page: NewPage, stub: Stub) -> None:
    page = with_sample(new_page(permissions=["clipboard-read", "clipboard-write"]), stub)
    face = page.locator("[data-face='1']")
    face.press("Enter")
    expect(page.locator("#status")).to_contain_text("One is left visible")
    assert stub.asked[-1][:2] == ("mask", {"keep": "[1]", "turns": "unsure", "second_side": "160"})
    expect(face).to_be_focused()
    expect(face).to_have_attribute("aria-pressed", "true")
    page.click("#tab-python")
    expect(page.locator("#code")).to_contain_text(f"{stub.url}/api/v1/mask?keep=%5B1%5D")
    assert "xyl_first" not in page.inner_text("body")
    page.click("#copy")
    expect(page.locator("#copied")).to_contain_text("with your key")
    assert "xyl_first" in page.evaluate("navigator.clipboard.readText()")


def test_every_simple_parameter_is_a_control_and_changing_one_asks_again(new_page: NewPage, stub: Stub) -> None:
    page = with_sample(new_page(), stub)
    with page.expect_response(lambda answer: "method=solid" in answer.url and "/mask" in answer.url):
        page.select_option("#p-method", "solid")
    expect(page.locator("#code")).to_contain_text("method=solid")
    assert stub.asked[-1][1]["method"] == "solid"
    for name in ("strength", "padding", "confidence", "format", "color", "turns", "tiles", "thorough", "max_faces"):
        expect(page.locator(f"#p-{name}")).to_have_count(1)


def test_a_refusal_is_read_as_the_services_sentence(new_page: NewPage, stub: Stub) -> None:
    page = with_sample(new_page(), stub)
    stub.refusal = "strength=0 is not allowed; strength is 1 to 999"
    page.select_option("#p-method", "solid")
    expect(page.locator("#error")).to_have_text(stub.refusal)


def test_a_phone_shows_it_all_without_scrolling_sideways(new_page: NewPage, stub: Stub) -> None:
    phone = {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True}
    page = with_sample(new_page(color_scheme="dark", **phone), stub)
    assert overflow(page) <= 0


@pytest.mark.parametrize(("path", "shown"), [("/", "h1"), ("/docs", ".opblock")])
def test_nothing_grave_is_found_on_a_page_of_the_documentation(
    new_page: NewPage, stub: Stub, path: str, shown: str
) -> None:
    page = new_page()
    page.goto(stub.url + path)
    page.locator(shown).first.wait_for()
    assert grave(page) == []


def test_nothing_grave_is_found_where_a_picture_is_tried_before_and_after_it_is_chosen(
    new_page: NewPage, stub: Stub
) -> None:
    page = new_page()
    page.goto(f"{stub.url}/try")
    page.locator("body[data-ready]").wait_for()
    assert grave(page) == []
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")
    with_sample(page, stub)
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")
    assert grave(page) == []
