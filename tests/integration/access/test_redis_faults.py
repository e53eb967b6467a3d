"""Redis gone, hanging, slow, read-only, or with another password: a local limit takes over, nothing answers 500.

fault                    first answer after        later answers          when it is over
killed                   local limit at once       local limit            Redis counts within 1 s + one request
stopped (SIGSTOP)        local after the timeout   local limit            the same
slower than the timeout  local after the timeout   local limit            the same
read-only replica        local limit at once       local limit            the same
wrong password           local limit at once       local limit            after a restart with the right one
scripts flushed          Redis counts              Redis counts           —
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.access.door import Door
from gateway.access.rate_limit_redis import PREFIX, RedisLimiter
from loadtest.ports import free_ports
from shared.errors import ConfigurationError
from tests.integration.access.doors import make, opened, passed, status
from tests.integration.access.servers import Valkey, valkey
from tests.unit.access.stores import ME, settings_in
from tests.waiting import until

LIMIT = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with valkey(tmp_path) as server:
        yield server


@asynccontextmanager
async def limited(folder: Path, url: str, **more: Any) -> AsyncIterator[Door]:
    settings = settings_in(folder, api_key_enabled=False, rate_limit_detect=LIMIT, redis_url=url, **more)
    async with opened(settings) as door:
        yield door


def hurt_and_mend(folder: Path, server: Valkey, hurt: Callable[[], None], mend: Callable[[], None]) -> None:
    """The limit holds before, during and after; each store counts its own window."""

    async def work() -> None:
        async with limited(folder, server.url, redis_timeout_ms=2000) as door:
            await until(lambda: redis_counts(door))
            assert await passed(door, 50, "198.51.100.1") == LIMIT
            hurt()
            # Whom both stores saw at the moment of change may have had something of each.
            assert LIMIT <= await passed(door, 50, "198.51.100.2") <= 2 * LIMIT
            assert await passed(door, 50, "198.51.100.5") == LIMIT
            assert door.counters.failures()["limiter_failed_redis"] >= 1
            assert await passed(door, 5, "198.51.100.3") == 5
            mend()
            await until(lambda: redis_counts(door))
            assert await passed(door, 50, "198.51.100.4") == LIMIT

    asyncio.run(work())


async def redis_counts(door: Door) -> bool:
    hit = await door.limiter.hit("probe", 10**6, 1.0)
    return isinstance(hit.limiter, RedisLimiter)


def test_redis_killed(tmp_path: Path, server: Valkey) -> None:
    hurt_and_mend(tmp_path, server, server.kill, server.restart)


def test_redis_stopped(tmp_path: Path, server: Valkey) -> None:
    hurt_and_mend(tmp_path, server, server.freeze, server.thaw)


def test_redis_read_only(tmp_path: Path, server: Valkey) -> None:
    with valkey(tmp_path) as master:
        hurt_and_mend(
            tmp_path,
            server,
            lambda: server.client().replicaof("127.0.0.1", str(master.port)),
            lambda: server.client().replicaof("NO", "ONE"),
        )


def test_redis_out_of_memory(tmp_path: Path, server: Valkey) -> None:
    hurt_and_mend(
        tmp_path,
        server,
        lambda: server.client().config_set("maxmemory", "1"),
        lambda: server.client().config_set("maxmemory", "0"),
    )


def test_redis_password_changed(tmp_path: Path, server: Valkey) -> None:
    def change() -> None:
        client = server.client()
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)

    def back() -> None:
        import redis

        redis.Redis(port=server.port, password="another").config_set("requirepass", "")

    hurt_and_mend(tmp_path, server, change, back)


async def test_redis_slower_than_its_time_limit(tmp_path: Path, server: Valkey) -> None:
    async with slow_road(server.port) as (url, pace), limited(tmp_path, url) as door:
        await until(lambda: redis_counts(door))
        pace.delay_s = 0.5
        assert await passed(door, 50) == LIMIT
        assert door.counters.failures()["limiter_failed_redis"] >= 1
        pace.delay_s = 0.0
        await until(lambda: redis_counts(door))


def test_a_wrong_password_at_the_start_stops_nothing_and_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(server: Valkey) -> None:
        async with limited(tmp_path, f"redis://:wrong-word@127.0.0.1:{server.port}/0") as door:
            assert await passed(door, 50) == LIMIT

    with valkey(tmp_path, "--requirepass", "right-word") as server:
        asyncio.run(work(server))
    assert "Redis rate limit cannot count" in caplog.text
    assert "-word" not in caplog.text


async def test_a_server_that_was_never_there_stops_nothing(tmp_path: Path) -> None:
    async with limited(tmp_path, f"redis://127.0.0.1:{free_ports()}/0") as door:
        assert await passed(door, 50) == LIMIT


def test_a_url_that_cannot_be_understood_refuses_to_start(tmp_path: Path) -> None:
    async def work() -> None:
        async with limited(tmp_path, "redis://127.0.0.1:port/0"):
            raise AssertionError

    with pytest.raises(ConfigurationError, match="FACE_API_REDIS_URL"):
        asyncio.run(work())


async def test_flushed_scripts_and_flushed_data_are_no_fault(tmp_path: Path, server: Valkey) -> None:
    async with limited(tmp_path, server.url, redis_timeout_ms=5000) as door:
        assert await passed(door, 50) == LIMIT
        server.client().script_flush()
        assert await passed(door, 50) == 0
        server.client().flushall()
        assert await passed(door, 50) == LIMIT
        assert door.counters.failures() == {}


async def test_refunds_and_windows_are_those_of_the_file(tmp_path: Path, server: Valkey) -> None:
    async with limited(tmp_path, server.url, redis_timeout_ms=5000) as door:
        limiter = door.limiter
        first = await limiter.hit("a", 2, 60)
        assert (first.allowed, first.remaining, round(first.reset_s)) == (True, 1, 60)
        await limiter.hit("a", 2, 60)
        refused = await limiter.hit("a", 2, 60)
        assert (refused.allowed, refused.remaining) == (False, 0)
        await limiter.refund(first)
        assert (await limiter.hit("a", 2, 60)).allowed
        server.client().delete(PREFIX + "a")
        again = await limiter.hit("a", 2, 60)
        await limiter.refund(first)  # of a window that is over
        assert (again.remaining, (await limiter.hit("a", 2, 60)).remaining) == (1, 0)
        short = await limiter.hit("b", 1, 0.05)
        assert short.allowed
        await asyncio.sleep(0.2)
        assert (await limiter.hit("b", 1, 0.05)).allowed


async def test_a_client_that_leaves_in_mid_question_disturbs_nobody(tmp_path: Path, server: Valkey) -> None:
    async with limited(tmp_path, server.url, redis_timeout_ms=5000) as door:
        leaving = [asyncio.create_task(door.limiter.hit("gone", 1000, 60)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert await passed(door, 50) == LIMIT
        assert door.counters.failures() == {}


async def test_two_hosts_share_one_limit(tmp_path: Path, server: Valkey) -> None:
    more = {"redis_timeout_ms": 5000}
    async with (
        limited(tmp_path / "a", server.url, **more) as here,
        limited(tmp_path / "b", server.url, **more) as there,
    ):
        both = await asyncio.gather(passed(here, 50), passed(there, 50))
        assert sum(both) == LIMIT


async def test_a_revocation_is_announced_through_redis(tmp_path: Path, server: Valkey) -> None:
    """The processes' own looking is put off for an hour: only the announcement can tell."""
    settings = settings_in(tmp_path, redis_url=server.url, key_check_seconds=3600.0)
    async with opened(settings) as here, opened(settings) as there:
        key = make(here)
        assert await status(there, key) == 200
        await until(lambda: server.client().pubsub_numsub("face-api:keys-changed")[0][1] == 2)
        record = there.keys.cache.lookup(key.encode())
        assert record is not None
        here.keys.store.revoke(record.id, ME, 1.0)
        await here.keys.changed()
        await until(lambda: key_is_refused(there, key))


async def test_with_redis_killed_a_revocation_is_found_by_looking(tmp_path: Path, server: Valkey) -> None:
    settings = settings_in(tmp_path, redis_url=server.url, key_check_seconds=0.2)
    async with opened(settings) as here, opened(settings) as there:
        key = make(here)
        assert await status(there, key) == 200
        server.kill()
        record = there.keys.cache.lookup(key.encode())
        assert record is not None
        here.keys.store.revoke(record.id, ME, 1.0)
        await here.keys.changed()
        await until(lambda: key_is_refused(there, key))


async def key_is_refused(door: Door, key: str) -> bool:
    return await status(door, key, peer="198.51.100.9") == 403


class Pace:
    delay_s = 0.0


@asynccontextmanager
async def slow_road(port: int) -> AsyncIterator[tuple[str, Pace]]:
    """A way to that port on which every answer takes as long as `Pace` says."""
    pace, tasks = Pace(), set[asyncio.Task[None]]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        try:
            while data := await reader.read(65_536):
                if slow:
                    await asyncio.sleep(pace.delay_s)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        for task in (
            asyncio.create_task(carry(reader, far_writer, slow=False)),
            asyncio.create_task(carry(far_reader, writer, slow=True)),
        ):
            tasks.add(task)

    road = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{road.sockets[0].getsockname()[1]}/0", pace
    finally:
        road.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
