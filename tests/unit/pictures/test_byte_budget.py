"""The budget of bytes: first come first served, nothing lost when somebody leaves."""

from __future__ import annotations

import asyncio

from gateway.pictures.byte_budget import ByteBudget
from gateway.pictures.headers.facts import Header
from gateway.pictures.memory_need import bodies_max, budget, decoding, holding, masking
from shared.settings import MEBIBYTE, Settings


async def gets(house: ByteBudget, wanted: int) -> bool:
    """Whether there is room now."""
    try:
        async with asyncio.timeout(0):
            await house.take(wanted)
    except TimeoutError:
        return False
    return True


async def test_bytes_up_to_the_total_are_given_at_once_and_one_more_waits() -> None:
    house = ByteBudget(100)
    assert [await gets(house, wanted) for wanted in (60, 40, 1)] == [True, True, False]
    house.give(1)
    assert await gets(house, 1)
    assert house.free == 0


async def test_who_comes_first_is_served_first_even_when_a_later_one_would_fit() -> None:
    house, served = ByteBudget(100), []

    async def one(name: str, wanted: int) -> None:
        await house.take(wanted)
        served.append(name)

    await house.take(90)
    tasks = [asyncio.create_task(one("large", 80)), asyncio.create_task(one("small", 5))]
    await asyncio.sleep(0)
    assert served == []
    house.give(90)
    await asyncio.gather(*tasks)
    assert served == ["large", "small"]


async def test_who_leaves_the_line_lets_the_next_one_pass() -> None:
    house = ByteBudget(100)
    await house.take(50)
    large, small = asyncio.create_task(house.take(80)), asyncio.create_task(house.take(30))
    await asyncio.sleep(0)
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)
    await small
    assert house.free == 20


async def test_a_turn_granted_to_someone_who_is_leaving_goes_back() -> None:
    house = ByteBudget(100)
    await house.take(100)
    waiting = asyncio.create_task(house.take(70))
    await asyncio.sleep(0)
    house.give(100)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert house.free == 100


async def test_who_wants_more_than_there_is_waits_until_he_is_alone_and_gets_all() -> None:
    house = ByteBudget(100)
    await house.take(1)
    waiting = asyncio.create_task(house.take(500))
    await asyncio.sleep(0)
    assert not waiting.done()
    house.give(1)
    assert await waiting == 100
    house.give(100)


def test_the_budget_is_a_quarter_of_the_memory_inside_its_bounds_and_shared_by_gateways() -> None:
    assert budget(Settings(), 2048 * MEBIBYTE) == 512 * MEBIBYTE
    assert budget(Settings(), 100 * MEBIBYTE) == 256 * MEBIBYTE
    assert budget(Settings(), 1 << 40) == 8192 * MEBIBYTE
    assert budget(Settings(decode_budget_bytes=300 * MEBIBYTE), 1 << 40) == 300 * MEBIBYTE
    assert budget(Settings(gateway_processes=4), 2048 * MEBIBYTE) == 128 * MEBIBYTE


def test_what_bodies_may_take_is_a_part_of_the_memory_divided_among_gateway_processes() -> None:
    assert bodies_max(Settings(), 4096 * MEBIBYTE) == 512 * MEBIBYTE
    assert bodies_max(Settings(), 100 * MEBIBYTE) == 128 * MEBIBYTE
    assert bodies_max(Settings(), 1 << 40) == 2048 * MEBIBYTE
    assert bodies_max(Settings(gateway_processes=4), 4096 * MEBIBYTE) == 128 * MEBIBYTE
    assert bodies_max(Settings(max_queue_bytes=300 * MEBIBYTE, gateway_processes=4), 1 << 40) == 300 * MEBIBYTE


def test_what_needs_more_memory_is_counted_as_more() -> None:
    plain = Header("png", 1000, 1000)
    assert decoding(Header("jpeg", 1000, 1000, progressive=True), to_mask=False) > decoding(plain, to_mask=False)
    assert decoding(Header("png", 1000, 1000, alpha=True), to_mask=True) > decoding(plain, to_mask=True)
    assert holding(plain, (640,), to_mask=True) == 640 * 640 * 3 + 3_000_000
    assert holding(plain, (640,), to_mask=False) == 640 * 640 * 3
    assert holding(plain, (640,), 16, to_mask=False) == (1 + 4) * 640 * 640 * 3
    assert holding(Header("jpeg", 640, 640), (640,), 16, to_mask=False) == 640 * 640 * 3
    assert holding(Header("png", 1000, 1000, alpha=True), (640,), to_mask=True) == 2 * 640 * 640 * 3 + 4_000_000
    assert masking(plain, "webp") > masking(plain, "png") > masking(plain, "jpeg")
    inks = Header("jpeg", 1000, 1000, samples=4, cmyk=True, icc=500_000)
    assert decoding(inks, to_mask=True) > decoding(inks, to_mask=False) + 4_000_000 + 500_000
