"""One gallery for all tests of this folder: starting children takes longer than most files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.gallery import Gallery


@pytest.fixture(scope="session")
def gallery() -> Iterator[Gallery]:
    gallery = Gallery()
    yield gallery
    gallery.close()
