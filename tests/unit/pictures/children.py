"""Picture children as the tests meet them: at work, crashed, dead."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import cache
from pathlib import Path

from gateway.pictures.child_process import Child
from tests.hostile import make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery

ROOT = Path(__file__).resolve().parents[3]

PHOTO = make_jpeg.jpeg(rasters.noise(320, 240))


@cache
def slow() -> bytes:
    """Seconds of computing for a child, and longer to make than to be found out."""
    return make_png.zeros(5000, 5000, make_png.RGBA, 16)


def opening(gallery: Gallery, data: bytes, *, seconds: float = 60, to_mask: bool = False) -> asyncio.Task[object]:
    work = gallery.opening(data, to_mask=to_mask, seconds=seconds)

    async def begin() -> asyncio.Task[object]:
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0.05)
        return task

    return gallery.run(begin())


def working(gallery: Gallery) -> Child:
    """The child that works on something at this moment, as soon as one does."""

    async def found() -> Child:
        while True:
            for child in gallery.pictures.crew._children:
                if child.running is not None and not child.gone:
                    return child
            await asyncio.sleep(0.001)

    return gallery.run(asyncio.wait_for(found(), 60))


def hold(gallery: Gallery) -> None:
    """Children stand still: what they are given is begun and not finished before they are crashed or released."""
    for pid in gallery.pictures.crew.pids():
        os.kill(pid, signal.SIGSTOP)


def release(gallery: Gallery) -> None:
    for pid in gallery.pictures.crew.pids():
        os.kill(pid, signal.SIGCONT)


def crash(gallery: Gallery, sign: signal.Signals = signal.SIGSEGV) -> Child:
    """Ends the child that works on something as a decoder's mistake would; returns when the gateway has seen it."""

    child = working(gallery)
    os.kill(child.pid, sign)
    os.kill(child.pid, signal.SIGCONT)  # one that is held hears of it then
    while child in gallery.pictures.crew._children:
        gallery.run(asyncio.sleep(0.001))
    return child
