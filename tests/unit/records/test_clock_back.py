"""A clock that goes back by an hour: pictures end later by it, none earlier, and none stays for ever."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from gateway.records.comparing import compare
from gateway.records.image import PENDING_S, pending
from gateway.records.image_table import HOLD_S
from gateway.records.uuid7 import uuid7
from tests.unit.records.test_images import MASKED, PICTURE, folder_of, fresh, gone, kept, objects_in, opened

HOUR_S = 3600.0


async def test_after_the_clock_went_back_an_hour_nothing_is_swept_early_and_nothing_is_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        image, deleted = [await images.one("key_a", (await kept(records)).image_id or "") for _ in range(2)]
        cut = pending(PICTURE, fresh(), time.time_ns())
        assert await records.writer.hand_in(cut)
        with images.storage.room(len(MASKED)) as room:
            await images.put(cut, MASKED, room)
        with gone(folder_of(tmp_path)):
            assert not await images.delete("key_a", deleted.id)
        before = time.time()

        images.now = lambda: before - HOUR_S
        await images.sweep()
        await compare(images)
        assert objects_in(tmp_path) == {image.object, deleted.object, cut.object}
        assert (await images.content("key_a", image.id))[1] == MASKED
        assert await images.page("key_a", "", 10) == [image]  # what was deleted does not come back

        images.now = lambda: before + max(PENDING_S, HOLD_S) + 1  # the hour has come twice
        await images.sweep()
        assert objects_in(tmp_path) == {image.object}
        images.now = lambda: image.expires_at
        await images.sweep()
        assert objects_in(tmp_path) == set()


async def test_pictures_of_the_hour_that_comes_twice_are_listed_once_each_and_live_their_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        first = await images.one("key_a", (await kept(records)).image_id or "")
        job, second = fresh(), time.time() - HOUR_S
        times = {"created_at": second, "expires_at": second + records.ttl_s}
        made = msgspec.structs.replace(job, id=str(uuid7(int(second * 1e9), 0)), **times)
        told = await records.keep(made, PICTURE)
        images.now = lambda: second
        await images.sweep()
        pages = [await images.page("key_a", "", 1)]
        while pages[-1]:
            pages.append(await images.page("key_a", pages[-1][-1].id, 1))
        assert {image.id for page in pages for image in page} == {first.id, told.image_id}
        assert [len(page) for page in pages] == [1, 1, 0]
        images.now = lambda: made.expires_at
        await images.sweep()
        assert objects_in(tmp_path) == {first.object}
