"""Children that crash, hang, swallow memory or lose their gateway: one picture pays, the rest goes on."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvloop

from gateway.pictures.child_process import Child
from gateway.pictures.image_header import read_header
from gateway.pictures.letterbox import Letterbox
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import Picture, Pictures, open_pictures
from gateway.pictures.picture_facts import Masked
from gateway.pictures.picture_jobs import Job
from gateway.pictures.picture_messages import Open
from shared.errors import BadImage, ConfigurationError, DeadlineExceeded, Overloaded, Unavailable
from shared.faces import Faces
from shared.settings import MEBIBYTE, Settings
from tests.hostile import make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery

ROOT = Path(__file__).resolve().parents[3]
PHOTO = make_jpeg.jpeg(rasters.noise(320, 240))
#: Seconds of computing for a child, and longer to make than to be found out.
SLOW = make_png.zeros(5000, 5000, make_png.RGBA, 16)


@pytest.fixture
def lone() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=1)
    yield gallery
    gallery.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1][:3]


def wait_until_dead(pid: int, seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not alive(pid)


def opening(gallery: Gallery, data: bytes, *, seconds: float = 60, to_mask: bool = False) -> asyncio.Task[object]:
    work = gallery.opening(data, to_mask=to_mask, seconds=seconds)

    async def begin() -> asyncio.Task[object]:
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        return task

    return gallery.run(begin())


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


def working(gallery: Gallery) -> Child:
    """The child that works on something at this moment, as soon as one does."""

    async def found() -> Child:
        while True:
            for child in gallery.pictures.crew._children:
                if child.running is not None and not child.gone:
                    return child
            await asyncio.sleep(0.001)

    return gallery.run(asyncio.wait_for(found(), 60))


def crash(gallery: Gallery, sign: signal.Signals = signal.SIGSEGV) -> Child:
    """Ends the child that works on something as a decoder's mistake would; returns when the gateway has seen it."""

    child = working(gallery)
    os.kill(child.pid, sign)
    while child in gallery.pictures.crew._children:
        gallery.run(asyncio.sleep(0.001))
    return child


@pytest.mark.parametrize("sign", [signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS])
def test_a_second_crash_costs_its_picture_a_400_and_the_next_one_is_served(lone: Gallery, sign: signal.Signals) -> None:
    task, before = opening(lone, SLOW), lone.pictures.deaths
    crash(lone, sign)
    crash(lone, sign)
    with pytest.raises(BadImage, match="the decoder failed on it"):
        lone.run(asyncio.wait_for(task, 60))
    assert lone.pictures.deaths == before + 2
    lone.open(PHOTO).close()
    assert lone.nothing_is_counted()


def test_one_crash_refuses_no_picture(lone: Gallery) -> None:
    lone.open(PHOTO).close()
    task = opening(lone, SLOW, to_mask=True)
    crash(lone)
    picture = lone.run(asyncio.wait_for(task, 60))
    assert lone.pictures.deaths == 1
    assert len(lone.run(picture.mask(Marks.all_of(Faces.none()), MaskOptions())).data) > 1000
    picture.close()
    assert lone.nothing_is_counted()


def test_the_second_try_is_made_by_a_child_that_has_held_nothing_else() -> None:
    gallery = Gallery(decode_processes=2)
    try:
        for task in [opening(gallery, SLOW), opening(gallery, PHOTO)]:
            gallery.run(task).close()
        assert not any(child.fresh for child in gallery.pictures.crew._children)
        before = gallery.pictures.crew.pids()
        task = opening(gallery, SLOW, to_mask=True)
        crash(gallery)  # the other child is free, and has held another picture
        picture = gallery.run(asyncio.wait_for(task, 60))
        assert picture._child.pid not in before
        picture.close()
        assert gallery.nothing_is_counted()
    finally:
        gallery.close()


def test_where_no_fresh_child_comes_one_is_made(lone: Gallery) -> None:
    lone.open(PHOTO).close()
    (pid,) = lone.pictures.crew.pids()

    async def alone() -> int:
        answer = asyncio.get_running_loop().create_future()
        message = Open(999, read_header(memoryview(PHOTO)), len(PHOTO), (), to_mask=False)
        job = Job(message, PHOTO, answer, lambda _: True, alone=True)
        lone.pictures.crew.submit(job)
        await asyncio.wait_for(answer, 60)
        assert job.child is not None
        return job.child.pid

    assert lone.run(alone()) != pid
    wait_until_dead(pid)
    assert lone.pictures.deaths == 0


def test_a_crash_while_masking_has_a_second_try_too_and_only_a_lonely_one_refuses_it(lone: Gallery) -> None:
    picture = lone.open(SLOW, to_mask=True)
    lone.open(PHOTO).close()  # a stranger, whose damage it could be

    async def masked() -> bytes:
        return bytes((await picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png"))).data)

    async def begun() -> asyncio.Task[bytes]:
        return asyncio.ensure_future(masked())

    task = lone.run(begun())
    crash(lone)
    assert lone.run(asyncio.wait_for(task, 120)).startswith(make_png.SIGNATURE)
    lone.open(PHOTO).close()
    task = lone.run(begun())
    crash(lone)  # the picture's second, but a stranger was in that child
    assert lone.run(asyncio.wait_for(task, 120)).startswith(make_png.SIGNATURE)
    task = lone.run(begun())
    crash(lone)
    with pytest.raises(BadImage, match="the decoder failed on it"):
        lone.run(asyncio.wait_for(task, 120))
    picture.close()
    assert lone.nothing_is_counted()


def test_a_child_that_dies_while_a_mask_waits_for_memory_does_not_keep_it_waiting(lone: Gallery) -> None:
    picture, budget = lone.open(PHOTO, to_mask=True), lone.pictures.working

    async def begun() -> tuple[int, asyncio.Task[Masked]]:
        taken = await budget.take(budget.total)
        task = asyncio.ensure_future(picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png")))
        await asyncio.sleep(0.01)
        return taken, task

    taken, task = lone.run(begun())
    os.kill(lone.pictures.crew.pids()[0], signal.SIGKILL)
    while not picture._child.gone:
        lone.run(asyncio.sleep(0.001))
    budget.give(taken)
    assert bytes(lone.run(asyncio.wait_for(task, 20)).data).startswith(make_png.SIGNATURE)
    picture.close()
    assert lone.nothing_is_counted()


def test_what_waits_or_runs_when_the_children_are_closed_is_answered(lone: Gallery) -> None:
    tasks = [opening(lone, SLOW), opening(lone, PHOTO)]
    lone.run(lone.pictures.aclose())
    for task in tasks:
        with pytest.raises(Overloaded):
            lone.run(asyncio.wait_for(task, 20))


def test_a_child_killed_from_outside_is_not_the_pictures_fault(lone: Gallery) -> None:
    task = opening(lone, SLOW)
    os.kill(lone.pictures.crew.pids()[0], signal.SIGKILL)
    with pytest.raises(Overloaded):
        lone.run(asyncio.wait_for(task, 60))


def test_a_picture_lost_with_its_child_is_decoded_again_when_it_is_masked(lone: Gallery) -> None:
    async def mask(picture: Picture) -> bytes:
        return bytes((await picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png"))).data)

    first, second = lone.open(PHOTO, to_mask=True), lone.open(PHOTO, to_mask=True)
    untroubled = lone.run(mask(first))
    crashing = opening(lone, SLOW)

    async def crash_while_the_other_waits() -> bytes:
        waiting = asyncio.ensure_future(mask(second))
        await asyncio.sleep(0.01)
        os.kill(lone.pictures.crew.pids()[0], signal.SIGSEGV)
        return await waiting

    assert lone.run(crash_while_the_other_waits()) == untroubled
    lone.run(asyncio.wait_for(crashing, 60)).close()
    first.close()
    second.close()


def test_a_picture_opened_to_detect_can_still_be_masked(lone: Gallery) -> None:
    picture = lone.open(PHOTO)
    assert len(lone.run(picture.mask(Marks.all_of(Faces.none()), MaskOptions())).data) > 1000
    picture.close()


def test_a_picture_that_computes_too_long_is_refused_and_its_child_replaced() -> None:
    gallery = Gallery(decode_timeout=0.1)
    try:
        (pid,) = gallery.pictures.crew.pids()
        with pytest.raises(BadImage, match=r"takes more than 0\.1 seconds"):
            gallery.open(SLOW)
        gallery.wait_for(1)
        assert gallery.pictures.crew.pids() != (pid,)
        gallery.open(PHOTO).close()
    finally:
        gallery.close()


def test_a_child_that_stands_still_is_ended_too() -> None:
    gallery = Gallery(decode_timeout=0.3)
    try:
        (pid,) = gallery.pictures.crew.pids()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(BadImage, match="takes more than"):
            gallery.open(PHOTO)
        wait_until_dead(pid)
        gallery.open(PHOTO).close()
    finally:
        gallery.close()


def test_a_picture_that_is_not_ready_in_time_is_an_error_and_leaves_nothing(lone: Gallery) -> None:
    with pytest.raises(Unavailable):
        lone.open(SLOW, seconds=0.05)
    lone.open(PHOTO).close()
    assert lone.nothing_is_counted()


def test_a_caller_who_leaves_while_waiting_takes_his_picture_with_him(lone: Gallery) -> None:
    running, waiting = opening(lone, SLOW), opening(lone, PHOTO)
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


def test_a_child_may_not_grow_far_beyond_what_the_header_announced(lone: Gallery) -> None:
    limit = Path(f"/proc/{lone.pictures.crew.pids()[0]}/limits")
    lone.open(PHOTO).close()
    row = next(line for line in limit.read_text(encoding="ascii").splitlines() if line.startswith("Max address space"))
    assert int(row.split()[3]) < 3 * 1024 * MEBIBYTE
    core = next(line for line in limit.read_text(encoding="ascii").splitlines() if line.startswith("Max core"))
    assert core.split()[4] == "0"


def test_a_child_cannot_raise_its_limits() -> None:
    gallery = Gallery(decode_budget_bytes=64 * MEBIBYTE, max_pixels=1_000_000, max_decoded_bytes=8 * MEBIBYTE)
    try:
        gallery.mask(PHOTO, [[1, 1, 50, 50]])
        text = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/limits").read_text(encoding="ascii")
        hard = {line[:26].strip(): line[47:68].strip() for line in text.splitlines()}
        assert int(hard["Max address space"]) < 2 * 1024 * MEBIBYTE
        assert int(hard["Max file size"]) < 512 * MEBIBYTE
        assert int(hard["Max open files"]) < 64
    finally:
        gallery.close()


def test_decoders_know_the_pixel_limit_before_they_are_loaded() -> None:
    gallery = Gallery(max_pixels=5000)
    try:
        environment = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/environ").read_bytes().split(b"\0")
        assert b"OPENCV_IO_MAX_IMAGE_PIXELS=5000" in environment
    finally:
        gallery.close()


def test_a_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACE_API_REDIS_URL", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, "canary-of-the-test")
    gallery = Gallery(max_jpeg_scans=7)
    try:
        environment = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/environ").read_bytes()
        assert b"canary-of-the-test" not in environment
        assert b"FACE_API_MAX_JPEG_SCANS=7" in environment
        with pytest.raises(BadImage, match="more than 7 scans"):
            gallery.open(make_jpeg.scan_bomb(64, 64, 20))
    finally:
        gallery.close()


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
    task = opening(lone, SLOW, to_mask=True)
    task.cancel()
    lone.run(asyncio.wait([task]))
    for _ in range(2):  # behind the first the child has finished the other one, behind the second it has forgotten it
        lone.open(PHOTO).close()
    assert lone.nothing_is_counted()
    assert lone.resident_bytes() - before < 60 * MEBIBYTE


def test_beyond_its_memory_limit_a_child_gets_an_error_not_the_memory() -> None:
    code = (
        "import numpy\n"
        "from gateway.pictures.picture_child import Growth\n"
        "Growth().limit(64 << 20)\n"
        "numpy.ones(8 << 20, numpy.uint8)\n"
        "try:\n"
        "    numpy.ones(256 << 20, numpy.uint8)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


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
    assert not any(alive(pid) for pid in pids)


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
    for pid in pids:
        wait_until_dead(pid)


def test_a_system_that_is_not_linux_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigurationError, match="run the service in a Linux container"):
        asyncio.run(open_pictures(Settings(decode_processes=1)))


def test_children_that_cannot_start_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def work() -> None:
        with pytest.raises(ConfigurationError, match="their error stands above"):
            await Pictures(Settings(decode_processes=1)).start()

    asyncio.run(work())
