"""The door: keys, limits and addresses together, decided without the body."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.access.door import Door
from gateway.access.opening import open_access
from gateway.keys.opening import open_store
from gateway.keys.pepper import rotate_file
from gateway.keys.records import Draft
from gateway.keys.usage import day_of, requests_on
from gateway.record import record_of
from gateway.stores.database import FILE_NAME
from gateway.stores.key_format import new_key
from shared.errors import BadParameter, Forbidden, RateLimited, StoreDown, Unauthorized
from shared.settings import Settings
from tests.unit.access.stores import ME, settings_in


def scope(key: str | None = None, peer: str = "198.51.100.7", query: bytes = b"") -> dict[str, Any]:
    headers = [(b"host", b"x")] + ([(b"x-api-key", key.encode())] if key is not None else [])
    return {"type": "http", "client": (peer, 1), "headers": headers, "query_string": query}


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Door]:
    async with open_access(settings, Path(settings.runtime_dir)) as door:
        yield door


def make(door: Door, **draft: Any) -> str:
    """A new key, made as if by another process: this one was not told."""
    return door.keys.store.create(Draft(name="n", **draft), door.keys.cache.peppers, ME, time.time()).key


def test_a_key_made_a_moment_ago_elsewhere_is_let_in(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path)) as door:
            entry = await door.enter(scope(make(door)), "detect")
            assert entry.principal.key_id.startswith("key_")
            assert entry.principal.address == "198.51.100.7"
            assert entry.headers == [
                (b"ratelimit-policy", b'"detect";q=300;w=60'),
                (b"ratelimit", b'"detect";r=299;t=60'),
            ]

    asyncio.run(work())


def test_missing_wrong_and_misplaced_keys(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path)) as door:
            for wrong, error in ((None, "Missing"), ("", "Missing"), ("x", "Invalid"), (new_key(), "Invalid")):
                with pytest.raises(Unauthorized, match=error):
                    await door.enter(scope(wrong), "detect")
            with pytest.raises(BadParameter):
                await door.enter(scope(make(door), query=b"api_key=1"), "detect")

    asyncio.run(work())


def test_scopes_are_kept(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path)) as door:
            key, admin = make(door, scopes=("detect",)), make(door, scopes=("admin",))
            await door.enter(scope(key), "detect")
            with pytest.raises(Forbidden):
                await door.enter(scope(key), "mask")
            with pytest.raises(Forbidden):
                await door.enter_admin(scope(key))
            assert (await door.enter_admin(scope(admin))).principal.key_id.startswith("key_")

    asyncio.run(work())


def test_the_address_limit_is_shared_by_keys_and_a_keys_own_limit_replaces_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_detect=2)) as door:
            one, two, own = make(door), make(door), make(door, detect_limit=3)
            await door.enter(scope(one), "detect")
            await door.enter(scope(two), "detect")
            for key in (one, two):
                with pytest.raises(RateLimited) as refusal:
                    await door.enter(scope(key), "detect")
                assert dict(refusal.value.headers)["ratelimit"] == '"detect";r=0;t=60'
                assert refusal.value.retry_after_s == 60
            for n in range(3):
                await door.enter(scope(own, peer=f"198.51.100.{n}"), "detect")
            with pytest.raises(RateLimited):
                await door.enter(scope(own, peer="198.51.100.99"), "detect")
            await door.enter(scope(one, peer="198.51.100.8"), "detect")
            await door.enter(scope(one), "mask")

    asyncio.run(work())


def test_a_request_that_ended_in_503_is_not_charged_and_only_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_detect=2, api_key_enabled=False)) as door:
            one = await door.enter(scope(), "detect")
            await door.enter(scope(), "detect")
            await one.refund()
            await one.refund()
            await door.enter(scope(), "detect")
            with pytest.raises(RateLimited):
                await door.enter(scope(), "detect")

    asyncio.run(work())


def test_the_answer_tells_the_limit_as_it_stands_after_a_refund(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_detect=2, api_key_enabled=False)) as door:
            asked = scope() | {"state": {}}
            entry = await door.enter(asked, "detect")
            assert record_of(asked).limit_headers[1] == (b"ratelimit", b'"detect";r=1;t=60')
            await entry.refund()
            assert record_of(asked).limit_headers[1] == (b"ratelimit", b'"detect";r=2;t=60')

    asyncio.run(work())


def test_the_queue_is_shared_by_key_or_by_what_one_customer_owns(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path)) as door:
            key = make(door)
            one = await door.enter(scope(key), "detect")
            assert one.client == one.principal.key_id
        async with opened(settings_in(tmp_path, api_key_enabled=False)) as door:
            peers = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "198.51.100.7")
            clients = [(await door.enter(scope(peer=peer), "detect")).client for peer in peers]
            assert clients == ["2001:db8::/64", "2001:db8::/64", "2001:db8:0:1::/64", "198.51.100.7"]

    asyncio.run(work())


def test_wrong_keys_are_limited_by_themselves_and_right_ones_still_pass(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_wrong_keys=20)) as door:
            key = make(door)
            for n in range(20):
                with pytest.raises(Unauthorized):
                    await door.enter(scope(new_key() if n % 2 else "typo"), "detect")
            with pytest.raises(RateLimited, match="wrong API keys"):
                await door.enter(scope(new_key()), "detect")
            await door.enter(scope(key), "detect")  # known already or not: a neighbour's guesses lock nobody out
            with pytest.raises(Unauthorized):
                await door.enter(scope(new_key(), peer="198.51.100.8"), "detect")

    asyncio.run(work())


def test_a_new_key_is_not_counted_as_a_wrong_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1)) as door:
            for _ in range(3):
                await door.enter(scope(make(door)), "detect")
            with pytest.raises(Unauthorized):
                await door.enter(scope("typo"), "detect")

    asyncio.run(work())


def test_a_dead_key_is_told_so_however_often_it_comes(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1)) as door:
            key = make(door, scopes=("mask",))
            for _ in range(5):
                with pytest.raises(Forbidden):
                    await door.enter(scope(key), "detect")

    asyncio.run(work())


def test_guesses_beyond_the_limit_ask_no_store(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1, key_check_seconds=4)) as door:
            with pytest.raises(Unauthorized):
                await door.enter(scope(new_key()), "detect")
            (tmp_path / "var" / FILE_NAME).unlink()
            for _ in range(50):
                with pytest.raises(RateLimited):
                    await door.enter(scope(new_key()), "detect")
            assert door.keys.cache.ready  # nobody noticed that the store is gone: nobody asked it

    asyncio.run(work())


def test_limits_off_means_no_limit_and_no_headers(tmp_path: Path) -> None:
    async def work() -> None:
        settings = settings_in(tmp_path, rate_limit_enabled=False, api_key_enabled=False, rate_limit_detect=1)
        async with opened(settings) as door:
            for _ in range(10):
                assert (await door.enter(scope(), "detect")).headers == []

    asyncio.run(work())


def test_keys_off_lets_everybody_in_but_not_to_the_admin_api(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, api_key_enabled=False)) as door:
            assert (await door.enter(scope("whatever"), "detect")).principal.key_id == "anonymous"
            with pytest.raises(Unauthorized):
                await door.enter_admin(scope())

    asyncio.run(work())


def test_revocation_in_one_process_is_refused_in_another_within_its_check(tmp_path: Path) -> None:
    async def work() -> None:
        settings = settings_in(tmp_path, key_check_seconds=0.1)
        async with opened(settings) as here, opened(settings) as there:
            key = make(here)
            entry = await there.enter(scope(key), "detect")
            here.keys.store.revoke(entry.principal.key_id, ME, time.time())
            async with asyncio.timeout(5):
                while True:
                    try:
                        await there.enter(scope(key), "detect")
                    except Forbidden as refusal:
                        assert "revoked" in str(refusal)
                        break
                    await asyncio.sleep(0.02)

    asyncio.run(work())


def test_with_the_store_gone_known_keys_pass_and_unknown_ones_get_503(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


@pytest.mark.parametrize("known_down", [False, True])
def test_keys_that_no_store_could_judge_are_never_counted_as_wrong(tmp_path: Path, known_down: bool) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_one_who_leaves_while_the_store_is_asked_is_not_counted(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_past_the_grace_nobody_passes_without_the_store(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path, key_grace_seconds=0, key_check_seconds=0.1)) as door:
            key = make(door)
            await door.enter(scope(key), "detect")
            (tmp_path / "var" / FILE_NAME).unlink()
            with pytest.raises(StoreDown):
                await door.enter(scope(new_key()), "detect")
            with pytest.raises(StoreDown):
                await door.enter(scope(key), "detect")

    asyncio.run(work())


def test_a_process_that_starts_while_the_store_is_down_serves_when_it_is_back(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_a_rotated_pepper_is_taken_up_while_running_and_used_keys_move_to_it(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_keys_used_while_others_are_moved_to_the_new_pepper_wait_for_the_next_time(tmp_path: Path) -> None:
    async def work() -> None:
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
                assert go_on.wait(5)
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

    asyncio.run(work())


def test_what_a_store_that_is_down_could_not_take_is_taken_when_it_is_back(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_a_pepper_that_is_rotated_again_before_a_key_has_moved_loses_nothing(tmp_path: Path) -> None:
    async def work() -> None:
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

    asyncio.run(work())


def test_with_the_limits_file_broken_a_local_limit_takes_over(tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "limits.sqlite").write_bytes(b"nothing of the kind" * 100)
        async with opened(settings_in(tmp_path, api_key_enabled=False, rate_limit_detect=3)) as door:
            for _ in range(3):
                await door.enter(scope(), "detect")
            with pytest.raises(RateLimited):
                await door.enter(scope(), "detect")
            door.counters.hand_in()
            assert door.counters.total()["limiter_failures.host-wide"] >= 1

    asyncio.run(work())


def test_the_body_is_never_asked_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(settings_in(tmp_path)) as door:
            assert "receive" not in scope()
            with pytest.raises(Unauthorized):
                await door.enter(scope(), "detect")

    asyncio.run(work())
