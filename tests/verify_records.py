"""`make verify`: pictures in a bucket of a real S3 server, and that it may be wrong, gone or slow.

What a folder does a bucket does: `tests/unit/records` shows it with a folder. `tests/verify_rounds.py` kills everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.records import image_table, table
from gateway.records.images import Images
from gateway.records.keeping import Records
from gateway.records.storage_mark import check_storage
from gateway.stores.objects import MARK, Objects
from gateway.stores.s3_objects import S3Objects
from gateway.stores.storage_url import open_objects
from shared.errors import ConfigurationError, NotFound, StorageDown, StorageRefused
from tests.buckets import NAME, Bucket, bucket
from tests.unit.records.drawn import database_in, records_in, settings_in
from tests.unit.records.test_images import MASKED, PICTURE, fresh

PLACE = f"s3://{NAME}/pictures"


@pytest.fixture(scope="module")
def started() -> Iterator[Bucket]:
    with bucket() as server:
        yield server


@pytest.fixture
def server(started: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Empty, and found by the environment."""
    for name, value in started.environment.items():
        monkeypatch.setenv(name, value)
    started.empty()
    return started


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, mode: str = "required", **more: Any) -> AsyncIterator[tuple[Records, Images]]:
    async with records_in(tmp_path, mode, storage_url=PLACE, **more) as records:
        assert records.images is not None
        yield records, records.images


def objects() -> Objects:
    found = open_objects(settings_in(Path(), storage_url=PLACE))
    assert found is not None
    return found


async def test_a_picture_is_kept_read_shown_by_its_url_and_deleted(server: Bucket, tmp_path: Path) -> None:
    async with opened(tmp_path, storage_encryption="AES256") as (records, images):
        told = await records.keep(fresh(), PICTURE)
        image, data = await images.content("key_a", told.image_id or "")
        assert (data, image.media_type) == (MASKED, "image/jpeg")
        assert server.names() == {f"pictures/{MARK}", f"pictures/{image.object}"}
        url, until = await images.url("key_a", image.id)
        async with httpx2.AsyncClient() as anybody:
            answer = await anybody.get(url)
            assert (answer.content, answer.headers["content-type"]) == (MASKED, "image/jpeg")
            assert (await anybody.get(url.partition("?")[0])).status_code == 403
        assert until - time.time() <= 300
        assert await images.delete("key_a", image.id)
        with pytest.raises(NotFound):
            await images.content("key_a", image.id)
    assert server.names() == {f"pictures/{MARK}"}


def test_a_put_goes_over_nothing_and_all_that_is_there_is_found(server: Bucket) -> None:
    mine = objects()
    mine.put("0a", b"one", "text/plain")
    with pytest.raises(StorageDown):
        mine.put("0a", b"two", "text/plain")
    assert mine.read("0a") == b"one"
    assert mine.read("0b") is None
    for number in range(1005):  # more than a page of a listing, or of a deletion
        mine.put(f"1{number}", b"", "text/plain")
    found = list(mine.found())
    assert len(found) == 1006
    assert all(abs(each.written_at - time.time()) < 3600 for each in found)
    mine.delete([each.name for each in found] + ["0b"])
    assert server.names() == set()


def test_wrong_credentials_end_the_start_and_say_what_to_look_at(
    server: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, settings = database_in(tmp_path), settings_in(tmp_path, storage_url=PLACE)
    check_storage(settings, database)
    for name, said in (("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId")):
        with monkeypatch.context() as wrong, pytest.raises(ConfigurationError, match=f"{said}; look at AWS_ACCESS_KEY"):
            wrong.setenv(name, "nonsense")
            check_storage(settings, database)
    database.close()
    assert server.names() == {f"pictures/{MARK}"}


async def test_credentials_that_are_wrong_from_now_on_are_told_and_lose_nothing(server: Bucket, tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        told = await records.keep(fresh(), PICTURE)
        right = images.storage.objects
        with pytest.MonkeyPatch.context() as wrong:
            wrong.setenv("AWS_SECRET_ACCESS_KEY", "nonsense")
            images.storage.objects = S3Objects(NAME, "pictures", "off")
        with pytest.raises(StorageDown):
            await records.keep(fresh(), PICTURE)
        assert "refuses the credentials: SignatureDoesNotMatch" in images.storage.condition.why
        with pytest.raises(StorageRefused):
            await images.content("key_a", told.image_id or "")
        images.storage.objects = right
        await images.sweep()
        assert (await images.content("key_a", told.image_id or ""))[1] == MASKED
        assert (await records.keep(fresh(), PICTURE)).image_id
    assert len(server.names()) == 3


async def test_required_refuses_while_the_server_is_gone_and_goes_on_when_it_is_back(
    server: Bucket, tmp_path: Path
) -> None:
    async with opened(tmp_path) as (records, images):
        told = await records.keep(fresh(), PICTURE)
        server.kill()
        with pytest.raises(StorageDown):
            await records.keep(fresh(), PICTURE)
        assert not images.storage.condition.ready
        assert not await images.delete("key_a", told.image_id or "")  # 202: nobody sees it any more
        server.restart()
        again = await records.keep(fresh(), PICTURE)
        images.now = lambda: time.time() + image_table.HOLD_S + 1
        await images.sweep()
        image = await images.one("key_a", again.image_id or "")
    assert server.names() == {f"pictures/{MARK}", f"pictures/{image.object}"}


async def test_best_effort_waits_a_second_for_a_server_that_hangs_and_its_picture_may_come_later(
    server: Bucket, tmp_path: Path
) -> None:
    async with opened(tmp_path, "best_effort") as (records, images):
        server.freeze()
        try:
            told = await records.keep(fresh(), PICTURE)
            assert (told.image_id, images.storage.condition.unconfirmed) == (None, 1)
        finally:
            server.thaw()
        await records.finish()  # it arrives after all, with its row
        (late,) = await images.page("key_a", "", 10)
        assert (await images.content("key_a", late.id))[1] == MASKED
    assert server.names() == {f"pictures/{MARK}", f"pictures/{late.object}"}


async def test_a_bucket_that_is_gone_is_not_taken_for_an_empty_one(server: Bucket, tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, images):
        told = await records.keep(fresh(), PICTURE)
        server.shell(f"s3.bucket.delete -name {NAME}")
        await images.sweep()
        assert f"{PLACE} is not where the 1 pictures of this database are" in images.storage.condition.why
        with pytest.raises(StorageDown):
            await records.keep(fresh(), PICTURE)
        with pytest.raises(NotFound):
            await images.content("key_a", told.image_id or "")
        assert await images.one("key_a", told.image_id or "")  # for when the right one is back
        assert len(await asyncio.to_thread(table.page, records.database, "key_a", "", 10, time.time())) == 1
    with pytest.raises(ConfigurationError, match="name that place again or mount it"):
        check_storage(settings_in(tmp_path, storage_url=PLACE), database_in(tmp_path))
