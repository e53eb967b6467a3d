"""This machine's Chromium, driven by Playwright; no browser is downloaded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: For machines that are busy with other tests.
PATIENCE_MS = 60_000


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def opened(program: str) -> Iterator[Browser]:
    """A browser that leaves nothing in anybody's home. Until it is closed no other event loop runs in this thread."""
    with (
        tempfile.TemporaryDirectory(prefix="face-api-browser-", ignore_cleanup_errors=True) as home,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(
            executable_path=program,
            args=["--disable-dev-shm-usage"],
            env={**os.environ, "HOME": home},
            timeout=PATIENCE_MS,
        )
        try:
            yield browser
        finally:
            browser.close()


def complaints(page: Page) -> list[str]:
    """Fills with the errors and policy violations that the browser notes from now on, and with what scripts throw."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    return told


def requested(page: Page) -> list[str]:
    """Fills with every address that is asked for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def overflow(page: Page) -> int:
    """By how many CSS pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
