"""Pictures in threads: the same answers, for development and for systems without anonymous memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import open_pictures
from gateway.pictures.picture_process import ProcessPictures
from gateway.pictures.picture_threads import ThreadPictures
from shared.deadline import Deadline
from shared.errors import BadImage, Overloaded, TooLarge
from shared.faces import Faces
from shared.settings import MEBIBYTE, Settings
from tests.hostile import make_png, rasters
from tests.hostile.gallery import Gallery

DATA = make_png.png(rasters.colours(300, 200))
FACES = Faces(np.array([[30, 30, 90, 90]], np.float32), np.ones(1, np.float32), None)


def in_threads(work: Callable[[ThreadPictures], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    async def run() -> Any:
        pictures = await open_pictures(Settings(decode_isolation="thread", decode_processes=2, **settings))
        assert isinstance(pictures, ThreadPictures)
        try:
            return await work(pictures)
        finally:
            await pictures.aclose()

    return asyncio.run(run())


def soon(seconds: float = 60) -> Deadline:
    return Deadline.after(seconds, time.monotonic())


def test_processes_are_the_default() -> None:
    async def run() -> type:
        pictures = await open_pictures(Settings(decode_processes=1))
        await pictures.aclose()
        return type(pictures)

    assert asyncio.run(run()) is ProcessPictures


def test_threads_and_processes_give_the_same_crops_and_masks(gallery: Gallery) -> None:
    async def work(pictures: ThreadPictures) -> tuple[bytes, bytes]:
        picture = await pictures.open(DATA, sides=(640, 160), deadline=soon(), single_frame=True)
        masked = await picture.mask(FACES, MaskOptions(format="png"))
        crops = b"".join(crop.pixels.tobytes() for crop in picture.crops)
        picture.close()
        picture.close()
        assert pictures.budget.free == pictures.budget.total
        return crops, bytes(masked.data)

    crops, masked = in_threads(work)
    picture = gallery.open(DATA, sides=(640, 160), to_mask=True)
    assert b"".join(crop.pixels.tobytes() for crop in picture.crops) == crops
    assert bytes(gallery.run(picture.mask(FACES, MaskOptions(format="png"))).data) == masked
    picture.close()


def test_a_picture_opened_to_detect_can_still_be_masked_in_threads() -> None:
    async def work(pictures: ThreadPictures) -> int:
        picture = await pictures.open(DATA, sides=(640,), deadline=soon(), single_frame=False)
        masked = await picture.mask(FACES, MaskOptions())
        picture.close()
        return len(masked.data)

    assert in_threads(work) > 1000


def test_threads_refuse_what_processes_refuse() -> None:
    async def work(pictures: ThreadPictures) -> None:
        for data, error in ((DATA[:-20], BadImage), (make_png.zeros(30_000, 30_000, 0, 1), TooLarge)):
            with pytest.raises(error):
                await pictures.open(data, sides=(640,), deadline=soon(), single_frame=False)
        with pytest.raises(BadImage, match="holds 2 pictures"):
            two = make_png.animated([rasters.colours(), rasters.colours()])
            await pictures.open(two, sides=(640,), deadline=soon(), single_frame=True)
        assert pictures.budget.free == pictures.budget.total

    in_threads(work)


def test_beyond_the_budget_threads_wait_and_give_up() -> None:
    async def work(pictures: ThreadPictures) -> None:
        held = await pictures.open(DATA, sides=(64,), deadline=soon(), single_frame=True)
        with pytest.raises(Overloaded):
            await pictures.open(DATA, sides=(64,), deadline=soon(0.1), single_frame=True)
        held.close()
        (await pictures.open(DATA, sides=(64,), deadline=soon(), single_frame=True)).close()

    in_threads(work, decode_budget_bytes=MEBIBYTE)
