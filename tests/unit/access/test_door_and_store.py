"""The door and the store behind it: one that is down, that changes elsewhere, that moves to another pepper."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.keys.opening import open_store
from gateway.keys.pepper import rotate_file
from gateway.keys.records import Draft
from gateway.keys.usage import day_of, requests_on
from gateway.stores.database import FILE_NAME
from gateway.stores.key_format import new_key
from shared.errors import Forbidden, RateLimited, StoreDown, Unauthorized
from tests.unit.access.doorstep import make, opened, scope
from tests.unit.access.stores import ME, settings_in
from tests.waiting import WAIT_S_MAX


async def test_guesses_beyond_the_limit_ask_no_store(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1, key_check_seconds=4)) as door:
        with pytest.raises(Unauthorized):
            await door.enter(scope(new_key()), "detect")
        (tmp_path / "var" / FILE_NAME).unlink()
        for _ in range(50):
            with pytest.raises(RateLimited):
                await door.enter(scope(new_key()), "detect")
        assert door.keys.cache.ready  # nobody noticed that the store is gone: nobody asked it


async def test_revocation_in_one_process_is_refused_in_another_within_its_check(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, key_check_seconds=0.1)
    async with opened(settings) as here, opened(settings) as there:
        key = make(here)
        entry = await there.enter(scope(key), "detect")
        here.keys.store.revoke(entry.principal.key_id, ME, time.time())
        async with asyncio.timeout(WAIT_S_MAX):
            while True:
                try:
                    await there.enter(scope(key), "detect")
                except Forbidden as refusal:
                    assert "revoked" in str(refusal)
                    break
                await asyncio.sleep(0.02)


async def test_with_the_store_gone_known_keys_pass_and_unknown_ones_get_503(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, key_grace_seconds=600)) as door:
        key = make(door)
        await door.enter(scope(key), "detect")
        (tmp_path / "var" / FILE_NAME).unlink()
        with pytest.raises(StoreDown) as refusal:
            await door.enter(scope(new_key()), "detect")
        assert (refusal.value.status, refusal.value.retry_after_s) == (503, 5)
        with pytest.raises(Unauthorized):
            await door.enter(scope("typo"), "detect")
        await door.enter(scope(key), "detect")


@pytest.mark.parametrize("known_down", [False, True])
async def test_keys_that_no_store_could_judge_are_never_counted_as_wrong(tmp_path: Path, known_down: bool) -> None:
    async with opened(settings_in(tmp_path, rate_limit_wrong_keys=3)) as door:
        store = tmp_path / "var" / FILE_NAME
        hidden = store.rename(store.with_suffix(".hidden"))
        if known_down:
            with pytest.raises(StoreDown):
                await door.keys.cache.refresh()
        for _ in range(5):
            with pytest.raises(StoreDown):
                await door.enter(scope(new_key()), "detect")
        hidden.rename(store)
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await door.enter(scope(new_key()), "detect")
        with pytest.raises(RateLimited):
            await door.enter(scope(new_key()), "detect")


async def test_one_who_leaves_while_the_store_is_asked_is_not_counted(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1)) as door:
        asked = asyncio.Event()

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        really, door.keys.cache.refresh = door.keys.cache.refresh, never
        entering = asyncio.create_task(door.enter(scope(new_key()), "detect"))
        await asked.wait()
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        door.keys.cache.refresh = really
        with pytest.raises(Unauthorized):
            await door.enter(scope(new_key()), "detect")


async def test_past_the_grace_nobody_passes_without_the_store(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, key_grace_seconds=0, key_check_seconds=0.1)) as door:
        key = make(door)
        await door.enter(scope(key), "detect")
        (tmp_path / "var" / FILE_NAME).unlink()
        with pytest.raises(StoreDown):
            await door.enter(scope(new_key()), "detect")
        with pytest.raises(StoreDown):
            await door.enter(scope(key), "detect")


async def test_a_process_that_starts_while_the_store_is_down_serves_when_it_is_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, key_check_seconds=0.1)
    async with opened(settings) as door:
        key = make(door)
    store = tmp_path / "var" / FILE_NAME
    hidden = store.rename(store.with_suffix(".hidden"))
    store.mkdir()
    async with opened(settings) as door:
        with pytest.raises(StoreDown):
            await door.enter(scope(key), "detect")
        store.rmdir()
        hidden.rename(store)
        await door.enter(scope(key), "detect")


async def test_a_rotated_pepper_is_taken_up_while_running_and_used_keys_move_to_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with opened(settings) as door:
        old = make(door)
        await door.enter(scope(old), "detect")
        peppers = rotate_file(settings)
        await door.keys.cache.refresh()
        new = door.keys.store.create(Draft(name="new"), peppers, ME, time.time()).key
        await door.enter(scope(new), "detect")
        await door.enter(scope(old), "detect")
        await door.upkeep.hand_in()
        await door.keys.cache.refresh()
        await door.enter(scope(old), "detect")
        assert open_store(settings).peppers_in_use(time.time()) == {peppers.current: 2}


async def test_keys_used_while_others_are_moved_to_the_new_pepper_wait_for_the_next_time(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with opened(settings) as door:
        first, second = make(door), make(door)
        peppers = rotate_file(settings)
        await door.keys.cache.refresh()
        await door.enter(scope(first), "detect")
        begun, go_on = asyncio.Event(), threading.Event()
        loop, rehash = asyncio.get_running_loop(), door.keys.store.rehash

        def slowly(moved: Mapping[str, tuple[str, str]]) -> None:
            keys = iter(moved)
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(WAIT_S_MAX)
            assert len(list(keys)) == 1  # fails where the loop changes what this thread reads
            rehash(moved)

        door.keys.store.rehash = slowly
        handing_in = asyncio.create_task(door.upkeep.hand_in())
        await begun.wait()
        await door.enter(scope(second), "detect")
        go_on.set()
        await handing_in
        await door.upkeep.hand_in()
        assert door.keys.store.peppers_in_use(time.time()) == {peppers.current: 2}


async def test_what_a_store_that_is_down_could_not_take_is_taken_when_it_is_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with opened(settings) as door:
        key = make(door)
        peppers = rotate_file(settings)
        await door.keys.cache.refresh()
        entry = await door.enter(scope(key), "detect")
        door.upkeep.gathering.note(entry.principal.key_id, time.time(), error=False)
        store = tmp_path / "var" / FILE_NAME
        hidden = store.rename(store.with_suffix(".hidden"))
        with pytest.raises(StoreDown):
            await door.upkeep.hand_in()
        hidden.rename(store)
        await door.upkeep.hand_in()
        assert door.keys.store.peppers_in_use(time.time()) == {peppers.current: 1}
        today = day_of(time.time())
        assert requests_on(door.keys.store.database, today, [entry.principal.key_id]) != {}


async def test_a_pepper_that_is_rotated_again_before_a_key_has_moved_loses_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with opened(settings) as door:
        key = make(door)
        second = rotate_file(settings)
        await door.keys.cache.refresh()
        await door.enter(scope(key), "detect")
        rotate_file(settings)
        await door.keys.cache.refresh()
        await door.upkeep.hand_in()
        assert door.keys.store.peppers_in_use(time.time()) == {second.current: 1}
