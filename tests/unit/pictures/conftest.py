"""One gallery for the tests of this folder that need children, and one for a test that wants them alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.gallery import Gallery


@pytest.fixture(scope="session")
def gallery() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=2)
    yield gallery
    gallery.close()


@pytest.fixture
def lone() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=1)
    yield gallery
    gallery.close()
