"""Children that crash, hang, swallow memory or lose their gateway: one picture pays, the rest goes on."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uvloop

from gateway.pictures.letterbox import Letterbox
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import Pictures, open_pictures
from shared.errors import ConfigurationError, DeadlineExceeded, Overloaded, Unavailable
from shared.faces import Faces
from shared.settings import MEBIBYTE, Settings
from tests.hostile import make_png, rasters
from tests.hostile.gallery import Gallery
from tests.service import is_running
from tests.unit.pictures.children import PHOTO, ROOT, hold, opening, slow, working
from tests.waiting import WAIT_S_MAX, wait_until


def test_the_crop_is_the_letterboxed_picture(lone: Gallery) -> None:
    pixels = rasters.colours(300, 200)
    picture = lone.open(make_png.png(pixels), sides=(640, 256))
    assert [crop.side for crop in picture.crops] == [640, 256]
    for crop in picture.crops:
        fitted = Letterbox.fit(300, 200, crop.side)
        assert (crop.pixels == fitted.apply(np.ascontiguousarray(pixels[:, :, ::-1]))).all()
        assert crop.scale == fitted.scale
    assert picture.decode_ms > 0
    picture.close()


def test_a_file_larger_than_the_slab_goes_through_as_well(lone: Gallery) -> None:
    pixels = rasters.noise(1600, 1300)
    data = make_png.png(pixels)
    assert len(data) > 4 * MEBIBYTE
    masked = lone.mask(data, [[10, 10, 90, 90]], format="png")
    assert len(masked.data) > 4 * MEBIBYTE
    assert bytes(masked.data[:8]) == make_png.SIGNATURE


def test_what_waits_or_runs_when_the_children_are_closed_is_answered(lone: Gallery) -> None:
    hold(lone)
    tasks = [opening(lone, PHOTO), opening(lone, PHOTO)]
    working(lone)
    lone.run(lone.pictures.aclose())
    for task in tasks:
        with pytest.raises(Overloaded):
            lone.run(asyncio.wait_for(task, WAIT_S_MAX))


def test_a_picture_opened_to_detect_can_still_be_masked(lone: Gallery) -> None:
    picture = lone.open(PHOTO)
    assert len(lone.run(picture.mask(Marks.all_of(Faces.none()), MaskOptions())).data) > 1000
    picture.close()


def test_a_picture_that_is_not_ready_in_time_is_an_error_and_leaves_nothing(lone: Gallery) -> None:
    with pytest.raises(Unavailable):
        lone.open(slow(), seconds=0.05)
    lone.open(PHOTO).close()
    assert lone.nothing_is_counted()


def test_a_caller_who_leaves_while_waiting_takes_his_picture_with_him(lone: Gallery) -> None:
    running, waiting = opening(lone, slow()), opening(lone, PHOTO)
    waiting.cancel()
    running.cancel()
    lone.run(asyncio.wait([running, waiting]))
    lone.open(PHOTO).close()
    assert lone.nothing_is_counted()


def test_pictures_beyond_the_budget_wait_and_then_give_up() -> None:
    gallery = Gallery(decode_budget_bytes=2 * MEBIBYTE)
    try:
        held = gallery.open(make_png.png(rasters.colours(500, 400)), to_mask=True)
        with pytest.raises(DeadlineExceeded):
            gallery.open(make_png.png(rasters.colours(500, 400)), to_mask=True, seconds=0.2)
        held.close()
        gallery.open(make_png.png(rasters.colours(500, 400)), to_mask=True).close()
    finally:
        gallery.close()


def test_closing_twice_gives_back_once(lone: Gallery) -> None:
    picture = lone.open(PHOTO, to_mask=True)
    assert not lone.nothing_is_counted()
    picture.close()
    picture.close()
    assert lone.nothing_is_counted()
    assert picture.crops == ()


def test_the_gateways_loop_may_be_uvloop() -> None:
    async def work() -> bytes:
        pictures = Pictures(Settings(decode_processes=1))
        await pictures.start()
        picture = await pictures.open(PHOTO, sides=(64,), to_mask=True)
        masked = await picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png"))
        picture.close()
        await pictures.aclose()
        return bytes(masked.data)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()).startswith(make_png.SIGNATURE)


def test_pixels_of_a_caller_who_left_are_not_kept(lone: Gallery) -> None:
    lone.open(PHOTO).close()
    before = lone.resident_bytes()
    task = opening(lone, slow(), to_mask=True)
    task.cancel()
    lone.run(asyncio.wait([task]))
    for _ in range(2):  # behind the first the child has finished the other one, behind the second it has forgotten it
        lone.open(PHOTO).close()
    assert lone.nothing_is_counted()
    assert lone.resident_bytes() - before < 60 * MEBIBYTE


def test_opening_and_masking_leaves_no_descriptor_behind(lone: Gallery) -> None:
    lone.mask(PHOTO, [[1, 1, 50, 50]])
    gc.collect()
    own, children = len(list(Path("/proc/self/fd").iterdir())), lone.open_files()
    for _ in range(5):
        lone.mask(PHOTO, [[1, 1, 50, 50]])
        lone.outcome(PHOTO[:300])
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == own
    assert lone.open_files() == children


def test_children_end_when_their_pictures_are_closed() -> None:
    gallery = Gallery(decode_processes=2)
    pids = gallery.pictures.crew.pids()
    gallery.close()
    assert not any(map(is_running, pids))


def test_children_end_with_a_gateway_that_is_killed() -> None:
    code = (
        "import asyncio, sys, time\n"
        "from gateway.pictures.picture import Pictures\n"
        "from shared.settings import Settings\n"
        "async def main():\n"
        "    pictures = Pictures(Settings(decode_processes=2))\n"
        "    await pictures.start()\n"
        "    print(*pictures.crew.pids(), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        pids = [int(word) for word in gateway.stdout.readline().split()]
        assert len(pids) == 2
        gateway.kill()
    wait_until(lambda: not any(map(is_running, pids)))


def test_a_system_that_is_not_linux_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigurationError, match="run the service in a Linux container"):
        asyncio.run(open_pictures(Settings(decode_processes=1)))


async def test_children_that_cannot_start_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ConfigurationError, match="their error stands above"):
        await Pictures(Settings(decode_processes=1)).start()
