"""The comparison of table and folder: what is alone is found, and a backup that came back costs no picture."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.keys.audit import Actor
from gateway.records import comparing, erasing, keeping, storage_mark
from gateway.records.image import new_object
from gateway.records.images import Images
from shared.errors import ConfigurationError
from tests.unit.records.drawn import file_of
from tests.unit.records.test_images import MASKED, folder_of, gone, kept, objects_in, opened


async def not_now(_images: Images) -> None:
    """In place of the comparison at the start, which would count the same things."""


def later(images: Images, seconds: float) -> None:
    images.now = lambda: time.time() + seconds


async def test_what_is_alone_in_folder_or_table_is_found_by_comparison_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "compare_daily", not_now)
    async with opened(tmp_path) as (records, images):
        whole, without_object, young = [await kept(records) for _ in range(3)]
        names = {each.id: each.object for each in await images.page("key_a", "", 10)}
        (folder_of(tmp_path) / names[without_object.image_id or ""]).unlink()
        cut_off = f".{new_object()}.x1"
        for name in (new_object(), cut_off, "readme.txt"):
            (folder_of(tmp_path) / name).write_bytes(b"left")
        await comparing.compare(images)
        assert len(objects_in(tmp_path)) == 5  # all of them may be under way
        later(images, comparing.YOUNG_S + 1)
        await comparing.compare(images)
        told = images.storage.condition
        assert (told.alone, told.missing, len(objects_in(tmp_path))) == (1, 1, 4)  # what was cut off is nobody's
        later(images, images.ttl_s + 1)
        await comparing.compare(images)
        left = {names[whole.image_id or ""], names[young.image_id or ""]}
        assert objects_in(tmp_path) == left | {"readme.txt"}
        images.now = time.time
        assert {each.object for each in await images.page("key_a", "", 10)} == left
        assert (told.alone, told.missing) == (2, 1)


async def test_a_database_from_a_backup_costs_no_picture_that_would_still_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as (records, _):
        await kept(records)
    file, backup, right = file_of(tmp_path), tmp_path / "backup", tmp_path / "right"
    shutil.copy(file, backup)
    async with opened(tmp_path) as (records, _):
        newer = await kept(records)
    shutil.copy(file, right)
    shutil.copy(backup, file)
    async with opened(tmp_path) as (records, images):
        later(images, comparing.YOUNG_S + 1)
        await comparing.compare(images)
        assert "1 pictures have no row" in caplog.text
    shutil.copy(right, file)
    async with opened(tmp_path) as (records, images):
        assert (await images.content("key_a", newer.image_id or ""))[1] == MASKED


async def test_a_storage_from_a_backup_costs_no_row_while_too_many_have_lost_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(comparing, "MISSING_MAX", 1)
    async with opened(tmp_path) as (records, images):
        told = [await kept(records) for _ in range(3)]
        away = tmp_path / "away"
        away.mkdir()
        for name in list(objects_in(tmp_path))[:2]:
            shutil.move(folder_of(tmp_path) / name, away / name)
        later(images, comparing.YOUNG_S + 1)
        await comparing.compare(images)
        assert "2 of 3 pictures are not in" in caplog.text
        for file in away.iterdir():
            shutil.move(file, folder_of(tmp_path) / file.name)
        for each in told:
            assert (await images.content("key_a", each.image_id or ""))[1] == MASKED


async def test_erasure_by_date_takes_pictures_that_have_lost_their_rows_and_erasure_by_key_cannot(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (_, images):
        for age_s in (7200.0, 60.0):
            left = folder_of(tmp_path) / new_object()
            left.write_bytes(b"left")
            os.utime(left, (time.time() - age_s,) * 2)
        keys: Any = SimpleNamespace(store=SimpleNamespace(database=images.database), threads=images.threads)
        boss, hour_ago = Actor("key:key_boss"), time.time() - 3600
        for wanted, count in ((erasing.Wanted("key_a", hour_ago), 0), (erasing.Wanted("", hour_ago), 1)):
            assert await erasing.erase(keys, images, wanted, boss, time.time(), 100) == erasing.Erased(0, count)
        assert len(objects_in(tmp_path)) == 1


async def test_one_of_all_processes_compares_once_a_day_and_never_with_a_folder_that_is_not_mounted(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (records, images):
        told, day = await kept(records), comparing.DAY_S
        moment = time.time() + day + 1
        taken = [storage_mark.take_comparison(images.database, moment, day) for _ in range(3)]
        assert taken == [True, False, False]
        assert storage_mark.take_comparison(images.database, moment + day, day)
        later(images, comparing.YOUNG_S + 1)
        with gone(folder_of(tmp_path)):
            folder_of(tmp_path).mkdir()
            with pytest.raises(ConfigurationError, match="is not where the 1 pictures"):
                await comparing.compare(images)
            folder_of(tmp_path).rmdir()
        await images.sweep()
        assert (await images.content("key_a", told.image_id or ""))[1] == MASKED
