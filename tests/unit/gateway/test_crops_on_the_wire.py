"""Crops lie in the gateway's memory for workers that read it, and go through the socket to those that do not."""

from __future__ import annotations

import asyncio
import mmap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from gateway.dispatching.dispatch import Dispatcher
from gateway.dispatching.work_queue import Work
from gateway.pictures.crop_memory import CropMemory
from shared.deadline import Deadline
from shared.faces import Faces
from shared.messages import Canary, Cancel, CropHeader, ModelInfo, Reply, Request, ToWorker, Welcome
from shared.wire import CropArray, decode_to_worker
from worker.crop_view import open_view

PAGE = mmap.PAGESIZE
INFO = ModelInfo("stub", "fp32", "StubExecutionProvider", 64, True, 1, True, "MIT", "0" * 64)
WELCOME = Welcome("w", 0, 1, 8, 1, INFO, Canary(0.5, 0.4, [], 1.0, 0.1), reads_crops=True)


class Link:
    """What a worker of this host is told, and the crops as it sees them."""

    generation = "w"

    def __init__(self, crops: CropMemory) -> None:
        self.view = open_view(crops.address)
        self.told: list[tuple[ToWorker, list[CropArray], int]] = []

    def send(self, frames: list[Any]) -> None:
        message, crops = decode_to_worker([memoryview(bytes(frame)) for frame in frames], self.view)
        self.told.append((message, crops, len(frames)))

    def close(self) -> None:
        """Nothing is open."""


class House:
    """A dispatcher with one worker, whose crop memory has so many pages for crops."""

    def __init__(self, pages: int, *, reads_crops: bool = True) -> None:
        self.crops = CropMemory((1 + pages) * PAGE)
        self.dispatcher = Dispatcher(Path("/nowhere"), "test", crops=self.crops)
        self.link, welcome = Link(self.crops), structs.replace(WELCOME, reads_crops=reads_crops)
        self.known: Any = SimpleNamespace(link=self.link, welcome=welcome)
        self.dispatcher.roster.known["w"] = self.known
        self.dispatcher.queue.join("w", 8, 1)
        self.dispatcher.queue.granted("w", 8)
        self.asked: list[asyncio.Task[Any]] = []

    async def ask(self, number: int, crop: CropArray) -> None:
        deadline = Deadline.after(60.0, asyncio.get_running_loop().time())
        header = CropHeader(*crop.shape[:2], 64, 1.0)
        work = Work(number, (crop,), (header,), 0.5, 0.4, 0, 64, 64, deadline)
        self.asked.append(asyncio.create_task(self.dispatcher.detect(work)))
        await asyncio.sleep(0)

    async def answer(self, number: int) -> None:
        reply = Reply(number, "w", 0, 15, 0.0, 0.0, 0.0, 1, "idle", grant=1)
        self.dispatcher._on_message(self.known, reply, Faces.none())
        await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self.asked:
            task.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)
        await self.dispatcher.aclose()
        self.crops.close()

    def requests(self) -> list[tuple[int, int, int]]:
        """Of each that was sent: its id, the value of its crop's pixels, how many frames it came in."""
        return [
            (message.id, int(np.unique(crops[0]).item()), frames)
            for message, crops, frames in self.link.told
            if isinstance(message, Request)
        ]


def crop(value: int) -> CropArray:
    return np.full((8, 8, 3), value, np.uint8)


@pytest.mark.parametrize(("pages", "reads", "frames"), [(4, True, 1), (4, False, 2), (0, True, 2)])
async def test_a_worker_gets_the_same_pixels_either_way(pages: int, reads: bool, frames: int) -> None:
    house = House(pages, reads_crops=reads)
    await house.ask(1, crop(50))
    await house.ask(2, crop(60))
    assert house.requests() == [(1, 50, frames), (2, 60, frames)]
    await house.close()


@pytest.mark.parametrize(("pages", "lent"), [(1, PAGE), (0, 0)])
async def test_what_is_painted_here_is_painted_where_workers_read_it_while_there_is_room(pages: int, lent: int) -> None:
    house = House(pages)
    crop = house.dispatcher.blank((8, 8, 3))
    assert not crop.any()
    assert house.crops.lent_bytes == lent
    crop[:] = 50
    await house.ask(1, crop)
    assert [seen[:2] for seen in house.requests()] == [(1, 50)]
    await house.close()


async def test_a_crop_stays_while_a_worker_has_it_in_hand_even_if_nobody_waits_for_it_any_more() -> None:
    house = House(1)
    await house.ask(1, crop(50))
    house.asked[0].cancel()
    await asyncio.gather(*house.asked, return_exceptions=True)
    assert isinstance(house.link.told[-1][0], Cancel)
    await house.ask(2, crop(60))
    assert house.requests() == [(1, 50, 1), (2, 60, 2)], "the first one's place is not given away"
    assert set(house.link.told[0][1][0].flatten().tolist()) == {50}
    await house.answer(1)
    house.asked.pop(0)
    await house.ask(3, crop(70))
    assert house.requests()[-1] == (3, 70, 1)
    await house.close()


async def test_a_lost_worker_s_crops_are_sent_again_from_where_they_lie_and_none_is_left_afterwards() -> None:
    house = House(4)
    await house.ask(1, crop(50))
    house.dispatcher._on_lost("w", "killed")
    house.dispatcher.queue.join("w", 8, 1)
    house.dispatcher.queue.granted("w", 8)
    house.dispatcher._pump()
    assert house.requests() == [(1, 50, 1), (1, 50, 1)]
    assert house.crops.lent_bytes == PAGE
    await house.answer(1)
    await house.asked.pop()
    assert house.crops.lent_bytes == 0
    await house.close()
