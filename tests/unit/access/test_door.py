"""The door: keys, limits and addresses together, decided without the body."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.record import record_of
from gateway.stores.key_format import new_key
from shared.errors import BadParameter, Forbidden, RateLimited, Unauthorized
from tests.unit.access.doorstep import make, opened, scope
from tests.unit.access.stores import settings_in


async def test_a_key_made_a_moment_ago_elsewhere_is_let_in(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path)) as door:
        entry = await door.enter(scope(make(door)), "detect")
        assert entry.principal.key_id.startswith("key_")
        assert entry.principal.address == "198.51.100.7"
        assert entry.headers == [
            (b"ratelimit-policy", b'"detect";q=300;w=60'),
            (b"ratelimit", b'"detect";r=299;t=60'),
        ]


async def test_missing_wrong_and_misplaced_keys(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path)) as door:
        for wrong, error in ((None, "Missing"), ("", "Missing"), ("x", "Invalid"), (new_key(), "Invalid")):
            with pytest.raises(Unauthorized, match=error):
                await door.enter(scope(wrong), "detect")
        with pytest.raises(BadParameter):
            await door.enter(scope(make(door), query=b"api_key=1"), "detect")


async def test_scopes_are_kept(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path)) as door:
        key, admin = make(door, scopes=("detect",)), make(door, scopes=("admin",))
        await door.enter(scope(key), "detect")
        with pytest.raises(Forbidden):
            await door.enter(scope(key), "mask")
        with pytest.raises(Forbidden):
            await door.enter(scope(key), "admin")
        assert (await door.enter(scope(admin), "admin")).principal.key_id.startswith("key_")


async def test_the_address_limit_is_shared_by_keys_and_a_keys_own_limit_replaces_it(tmp_path: Path) -> None:
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


async def test_a_request_that_ended_in_503_is_not_charged_and_only_once(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_detect=2, api_key_enabled=False)) as door:
        one = await door.enter(scope(), "detect")
        await door.enter(scope(), "detect")
        await one.refund()
        await one.refund()
        await door.enter(scope(), "detect")
        with pytest.raises(RateLimited):
            await door.enter(scope(), "detect")


async def test_the_answer_tells_the_limit_as_it_stands_after_a_refund(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_detect=2, api_key_enabled=False)) as door:
        asked = scope() | {"state": {}}
        entry = await door.enter(asked, "detect")
        assert record_of(asked).limit_headers[1] == (b"ratelimit", b'"detect";r=1;t=60')
        await entry.refund()
        assert record_of(asked).limit_headers[1] == (b"ratelimit", b'"detect";r=2;t=60')


async def test_the_queue_is_shared_by_key_or_by_what_one_customer_owns(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path)) as door:
        key = make(door)
        one = await door.enter(scope(key), "detect")
        assert one.client == one.principal.key_id
    async with opened(settings_in(tmp_path, api_key_enabled=False)) as door:
        peers = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "198.51.100.7")
        clients = [(await door.enter(scope(peer=peer), "detect")).client for peer in peers]
        assert clients == ["2001:db8::/64", "2001:db8::/64", "2001:db8:0:1::/64", "198.51.100.7"]


async def test_wrong_keys_are_limited_by_themselves_and_right_ones_still_pass(tmp_path: Path) -> None:
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


async def test_a_new_key_is_not_counted_as_a_wrong_one(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1)) as door:
        for _ in range(3):
            await door.enter(scope(make(door)), "detect")
        with pytest.raises(Unauthorized):
            await door.enter(scope("typo"), "detect")


async def test_a_dead_key_is_told_so_however_often_it_comes(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, rate_limit_wrong_keys=1)) as door:
        key = make(door, scopes=("mask",))
        for _ in range(5):
            with pytest.raises(Forbidden):
                await door.enter(scope(key), "detect")


async def test_limits_off_means_no_limit_and_no_headers(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, rate_limit_enabled=False, api_key_enabled=False, rate_limit_detect=1)
    async with opened(settings) as door:
        for _ in range(10):
            assert (await door.enter(scope(), "detect")).headers == []


async def test_keys_off_lets_everybody_in_but_not_to_the_admin_api(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path, api_key_enabled=False)) as door:
        assert (await door.enter(scope("whatever"), "detect")).principal.key_id == "anonymous"
        with pytest.raises(Unauthorized):
            await door.enter(scope(), "admin")


async def test_with_the_limits_file_broken_a_local_limit_takes_over(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "limits.sqlite").write_bytes(b"nothing of the kind" * 100)
    async with opened(settings_in(tmp_path, api_key_enabled=False, rate_limit_detect=3)) as door:
        for _ in range(3):
            await door.enter(scope(), "detect")
        with pytest.raises(RateLimited):
            await door.enter(scope(), "detect")
        door.counters.hand_in()
        assert door.counters.total()["limiter_failures.host-wide"] >= 1


async def test_the_body_is_never_asked_for(tmp_path: Path) -> None:
    async with opened(settings_in(tmp_path)) as door:
        assert "receive" not in scope()
        with pytest.raises(Unauthorized):
            await door.enter(scope(), "detect")
