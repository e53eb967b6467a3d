"""The console's records where pictures are kept as they came, too: told apart, looked at, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import grave
from tests.browser.chromium import complaints, overflow
from tests.browser.conftest import NewPage
from tests.browser.console import make_key, signed_in, welcomed
from tests.networks import beacon_network, beacon_picture
from tests.service import SMALL, Service, running_service

PICTURE = cv2.imencode(".png", beacon_picture([(200.0, 200.0, 100.0, 0.9)]))[1].tobytes()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps them."""
    return tmp_path_factory.mktemp("records") / "pictures"


@pytest.fixture(scope="module")
def service(pictures: Path, browser: Browser) -> Iterator[Service]:
    model, data = beacon_network(pictures.parent / "beacon.onnx"), pictures.parent / "var"
    kept = {"records": "required", "storage_url": pictures.as_uri(), "storage_originals": "true"}
    with running_service(data, api_key_enabled="true", model=model, precision="fp32", **kept, **SMALL) as service:
        welcomed(browser, service, data)
        yield service


@pytest.fixture
def page(new_page: NewPage, service: Service) -> Page:
    """A page of somebody who has signed in, and whose key has had one picture detected and one masked."""
    page = signed_in(new_page(), service)
    key = make_key(page, service, "records")
    for task in ("detect", "mask"):
        address, headers = f"{service.url}/api/v1/{task}", {"X-API-Key": key}
        assert httpx2.post(address, headers=headers, files={"image": PICTURE}, timeout=60).status_code == 200
    return page


def test_originals_are_told_apart_looked_at_with_a_note_and_gone_when_deleted(
    page: Page, service: Service, pictures: Path
) -> None:
    told = complaints(page)
    page.goto(service.url + "/console/records")
    expect(page.locator("td[data-label=What]")).to_have_text(["mask", "detect"])
    expect(page.locator("td[data-label=Pictures]")).to_have_text(["masked original", "original"])
    assert grave(page) == []
    page.locator("tbody a").first.click()
    for summary, words in (("Look at it as it came…", "as it came"), ("Look at the masked one…", "masked")):
        page.click(f"text={summary}")
        expect(page.locator(f"img[alt*='{words}']")).not_to_have_js_property("naturalWidth", 0)
    shown = page.request.get(f"{page.url}/picture?kind=original")
    assert (shown.body(), shown.headers["content-type"]) == (PICTURE, "image/png")
    assert page.request.get(f"{page.url}/picture").body() != PICTURE
    assert grave(page) == []
    for width in (320, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) <= 0

    job = page.url.rpartition("/")[2]
    kept = len(list(pictures.iterdir()))
    page.click("text=Delete…")
    page.click("text=Yes, delete this job")
    expect(page.locator("td[data-label=What]")).to_have_text(["detect"])
    assert len(list(pictures.iterdir())) == kept - 2
    assert page.request.get(f"{service.url}/console/records/{job}/picture?kind=original").status == 404
    page.goto(f"{service.url}/console/audit?search=shown")
    notes = page.locator("td[data-label=Which]").filter(has_text=job)
    for kind in ("original", "masked"):
        expect(notes.filter(has_text=kind)).not_to_have_count(0)
    assert told == []
