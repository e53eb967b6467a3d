"""One browser for all that is looked at in a process, and pages that know nothing of one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import PATIENCE_MS, chromium, opened

#: Opens a page with cookies of its own. Takes what Playwright's contexts take: viewport, color_scheme, …
NewPage = Callable[..., Page]

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        assert os.environ.get("CI") != "true", "no Chromium on this machine; .ci/run installs it"
        pytest.skip("no Chromium on this machine")
    with opened(program) as found:
        yield found


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    contexts: list[BrowserContext] = []

    def new(**look: Any) -> Page:
        contexts.append(browser.new_context(**look))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        return contexts[-1].new_page()

    yield new
    for context in contexts:
        context.close()
