"""What a person does first in the console: is welcomed, signs in, makes a key."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.service import Service

PASSWORD = "correct horse battery"


def welcomed(browser: Browser, service: Service, data_dir: Path) -> None:
    """The first visit of a fresh service's console, which sets the password."""
    page = browser.new_page()
    page.goto(service.url + (data_dir / "console-link.txt").read_text().strip())
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("button.main")
    expect(page.locator("h1")).to_have_text("API keys")
    page.context.close()


def sign_in(page: Page) -> None:
    page.fill("[name=password]", PASSWORD)
    page.click("button.main")
    expect(page.locator("h1")).to_have_text("API keys")


def signed_in(page: Page, service: Service) -> Page:
    page.goto(service.url + "/api-keys")
    sign_in(page)
    return page


def make_key(page: Page, service: Service, name: str) -> str:
    """The new key; the page that shows it once stays open."""
    page.goto(service.url + "/console/keys/new")
    page.fill("[name=name]", name)
    page.click("main button.main")
    return page.inner_text("#key")
