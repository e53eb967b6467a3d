"""Requests that are done once: who may do them, when they are free again, and that an answer goes with its job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from gateway.records import once_table, table
from gateway.records.image import pending
from gateway.records.image_table import IMAGES
from gateway.records.job import KeptJob
from gateway.records.once import Before, Fulfilment, Once
from gateway.records.once_table import ONCE
from gateway.stores.database import Database
from tests.unit.records.drawn import NOW, TTL_S, database_in, job
from tests.unit.records.test_images import PICTURE

MINE, HELD_S = Once("name", "print", "me", "0a"), 60.0
OTHER = MINE._replace(holder="other")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = database_in(tmp_path)
    yield made
    made.close()


def begun(database: Database, once: Once = MINE, now: float = NOW) -> Before | None:
    return once_table.begin(database, once, now, now + HELD_S)


def done(database: Database, once: Once = MINE) -> KeptJob:
    kept = job(fulfils=Fulfilment(once, "answer"))
    assert table.write(database, [kept]) == [True]
    return kept


def rows(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(ONCE.select()).all())


def test_what_one_has_begun_no_other_begins_until_it_is_given_up_or_its_time_is_up(database: Database) -> None:
    assert begun(database) is None
    assert begun(database, OTHER) == Before("print", None, None)
    once_table.give_up(database, OTHER)  # not his
    assert begun(database, OTHER)
    once_table.give_up(database, MINE)
    assert begun(database, OTHER) is None
    assert begun(database, MINE, NOW + HELD_S) is None


def test_what_is_done_is_told_until_its_job_ends(database: Database) -> None:
    begun(database)
    kept = done(database)
    assert table.one(database, "key_a", kept.id, NOW) == structs.replace(kept, fulfils=None)
    assert begun(database, OTHER, NOW + HELD_S) == Before("print", kept.id, "answer")
    once_table.give_up(database, MINE)  # too late
    assert begun(database, OTHER, kept.expires_at - 1)
    assert begun(database, OTHER, kept.expires_at) is None


@pytest.mark.parametrize("way", ["deleted", "swept"])
def test_an_answer_goes_with_its_job(database: Database, way: str) -> None:
    begun(database)
    kept = done(database)
    if way == "deleted":
        assert table.delete_one(database, "key_a", kept.id, NOW) == []
    else:
        assert table.sweep(database, NOW + TTL_S) == 1
    assert rows(database) == 0


def test_who_lost_his_turn_keeps_neither_job_nor_picture(database: Database) -> None:
    begun(database)
    begun(database, OTHER, NOW + HELD_S)
    late = job(fulfils=Fulfilment(MINE, "answer"))
    image = pending(PICTURE, late, int(NOW * 1e9))
    assert table.write(database, [image]) == [True]
    assert table.write(database, [structs.replace(late, image_id=image.id), job("key_b")]) == [False, True]
    assert table.page(database, "key_a", "", 10, NOW) == []
    with database.read() as connection:
        assert connection.execute(IMAGES.select()).mappings().one()["state"] == "deleting"
    done(database, OTHER)


def test_the_sweeper_takes_what_nobody_came_back_for(database: Database) -> None:
    begun(database)
    table.sweep(database, NOW + HELD_S - 1)
    assert rows(database) == 1
    table.sweep(database, NOW + HELD_S)
    assert rows(database) == 0
