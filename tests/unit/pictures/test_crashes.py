"""What crashes, hangs and deaths of children cost: one picture an error at most, and only when it is to blame."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import Picture
from gateway.pictures.picture_facts import Masked
from gateway.pictures.picture_jobs import Job
from gateway.pictures.picture_messages import Open
from shared.errors import BadImage, Overloaded
from shared.faces import Faces
from tests.hostile import make_png
from tests.hostile.gallery import Gallery
from tests.service import is_running
from tests.unit.pictures.children import PHOTO, crash, hold, opening, release, slow
from tests.waiting import wait_until


@pytest.mark.parametrize("sign", [signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS])
def test_a_second_crash_costs_its_picture_a_400_and_the_next_one_is_served(lone: Gallery, sign: signal.Signals) -> None:
    task, before = opening(lone, slow()), lone.pictures.deaths
    crash(lone, sign)
    crash(lone, sign)
    with pytest.raises(BadImage, match="the decoder failed on it"):
        lone.run(asyncio.wait_for(task, 60))
    assert lone.pictures.deaths == before + 2
    lone.open(PHOTO).close()
    assert lone.nothing_is_counted()


def test_one_crash_refuses_no_picture(lone: Gallery) -> None:
    lone.open(PHOTO).close()
    hold(lone)
    task = opening(lone, PHOTO, to_mask=True)
    crash(lone)
    picture = lone.run(asyncio.wait_for(task, 60))
    assert lone.pictures.deaths == 1
    assert len(lone.run(picture.mask(Marks.all_of(Faces.none()), MaskOptions())).data) > 1000
    picture.close()
    assert lone.nothing_is_counted()


def test_the_second_try_is_made_by_a_child_that_has_held_nothing_else() -> None:
    gallery = Gallery(decode_processes=2)
    try:
        hold(gallery)
        tasks = [opening(gallery, PHOTO) for _ in range(2)]
        release(gallery)
        for task in tasks:
            gallery.run(task).close()
        assert not any(child.fresh for child in gallery.pictures.crew._children)
        before = gallery.pictures.crew.pids()
        hold(gallery)
        task = opening(gallery, PHOTO, to_mask=True)
        crash(gallery)  # the other child is free, and has held another picture
        release(gallery)
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
    wait_until(lambda: not is_running(pid))
    assert lone.pictures.deaths == 0


def test_a_crash_while_masking_has_a_second_try_too_and_only_a_lonely_one_refuses_it(lone: Gallery) -> None:
    picture = lone.open(PHOTO, to_mask=True)
    lone.open(PHOTO).close()  # a stranger, whose damage it could be

    async def masked() -> bytes:
        return bytes((await picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png"))).data)

    def crashed() -> asyncio.Task[bytes]:
        """A mask that was begun when its child crashed."""

        async def begun() -> asyncio.Task[bytes]:
            return asyncio.ensure_future(masked())

        hold(lone)
        task = lone.run(begun())
        crash(lone)
        return task

    task = crashed()
    assert lone.run(asyncio.wait_for(task, 120)).startswith(make_png.SIGNATURE)
    lone.open(PHOTO).close()
    task = crashed()  # the picture's second, but a stranger was in that child
    assert lone.run(asyncio.wait_for(task, 120)).startswith(make_png.SIGNATURE)
    task = crashed()
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
    assert bytes(lone.run(asyncio.wait_for(task, 60)).data).startswith(make_png.SIGNATURE)
    picture.close()
    assert lone.nothing_is_counted()


def test_a_child_killed_from_outside_is_not_the_pictures_fault(lone: Gallery) -> None:
    task = opening(lone, slow())
    os.kill(lone.pictures.crew.pids()[0], signal.SIGKILL)
    with pytest.raises(Overloaded):
        lone.run(asyncio.wait_for(task, 60))


def test_a_picture_lost_with_its_child_is_decoded_again_when_it_is_masked(lone: Gallery) -> None:
    async def mask(picture: Picture) -> bytes:
        return bytes((await picture.mask(Marks.all_of(Faces.none()), MaskOptions(format="png"))).data)

    first, second = lone.open(PHOTO, to_mask=True), lone.open(PHOTO, to_mask=True)
    untroubled = lone.run(mask(first))
    hold(lone)
    crashing = opening(lone, PHOTO)

    async def crash_while_the_other_waits() -> bytes:
        waiting = asyncio.ensure_future(mask(second))
        await asyncio.sleep(0.01)
        os.kill(lone.pictures.crew.pids()[0], signal.SIGSEGV)
        release(lone)
        return await waiting

    assert lone.run(crash_while_the_other_waits()) == untroubled
    lone.run(asyncio.wait_for(crashing, 60)).close()
    first.close()
    second.close()


def test_a_picture_that_computes_too_long_is_refused_and_its_child_replaced() -> None:
    gallery = Gallery(decode_timeout=0.1)
    try:
        (pid,) = gallery.pictures.crew.pids()
        with pytest.raises(BadImage, match=r"takes more than 0\.1 seconds"):
            gallery.open(slow())
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
        wait_until(lambda: not is_running(pid))
        gallery.open(PHOTO).close()
    finally:
        gallery.close()
