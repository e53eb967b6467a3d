"""Images on a real SQLite file and in a real folder: what is kept, what is left after faults, and that it all ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from gateway.keys.audit import Actor
from gateway.records import erasing, image_table, keeping, storage
from gateway.records.image import PENDING_S, ToKeep, pending
from gateway.records.images import Images
from gateway.records.job import born_now
from gateway.records.keeping import Committed, Records, open_records
from gateway.records.uuid7 import uuid7
from gateway.stores.objects import MARK
from gateway.stores.threads import StoreThreads
from shared.errors import BadParameter, ConfigurationError, NotFound, StorageDown
from shared.supervision import Loops
from tests.unit.records.drawn import database_in, job, records_in, settings_in

MASKED = b"\xff\xd8 a masked picture \xff\xd9"
PICTURE = ToKeep(MASKED, "image/jpeg", sha256(MASKED).hexdigest())


def fresh(key_id: str = "key_a") -> Any:
    birth = born_now(24 * 3600)
    return job(key_id, id=birth.id, created_at=birth.created_at, expires_at=birth.expires_at)


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


def objects_in(tmp_path: Path) -> set[str]:
    return {file.name for file in folder_of(tmp_path).iterdir()} - {MARK}


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, mode: str = "required", **more: Any) -> AsyncIterator[tuple[Records, Images]]:
    url = folder_of(tmp_path).as_uri()
    async with records_in(tmp_path, mode, storage_url=url, **more) as records:
        assert records.images is not None
        yield records, records.images


@contextlib.contextmanager
def gone(folder: Path) -> Iterator[None]:
    away = folder.with_suffix(".away")
    folder.rename(away)
    yield
    away.rename(folder)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """best_effort waits, however busy the machine is."""
    monkeypatch.setattr(keeping, "CONFIRM_S_MAX", 60.0)
    monkeypatch.setattr(keeping, "CONFIRM_BOTH_S_MAX", 60.0)


async def kept(records: Records, key_id: str = "key_a") -> Committed:
    told = await records.keep(fresh(key_id), PICTURE)
    assert told.image_id is not None
    return told


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("mode", ["required", "best_effort"])
async def test_a_picture_is_kept_read_listed_and_deleted(tmp_path: Path, mode: str) -> None:
    async with opened(tmp_path, mode) as (records, images):
        made = fresh()
        told = await records.keep(made, PICTURE)
        assert (told.job, told.image_id is None) == (True, False)
        image, data = await images.content("key_a", told.image_id or "")
        assert (data, image.sha256, image.bytes, image.job_id) == (MASKED, PICTURE.sha256, len(MASKED), made.id)
        assert await images.page("key_a", "", 10) == [image]
        assert (await records.one("key_a", made.id)).image_id == image.id
        for refused in (images.one, images.content, images.delete, images.url):
            with pytest.raises(NotFound):
                await refused("key_b", image.id)
        assert await images.delete("key_a", image.id)
        with pytest.raises(NotFound):
            await images.content("key_a", image.id)
        assert (await records.one("key_a", made.id)).image_id is None
    assert objects_in(tmp_path) == set()


async def test_a_file_is_its_owners_alone_and_its_name_says_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        image = await images.one("key_a", (await kept(records)).image_id or "")
        (file,) = objects_in(tmp_path)
        assert file == image.object
        assert (folder_of(tmp_path) / file).stat().st_mode & 0o777 == 0o600
        assert not {image.id[:8], image.job_id[:8], image.sha256[:8]} & {file[:8]}


async def test_a_folder_has_no_urls_and_says_what_to_ask(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        told = await kept(records)
        with pytest.raises(NotFound, match="/content"):
            await images.url("key_a", told.image_id or "")


async def test_a_job_that_is_deleted_takes_its_picture_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        made = fresh()
        told = await records.keep(made, PICTURE)
        assert await records.delete("key_a", made.id)
        with pytest.raises(NotFound):
            await images.one("key_a", told.image_id or "")
    assert objects_in(tmp_path) == set()


async def test_a_picture_is_erased_by_its_jobs_time_though_it_is_younger(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, images):
        early = fresh()
        made, moment = early.created_at, early.created_at + 1
        image = msgspec.structs.replace(pending(PICTURE, early, int((made + 2) * 1e9)), state="stored")
        other = msgspec.structs.replace(early, id=str(uuid7(int((made + 3) * 1e9), 0)))
        later = pending(PICTURE, other, int((made + 4) * 1e9))
        with images.database.write() as connection:
            image_table.add(connection, [image, msgspec.structs.replace(later, state="stored")])
        wanted = erasing.Wanted("", moment)
        doomed = erasing.doom_step(images.database, wanted, later.id, made)
        assert [each.id for each in doomed] == [image.id]


async def test_pictures_live_as_long_as_their_jobs_by_a_clock_that_moves(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        image = await images.one("key_a", (await kept(records)).image_id or "")
        images.now = lambda: image.expires_at - 1
        await images.sweep()
        assert (await images.content("key_a", image.id))[1] == MASKED
        images.now = lambda: image.expires_at
        with pytest.raises(NotFound):
            await images.one("key_a", image.id)
        await images.sweep()
        assert (images.storage.condition.swept, objects_in(tmp_path)) == (1, set())
        images.now = time.time  # the row is gone, not hidden
        assert await images.page("key_a", "", 10) == []


async def test_what_was_cut_off_before_and_after_its_put_is_swept(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        cut = [pending(PICTURE, fresh(), time.time_ns()) for _ in range(2)]
        for image in cut:
            assert await records.writer.hand_in(image)
        with images.storage.room(len(MASKED)) as room:
            await images.put(cut[0], MASKED, room)
        await images.sweep()
        assert objects_in(tmp_path) == {cut[0].object}  # young: whoever stores them may be slow
        assert await images.page("key_a", "", 10) == []
        images.now = lambda: time.time() + PENDING_S + 1
        await images.sweep()
        assert (images.storage.condition.swept, objects_in(tmp_path)) == (2, set())


async def test_a_picture_that_was_given_up_is_not_told_of_when_it_arrives(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        put, late = images.storage.objects.put, time.time() + PENDING_S + 600

        def swept_meanwhile(name: str, data: bytes, media_type: str) -> None:
            put(name, data, media_type)
            assert image_table.take_due(images.database, late)

        images.storage.objects.put = swept_meanwhile  # type: ignore[method-assign]
        with pytest.raises(StorageDown):
            await records.keep(fresh(), PICTURE)
        images.storage.objects.put = put  # type: ignore[method-assign]
        assert await images.page("key_a", "", 10) == await records.page("key_a", "", 10) == []
        images.now = lambda: late + image_table.HOLD_S
        await images.sweep()
    assert objects_in(tmp_path) == set()


async def test_required_refuses_while_the_storage_is_gone_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        with gone(folder_of(tmp_path)):
            with pytest.raises(StorageDown, match="FACE_API_RECORDS=required") as caught:
                await records.keep(fresh(), PICTURE)
            assert (caught.value.status, bool(caught.value.retry_after_s)) == (503, True)
            assert not images.storage.condition.ready
            assert "mount" in images.storage.condition.why
        assert await records.page("key_a", "", 10) == []
        await images.sweep()
        assert images.storage.condition.ready
        await kept(records)


@pytest.mark.usefixtures("patient")
async def test_best_effort_keeps_the_job_alone_while_the_storage_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path, "best_effort") as (records, images):
        with gone(folder_of(tmp_path)):
            for _ in range(2):  # notices; knows
                assert await records.keep(fresh(), PICTURE) == Committed(job=True)
        assert images.storage.condition.lost == 2
        assert [each.image_id for each in await records.page("key_a", "", 10)] == [None, None]
        await images.sweep()
        await kept(records)


async def test_what_is_deleted_while_the_storage_is_gone_is_hidden_at_once_and_gone_later(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        told = await kept(records)
        with gone(folder_of(tmp_path)):
            assert not await images.delete("key_a", told.image_id or "")
            with pytest.raises(NotFound):
                await images.one("key_a", told.image_id or "")
        assert len(objects_in(tmp_path)) == 1
        images.now = lambda: time.time() + image_table.HOLD_S + 1
        await images.sweep()
    assert objects_in(tmp_path) == set()


async def test_no_more_bytes_wait_than_the_setting_says_but_one_picture_always_may(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        images.storage.queue_bytes = len(MASKED) * 2 - 1
        told = await asyncio.gather(*(records.keep(fresh(), PICTURE) for _ in range(3)), return_exceptions=True)
        assert sorted(isinstance(each, StorageDown) for each in told) == [False, True, True]
        assert images.storage.condition.ready
        await kept(records)
        assert images.storage.waiting_bytes == 0


async def test_a_process_that_ends_stores_what_is_under_way(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        waiting = asyncio.create_task(records.keep(fresh(), PICTURE))
        await asyncio.sleep(0)
    assert (await waiting).image_id


async def test_one_sweeper_has_a_picture_in_hand_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        for _ in range(5):
            await kept(records)
        later = time.time() + 25 * 3600
        first = image_table.take_due(images.database, later)
        assert (len(first), image_table.take_due(images.database, later)) == (5, [])
        assert image_table.take_due(images.database, later + image_table.HOLD_S) == first  # it died


async def test_erasure_leaves_nothing_of_a_key_in_table_and_folder(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        for key_id in ("key_a", "key_a", "key_b"):
            await kept(records, key_id)
        keys: Any = type("Keys", (), {"store": type("S", (), {"database": images.database}), "threads": images.threads})
        boss, wanted = Actor("key:key_boss"), erasing.Wanted("key_a")
        with pytest.raises(BadParameter, match="FACE_API_STORAGE_URL"):
            await erasing.erase(keys, None, wanted, boss, time.time(), 100)
        assert await erasing.erase(keys, images, wanted, boss, time.time(), 100) == erasing.Erased(2, 2)
        assert len(objects_in(tmp_path)) == len(await images.page("key_b", "", 10)) == 1
        with images.database.read() as connection:
            assert set(connection.execute(select(image_table.IMAGES.c.key_id)).scalars()) == {"key_b"}


async def test_a_storage_of_another_database_or_without_its_pictures_is_not_used(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        await kept(records)
    shared_folder = folder_of(tmp_path).as_uri()
    database_in(tmp_path / "other").close()
    loops, settings = Loops(), settings_in(tmp_path / "other", records="required", storage_url=shared_folder)
    async with open_records(settings, loops) as (records_there, images):
        assert images is not None
        assert "belong to another database" in images.storage.condition.why
        with pytest.raises(StorageDown):
            await records_there.keep(fresh(), PICTURE)  # type: ignore[union-attr]
    await loops.aclose()
    assert len(objects_in(tmp_path)) == 1
    folder_of(tmp_path).rename(tmp_path / "not mounted")
    async with opened(tmp_path) as (_, images):
        assert "is not where the 1 pictures" in images.storage.condition.why
        with pytest.raises(ConfigurationError):
            await images.settle()


async def test_nothing_is_put_into_a_folder_whose_disk_is_gone_until_it_is_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        await kept(records)
        with gone(folder_of(tmp_path)):
            folder_of(tmp_path).mkdir()
            for _ in range(2):
                with pytest.raises(StorageDown):
                    await records.keep(fresh(), PICTURE)
                assert "mount" in images.storage.condition.why
            await images.sweep()  # every process finds it out, though nothing is put
            assert "is not where the" in images.storage.condition.why
            assert objects_in(tmp_path) == set()
            folder_of(tmp_path).rmdir()
        await images.sweep()
        await kept(records)


class Hanging:
    """Puts that do not come back until they may."""

    def __init__(self, images: Images, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
        monkeypatch.setattr(storage, "CALL_S_MAX", 0.05)
        monkeypatch.setattr(images.storage.objects, "put", self.put)
        images.storage.threads = StoreThreads(storage.NAME, StorageDown, threads)
        self._put, self._may = type(images.storage.objects).put, Event()
        self._objects = images.storage.objects

    def put(self, *arguments: Any) -> None:
        assert self._may.wait(60)
        self._put(self._objects, *arguments)  # type: ignore[arg-type]

    async def end(self, tmp_path: Path, images: Images) -> None:
        """What hung has come back, and left nothing; the sweeper may be trying it, too."""
        self._may.set()
        while images.storage.waiting_bytes or not images.storage.condition.ready or objects_in(tmp_path):
            await asyncio.sleep(0.01)
            with contextlib.suppress(StorageDown):
                await images.storage.probe()


async def test_a_put_that_hangs_holds_its_place_in_the_queue_and_leaves_nothing_when_it_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (records, images):
        images.storage.queue_bytes = len(MASKED)
        hanging = Hanging(images, monkeypatch, threads=2)
        for _ in range(3):
            with pytest.raises(StorageDown):
                await records.keep(fresh(), PICTURE)
            assert images.storage.waiting_bytes == len(MASKED)
        await hanging.end(tmp_path, images)
        await kept(records)


async def test_while_all_calls_hang_more_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (records, images):
        hanging = Hanging(images, monkeypatch, threads=1)
        with pytest.raises(StorageDown):
            await records.keep(fresh(), PICTURE)
        monkeypatch.setattr(storage, "CALL_S_MAX", 60.0)
        with pytest.raises(StorageDown, match="FACE_API_RECORDS=required"):
            await records.keep(fresh(), PICTURE)
        for refused in (images.storage.read("0a"), images.storage.probe()):
            with pytest.raises(StorageDown, match="1 calls hang"):
                await refused
        await hanging.end(tmp_path, images)
        await kept(records)
