"""One browser for all that is looked at in a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, chromium, opened


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        assert os.environ.get("CI") != "true", "no Chromium on this machine; .ci/run installs it"
        pytest.skip("no Chromium on this machine")
    with opened(program) as found:
        yield found
