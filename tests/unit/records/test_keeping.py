"""Records of one process on a real SQLite file, and what becomes of answers when it is locked or gone."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.records import keeping, writer
from gateway.records.job import born_now
from gateway.routes.health import _database
from shared.errors import NotFound, StoreDown
from shared.supervision import Loops
from tests.unit.records.drawn import database_in, file_of, job, records_in, settings_in


def fresh() -> Any:
    return job(at=time.time())


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another writer holds the database."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def gone(file: Path) -> Iterator[None]:
    away = file.with_suffix(".away")
    file.rename(away)
    yield
    away.rename(file)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """best_effort waits, however busy the machine is."""
    monkeypatch.setattr(keeping, "CONFIRM_S_MAX", 60.0)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("mode", ["required", "best_effort"])
async def test_what_is_kept_can_be_read_and_deleted(tmp_path: Path, mode: str) -> None:
    async with records_in(tmp_path, mode) as records:
        kept = fresh()
        assert (await records.keep(kept)).job
        assert await records.one("key_a", kept.id) == kept
        assert await records.page("key_a", "", 10) == [kept]
        await records.delete("key_a", kept.id)
        for again in (records.one, records.delete):
            with pytest.raises(NotFound):
                await again("key_a", kept.id)


async def test_a_database_that_is_written_stays_open_and_is_its_file_alone_when_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / f"{file_of(tmp_path).name}-wal"
    async with records_in(tmp_path, "required") as records:
        await records.keep(fresh())
        assert log.exists()
        monkeypatch.setattr(writer, "IDLE_S", 0.01)
        await records.keep(fresh())
        while log.exists():  # noqa: ASYNC110 — a file tells nobody
            await asyncio.sleep(0.01)
        assert (await records.keep(fresh())).job
    assert not log.exists()


async def test_a_database_that_was_replaced_while_it_was_open_gets_the_next_job(tmp_path: Path) -> None:
    database_in(tmp_path / "other").close()
    async with records_in(tmp_path, "required") as records:
        await records.keep(fresh())
        for end in ("-wal", "-shm"):
            file_of(tmp_path).with_name(f"{file_of(tmp_path).name}{end}").unlink()
        file_of(tmp_path / "other").replace(file_of(tmp_path))
        kept = fresh()
        assert (await records.keep(kept)).job
        assert await records.page("key_a", "", 10) == [kept]


async def test_jobs_that_come_together_are_committed_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    write = keeping.table.write
    monkeypatch.setattr(keeping.table, "write", lambda to, jobs: groups.append(len(jobs)) or write(to, jobs))
    async with records_in(tmp_path, "required") as records:
        told = await asyncio.gather(*(records.keep(fresh()) for _ in range(150)))
        assert all(each.job for each in told)
        assert len(await records.page("key_a", "", 1000)) == 150
        assert records.events()["jobs_written"] == 150
    assert max(groups) <= writer.GROUP_MAX
    assert len(groups) < 10


async def test_required_refuses_while_the_database_is_gone_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async with records_in(tmp_path, "required") as records:
        with gone(file_of(tmp_path)):
            with pytest.raises(StoreDown, match="FACE_API_RECORDS=required") as caught:
                await records.keep(fresh())
            assert caught.value.retry_after_s
            assert not records.condition.ready
        assert (await records.keep(fresh())).job
        assert records.condition.ready
        assert (records.condition.written, records.condition.lost) == (1, 1)


@pytest.mark.usefixtures("patient")
async def test_best_effort_answers_without_an_id_while_the_database_is_gone(tmp_path: Path) -> None:
    async with records_in(tmp_path, "best_effort") as records:
        lost = fresh()
        with gone(file_of(tmp_path)):
            assert not (await records.keep(lost)).job
            assert not records.condition.ready
        with pytest.raises(NotFound):
            await records.one("key_a", lost.id)
        await records.sweep()  # finds out that it is back
        assert (await records.keep(fresh())).job
        assert (records.condition.lost, records.condition.unconfirmed) == (1, 1)


async def test_best_effort_waits_for_no_lock_and_an_id_it_did_not_answer_may_still_come(tmp_path: Path) -> None:
    async with records_in(tmp_path, "best_effort") as records:
        late = fresh()
        with locked(file_of(tmp_path)):
            assert not (await records.keep(late)).job
        assert await records.writer.hand_in(fresh())  # comes behind it
        assert await records.one("key_a", late.id) == late
        assert records.condition.unconfirmed == 1


async def test_required_waits_for_a_lock_that_goes(tmp_path: Path) -> None:
    async with records_in(tmp_path, "required") as records:
        with locked(file_of(tmp_path)):
            waiting = asyncio.create_task(records.keep(fresh()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        assert (await waiting).job


async def test_no_more_jobs_wait_than_the_queue_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MAX", 3)
    async with records_in(tmp_path, "required") as records:
        told = await asyncio.gather(*(records.keep(fresh()) for _ in range(5)), return_exceptions=True)
        assert [answer for answer in told if answer == keeping.Committed(True)] == [keeping.Committed(True)] * 3
        assert sum(isinstance(answer, StoreDown) for answer in told) == 2


async def test_a_process_that_ends_writes_what_waits(tmp_path: Path) -> None:
    async with records_in(tmp_path, "best_effort") as records:
        jobs = [fresh() for _ in range(5)]
        waiting = [records.writer.hand_in(each) for each in jobs]
    assert all(committed.result() for committed in waiting)
    assert records.writer.hand_in(fresh()).result() is False  # nobody would write it
    async with records_in(tmp_path, "best_effort") as again:
        assert len(await again.page("key_a", "", 10)) == 5


async def test_jobs_live_as_long_as_the_setting_says_by_a_clock_that_moves(tmp_path: Path) -> None:
    async with records_in(tmp_path, "required") as records:
        birth = born_now(records.ttl_s)
        kept = job(id=birth.id, created_at=birth.created_at, expires_at=birth.expires_at)
        assert (await records.keep(kept)).job
        records.now = lambda: birth.created_at + 24 * 3600 - 1
        await records.sweep()
        assert await records.one("key_a", kept.id) == kept
        records.now = lambda: birth.created_at + 24 * 3600
        with pytest.raises(NotFound):
            await records.one("key_a", kept.id)
        await records.sweep()
        assert records.condition.swept == 1
        records.now = time.time  # the row is gone, not hidden
        with pytest.raises(NotFound):
            await records.one("key_a", kept.id)


async def test_off_opens_nothing(tmp_path: Path) -> None:
    async with keeping.open_records(settings_in(tmp_path), Loops()) as kept:
        assert kept == (None, None)
    assert not file_of(tmp_path).exists()


def test_a_full_sweep_is_followed_at_once_and_a_failed_one_soon(tmp_path: Path) -> None:
    records = keeping.Records(False, 1.0, None, None)  # type: ignore[arg-type] — nothing is asked of them
    pauses = []
    for ready, own in ((True, keeping.SWEEP_S), (True, keeping.NEXT_SWEEP_S), (False, keeping.SWEEP_S)):
        records.condition.ready, records._sweep_pause_s = ready, own
        pauses.append(records.sweep_pause_s())
    assert pauses == [keeping.SWEEP_S, keeping.NEXT_SWEEP_S, keeping.RETRY_S]


@pytest.mark.parametrize(
    ("url", "keys", "required", "written", "told"),
    [
        ("", True, None, None, (None, True)),
        ("postgresql://", False, None, None, (False, False)),
        ("", True, False, True, (True, True)),
        ("", True, False, False, (False, True)),  # best effort: pictures are answered all the same
        ("", True, True, False, (False, False)),
        ("postgresql://", False, True, True, (False, False)),
    ],
)
def test_health_tells_of_the_database_what_happened_lately(
    url: str, keys: bool, required: bool | None, written: bool | None, told: tuple[bool | None, bool]
) -> None:
    records = None if required is None else SimpleNamespace(required=required, condition=SimpleNamespace(ready=written))
    cache = SimpleNamespace(cache=SimpleNamespace(ready=keys))
    services: Any = SimpleNamespace(records=records, keys=cache, settings=SimpleNamespace(database_url=url))
    ready, ok, reason = _database(services)
    assert (ready, ok) == told
    assert bool(reason) == (written is False)
