"""The window: one rule, the same for every limiter that needs no server."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.access import rate_limit
from gateway.access.rate_limit import BUCKETS_MAX, FallbackLimiter, Hit, Limiter, LimiterDown, MemoryLimiter
from gateway.access.rate_limit_sqlite import FILE_NAME, SWEPT_AT_ONCE, TIDY_EVERY, SqliteLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Make = Callable[[Clock], Limiter]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        return lambda clock: MemoryLimiter(now=clock)
    return lambda clock: SqliteLimiter(tmp_path, now=clock)


async def allowed(limiter: Limiter, bucket: str, limit: int, tries: int, window_s: float = 60) -> int:
    return sum([(await limiter.hit(bucket, limit, window_s)).allowed for _ in range(tries)])


async def test_exactly_the_limit_passes(make: Make) -> None:
    async with contextlib.aclosing(make(Clock())) as limiter:
        assert await allowed(limiter, "a", 300, 300) == 300
        assert await allowed(limiter, "a", 300, 100) == 0


async def test_the_window_begins_with_the_first_request_and_lasts_its_length(make: Make) -> None:
    clock = Clock()
    async with contextlib.aclosing(make(clock)) as limiter:
        first = await limiter.hit("a", 2, 60)
        assert (first.remaining, first.reset_s) == (1, 60)
        clock.now += 50
        assert (await limiter.hit("a", 2, 60)).reset_s == 10
        clock.now += 9.5
        refused = await limiter.hit("a", 2, 60)
        assert (refused.allowed, refused.remaining, refused.reset_s) == (False, 0, 0.5)
        clock.now += 0.5
        again = await limiter.hit("a", 2, 60)
        assert (again.allowed, again.remaining, again.reset_s) == (True, 1, 60)


async def test_buckets_do_not_touch_each_other(make: Make) -> None:
    async with contextlib.aclosing(make(Clock())) as limiter:
        assert await allowed(limiter, "detect:a", 3, 5) == 3
        assert await allowed(limiter, "mask:a", 2, 5) == 2
        assert await allowed(limiter, "detect:b", 3, 5) == 3


async def test_a_refunded_request_may_come_again(make: Make) -> None:
    async with contextlib.aclosing(make(Clock())) as limiter:
        charge = await limiter.hit("a", 1, 60)
        assert not (await limiter.hit("a", 1, 60)).allowed
        await limiter.refund(charge)
        assert (await limiter.hit("a", 1, 60)).allowed


async def test_a_refund_for_a_window_that_ended_changes_nothing(make: Make) -> None:
    clock = Clock()
    async with contextlib.aclosing(make(clock)) as limiter:
        old = await limiter.hit("a", 2, 60)
        clock.now += 61
        assert (await limiter.hit("a", 2, 60)).remaining == 1
        await limiter.refund(old)
        assert (await limiter.hit("a", 2, 60)).remaining == 0


async def test_refusals_are_not_charged_so_refunds_stay_true(make: Make) -> None:
    async with contextlib.aclosing(make(Clock())) as limiter:
        charge = await limiter.hit("a", 2, 60)
        assert await allowed(limiter, "a", 2, 10) == 1
        await limiter.refund(charge)
        assert await allowed(limiter, "a", 2, 10) == 1


async def test_a_limit_that_shrinks_refuses_and_one_that_grows_admits(make: Make) -> None:
    async with contextlib.aclosing(make(Clock())) as limiter:
        assert await allowed(limiter, "a", 5, 5) == 5
        assert await allowed(limiter, "a", 3, 1) == 0
        assert await allowed(limiter, "a", 7, 9) == 2


async def test_one_of_four_processes_alone_gives_a_quarter() -> None:
    assert await allowed(MemoryLimiter(share=0.25), "a", 300, 400) == 75
    assert await allowed(MemoryLimiter(share=0.25), "a", 1, 4) == 1


async def test_memory_holds_no_more_than_its_bound() -> None:
    limiter = MemoryLimiter(now=Clock())
    for n in range(BUCKETS_MAX + 50):
        await limiter.hit(str(n), 1, 60)
    assert len(limiter._windows) <= BUCKETS_MAX


async def test_ended_windows_leave_memory_and_file(tmp_path: Path) -> None:
    clock = Clock()
    memory, file = MemoryLimiter(now=clock), SqliteLimiter(tmp_path, now=clock)
    for n in range(100):
        await memory.hit(str(n), 1, 60)
        await file.hit(str(n), 1, 60)
    clock.now += 61
    for n in range(max(TIDY_EVERY, 60)):
        await memory.hit(f"new {n}", 1, 60)
        await file.hit(f"new {n}", 1, 60)
    assert len(memory._windows) <= 65
    rows = file.open().execute("SELECT count(*) FROM windows WHERE ends <= ?", (clock.now,)).fetchone()[0]
    assert rows == 0 and SWEPT_AT_ONCE >= 100
    await file.aclose()


@pytest.mark.parametrize("uptime_s", [5.0, 3000.0])
async def test_windows_of_an_earlier_boot_refuse_nobody_and_leave_the_file(tmp_path: Path, uptime_s: float) -> None:
    """The clock of windows begins anew with every boot; the folder may be kept over it."""
    before, after = Clock(), Clock()
    before.now, after.now = 1_000_000.0, uptime_s
    async with contextlib.aclosing(SqliteLimiter(tmp_path, now=before)) as limiter:
        assert await allowed(limiter, "a", 3, 5) == 3
        assert await allowed(limiter, "never seen again", 3, 5) == 3
    async with contextlib.aclosing(SqliteLimiter(tmp_path, now=after)) as limiter:
        first = await limiter.hit("a", 3, 60)
        assert (first.allowed, first.remaining, first.reset_s) == (True, 2, 60)
        assert await allowed(limiter, "a", 3, 5) == 2
        for n in range(TIDY_EVERY):
            await limiter.hit(str(n), 1, 60)
        rows = limiter.open().execute("SELECT bucket FROM windows WHERE bucket LIKE 'never%'").fetchall()
        assert rows == []


async def test_a_window_begun_while_another_process_waited_for_the_lock_is_the_same_window(tmp_path: Path) -> None:
    early, late = Clock(), Clock()
    late.now += 0.9
    here, there = SqliteLimiter(tmp_path, now=early), SqliteLimiter(tmp_path, now=late)
    assert (await there.hit("a", 2, 60)).allowed
    second = await here.hit("a", 2, 60)
    assert (second.allowed, second.remaining, second.reset_s) == (True, 0, 60)
    assert not (await here.hit("a", 2, 60)).allowed
    await here.aclose()
    await there.aclose()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_locked_file_never_blocks_the_loop_and_is_given_up_in_time(tmp_path: Path) -> None:
    async def work() -> None:
        limiter = SqliteLimiter(tmp_path)
        await limiter.hit("a", 1, 60)
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count_turns())
        with locked(tmp_path / FILE_NAME), pytest.raises(LimiterDown, match="locked"):
            await limiter.hit("a", 1, 60)
        counting.cancel()
        assert turns > 100
        assert not (await limiter.hit("a", 1, 60)).allowed  # the count was kept
        await limiter.aclose()

    asyncio.run(work())


async def test_a_short_lock_is_waited_out(tmp_path: Path) -> None:
    limiter = SqliteLimiter(tmp_path)
    await limiter.hit("a", 2, 60)
    with locked(tmp_path / FILE_NAME):
        waiting = asyncio.create_task(limiter.hit("a", 2, 60))
        await asyncio.sleep(0.02)
        assert not waiting.done()
    assert (await waiting).remaining == 0
    await limiter.aclose()


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


async def test_a_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    limiter = SqliteLimiter(tmp_path)
    await limiter.hit("a", 1000, 60)
    empty(tmp_path)
    for _ in range(TIDY_EVERY + 1):
        await limiter.hit("a", 1000, 60)
    assert (tmp_path / FILE_NAME).exists()
    await limiter.aclose()


def test_a_file_that_is_no_database_is_down_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(LimiterDown):
        asyncio.run(SqliteLimiter(tmp_path).hit("a", 1, 60))


def test_a_folder_that_cannot_be_made_is_down_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LimiterDown):
        asyncio.run(SqliteLimiter(tmp_path / "file" / "below").hit("a", 1, 60))


class Broken:
    """A limiter that can be switched off."""

    def __init__(self) -> None:
        self.works, self.asked = True, 0
        self._inner = MemoryLimiter()

    async def hit(self, bucket: str, limit: int, window_s: float) -> Hit:
        self.asked += 1
        if not self.works:
            raise LimiterDown("switched off")
        return await self._inner.hit(bucket, limit, window_s)

    async def refund(self, hit: Hit) -> None: ...

    async def aclose(self) -> None: ...


async def test_the_second_limiter_takes_over_at_once_and_the_first_comes_back() -> None:
    clock, first, failures = Clock(), Broken(), list[str]()
    limiter = FallbackLimiter(first, MemoryLimiter(now=clock), "Redis", failures.append, now=clock)
    assert await allowed(limiter, "a", 2, 1) == 1
    first.works = False
    assert await allowed(limiter, "a", 2, 5) == 2
    assert (failures, first.asked) == (["Redis"], 2)  # asked once, then left alone
    clock.now += 1.1
    assert await allowed(limiter, "a", 2, 5) == 0
    assert first.asked == 3
    first.works = True
    clock.now += 1.1
    assert await allowed(limiter, "a", 2, 5) == 1
    assert failures == ["Redis", "Redis"]


async def test_a_refund_goes_to_the_limiter_that_charged() -> None:
    first, second = Broken(), MemoryLimiter()
    limiter = FallbackLimiter(first, second, "Redis", lambda _: None)
    first.works = False
    charge = await limiter.hit("a", 1, 60)
    first.works = True
    await limiter.refund(charge)
    assert (await second.hit("a", 1, 60)).allowed


def test_headers_follow_the_draft_and_retry_after_is_never_early() -> None:
    hit = Hit(True, 300, 299, 59.2, "b", 0.0, MemoryLimiter())
    assert rate_limit.headers("detect", hit, 60.0) == [
        (b"ratelimit-policy", b'"detect";q=300;w=60'),
        (b"ratelimit", b'"detect";r=299;t=60'),
    ]
    refusal = rate_limit.refuse("detect", Hit(False, 300, 0, 0.01, "b", 0.0, MemoryLimiter()), 60.0, "Too many")
    assert (refusal.status, refusal.retry_after_s, str(refusal)) == (429, 1, "Too many; retry in 1 second")
    assert dict(refusal.headers)["ratelimit"] == '"detect";r=0;t=1'
