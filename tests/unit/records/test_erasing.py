"""Erasure by key and by date: all of what was meant, nothing else, and the audit log tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from gateway.keys.audit import Actor, entries
from gateway.records import erasing, table
from gateway.records.table import JOBS
from gateway.stores.database import Database
from shared.errors import BadParameter
from tests.unit.access.application import Site, opened
from tests.unit.records.drawn import NOW, database_in, job

BOSS, KEEP = Actor("key:key_boss"), 1000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = database_in(tmp_path)
    yield made
    made.close()


def erased(database: Database, wanted: erasing.Wanted) -> int:
    """As the endpoint does it, on this thread."""
    last, count, step = erasing.begin(database, wanted, BOSS, NOW, KEEP), 0, erasing.STEP
    while step == erasing.STEP:
        step = erasing.erase_step(database, wanted, last, BOSS, NOW, erasing.Erased(count, 0))
        count += step
    return count


def left(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(JOBS.c.id)).scalars())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["key_a", "key_b"]), st.integers(0, 20))),
    st.sampled_from(["", "key_a", "key_c"]),
    st.none() | st.integers(0, 21),
)
def test_what_was_meant_is_erased_and_nothing_else(
    database: Database, drawn: list[tuple[str, int]], key_id: str, before: int | None
) -> None:
    with database.write() as connection:
        connection.execute(delete(JOBS))
    jobs = [job(owner, NOW + after) for owner, after in drawn]
    if jobs:
        table.write(database, jobs)
    wanted = erasing.Wanted(key_id, None if before is None else NOW + before)
    meant = {
        each.id
        for each in jobs
        if (not key_id or each.key_id == key_id) and (before is None or each.created_at < NOW + before)
    }
    assert erased(database, wanted) == len(meant)
    assert left(database) == {each.id for each in jobs} - meant


def test_many_steps_end_though_more_jobs_come(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "STEP", 3)
    table.write(database, [job(at=NOW + number) for number in range(10)])
    wanted = erasing.Wanted("key_a")
    last = erasing.begin(database, wanted, BOSS, NOW, KEEP)
    later = job(at=NOW + 100)
    table.write(database, [later])
    steps = [erasing.erase_step(database, wanted, last, BOSS, NOW, erasing.Erased(done, 2)) for done in (0, 3, 6, 9)]
    assert steps == [3, 3, 3, 1]
    assert left(database) == {later.id}
    with database.read() as connection:
        told = [(entry.action, entry.subject, entry.detail) for entry in entries(connection)]
    assert told == [
        ("records erased", "records of key_a", "10 jobs, 2 images"),
        ("erasure asked", "records of key_a", ""),
    ]


def test_one_that_was_cut_short_is_seen_in_the_log_and_goes_on_when_asked_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "STEP", 3)
    table.write(database, [job(at=NOW + number) for number in range(5)])
    wanted = erasing.Wanted("key_a")
    last = erasing.begin(database, wanted, BOSS, NOW, KEEP)
    erasing.erase_step(database, wanted, last, BOSS, NOW, erasing.Erased(0, 0))
    with database.read() as connection:
        assert [entry.action for entry in entries(connection)] == ["erasure asked"]
    assert erased(database, wanted) == 2
    assert left(database) == set()


@pytest.mark.parametrize("before", ["yesterday", "2026-11-28T12:00:00", "1969-12-31", "2026-13-01", "x" * 5000, "٢٠٢٦"])
def test_what_is_no_moment_is_refused(before: str) -> None:
    with pytest.raises(BadParameter, match="is no moment"):
        erasing.checked(None, before)


def test_a_day_begins_in_utc_and_a_moment_says_where() -> None:
    day = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
    assert erasing.checked(None, "2026-11-28").before == day
    assert erasing.checked(None, "2026-11-28T01:00:00+01:00").before == day
    with pytest.raises(BadParameter, match="give key_id"):
        erasing.checked("", None)


def asked(site: Site, body: dict[str, Any], *scopes: str) -> tuple[int, Any]:
    answer = site.client.post("/api/v1/admin/erase", json=body, headers={"x-api-key": site.key(scopes=scopes)})
    return answer.status_code, answer.json()


def test_an_admin_erases_and_nobody_else_also_where_no_records_are_kept_any_more(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        database = site.door.keys.store.database
        table.write(database, [job("key_a"), job("key_b")])
        assert asked(site, {"key_id": "key_a"}, "records:delete")[0] == 403
        assert asked(site, {}, "admin")[0] == 422
        status, answer = asked(site, {"key_id": site.key(name="secret")}, "admin")
        assert (status, "not its id" in answer["detail"]) == (422, True)
        assert asked(site, {"key_id": "key_a"}, "admin") == (200, {"jobs": 1, "images": 0})
        assert asked(site, {"before": "2100-01-01"}, "admin") == (200, {"jobs": 1, "images": 0})
        assert left(database) == set()
