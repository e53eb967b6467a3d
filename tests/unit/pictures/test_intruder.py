"""A child that a file has taken over: its pictures are refused, and the gateway neither errs, leaks nor waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import BadImage
from tests.hostile import make_png, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.intruder import Intruder

LIES = tuple(Intruder(None).lies())
SETTLE_S_MAX = 20


@pytest.fixture(scope="module")
def taken() -> Iterator[Gallery]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("gateway.pictures.child_process.PROGRAM", "tests.unit.pictures.intruder")
        gallery = Gallery(decode_timeout=20)
        yield gallery
        gallery.close()


def file(lie: str) -> bytes:
    """One that has this said."""
    return make_png.png(rasters.noise(64, 64)) + lie.encode()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("lie", LIES)
def test_what_a_taken_child_says_is_refused_and_leaves_nothing(taken: Gallery, lie: str) -> None:
    gc.collect()
    before = open_descriptors()
    with pytest.raises(BadImage):
        taken.open(file(lie), sides=(64,), seconds=20)
    taken.wait_for(1)
    gc.collect()
    until = time.monotonic() + SETTLE_S_MAX
    while open_descriptors() != before and time.monotonic() < until:
        taken.run(asyncio.sleep(0.05))  # what was the ended child's is closed when it is buried
    assert open_descriptors() == before
    assert taken.nothing_is_counted()


def test_the_gateway_goes_on_while_a_child_without_a_link_lives_on(taken: Gallery) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        counting = asyncio.ensure_future(count())
        with pytest.raises(BadImage):
            await taken.opening(file("closes its link and lives"), sides=(64,), seconds=20)
        counting.cancel()

    taken.run(both())
    assert turns > 1000  # a wait that blocks lets it turn a handful of times


def test_a_childs_words_in_the_log_are_bounded(taken: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "face_api.pictures"), pytest.raises(BadImage):
        taken.open(file("floods the log"), sides=(64,))
    assert sum(len(record.getMessage()) for record in caplog.records) < 20_000
