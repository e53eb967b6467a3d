"""The key store: what it keeps, what it never keeps, and how changes are found."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.keys import usage
from gateway.keys.pepper import Peppers
from gateway.keys.records import NO_VERSION, Draft
from gateway.keys.store import Store
from gateway.keys.usage import Gathering
from gateway.stores.database import FILE_NAME, open_database
from gateway.stores.migrations import MIGRATIONS, Migration, migrate, schema_version
from shared.errors import BadParameter, ConfigurationError, NotFound, StoreDown
from shared.settings import Settings
from tests.unit.access.stores import ME, NOW, audit_of, made_store, settings_in

DAY = 86_400.0


def test_a_made_key_is_found_again_by_its_digest_alone(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    made = store.create(Draft(name="  my   key "), peppers, ME, NOW)
    assert made.record.name == "my key"
    assert made.record.digest == peppers.digest(made.key.encode())
    assert store.get(made.record.id) == made.record
    assert store.get(made.record.hint) == made.record


def test_the_key_itself_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    made = store.create(Draft(name="n"), peppers, ME, NOW)
    rotated = store.rotate(made.record.id, 60, peppers, ME, NOW)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir())
    for key in (made.key, rotated.key):
        assert key[:10].encode() in everything
        assert key[4:17].encode() not in everything


def test_the_files_are_private(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    with store.database.read():
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "var").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    assert peppers.current


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (Draft(name=""), "name"),
        (Draft(name="n" * 101), "name"),
        (Draft(name="a\x00b"), "control"),
        (Draft(name="n", scopes=()), "scopes"),
        (Draft(name="n", detect_limit=0), "detect_limit"),
        (Draft(name="n", mask_limit=1_000_001), "mask_limit"),
        (Draft(name="n", expires_in_s=0), "expires_in"),
        (Draft(name="n", expires_in_s=11 * 366 * DAY), "expires_in"),
        (Draft(name="n", records_ttl=59), "records_ttl"),
        (Draft(name="n", records_ttl=11 * 366 * DAY), "records_ttl"),
    ],
)
def test_a_draft_out_of_range_is_refused(tmp_path: Path, draft: Draft, words: str) -> None:
    store, peppers = made_store(tmp_path)
    with pytest.raises(BadParameter, match=words):
        store.create(draft, peppers, ME, NOW)


def test_drafts_at_their_limits_are_made(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    most_s = 10 * 366 * DAY
    draft = Draft(name="n" * 100, detect_limit=1, mask_limit=1_000_000, expires_in_s=most_s, records_ttl=most_s)
    assert store.create(draft, peppers, ME, NOW).record.expires_at == NOW + most_s


def test_the_store_takes_its_limit_of_keys_and_not_one_more(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path, max_keys=2)
    store.create(Draft(name="1"), peppers, ME, NOW)
    store.create(Draft(name="2"), peppers, ME, NOW)
    with pytest.raises(BadParameter, match="FACE_API_MAX_KEYS"):
        store.create(Draft(name="3"), peppers, ME, NOW)


def test_rotation_gives_a_successor_alike_and_the_old_key_a_grace(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    draft = Draft(name="n", scopes=("mask",), expires_in_s=90 * DAY, mask_limit=7, records_ttl=6 * 3600)
    old = store.create(draft, peppers, ME, NOW).record
    new = store.rotate(old.id, 3600, peppers, ME, NOW + DAY).record
    assert (new.name, new.scopes, new.mask_limit, new.expires_at) == ("n", ("mask",), 7, NOW + DAY + 90 * DAY)
    assert new.records_ttl == 6 * 3600
    left = store.get(old.id)
    assert (left.expires_at, left.replaced_by) == (NOW + DAY + 3600, new.id)
    assert left.state(NOW + DAY + 3599) == "active"
    assert left.state(NOW + DAY + 3600) == "expired"


def test_rotation_never_lengthens_the_old_keys_life(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    old = store.create(Draft(name="n", expires_in_s=100), peppers, ME, NOW).record
    store.rotate(old.id, 7 * DAY, peppers, ME, NOW)
    assert store.get(old.id).expires_at == NOW + 100


def test_a_dead_or_rotated_key_is_not_rotated(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    first = store.create(Draft(name="n"), peppers, ME, NOW).record
    store.rotate(first.id, DAY, peppers, ME, NOW)
    with pytest.raises(BadParameter, match="rotated already"):
        store.rotate(first.id, DAY, peppers, ME, NOW)
    store.revoke(first.id, ME, NOW)
    with pytest.raises(BadParameter, match="is revoked"):
        store.rotate(first.id, DAY, peppers, ME, NOW)
    with pytest.raises(BadParameter, match="grace"):
        store.rotate(first.id, 31 * DAY, peppers, ME, NOW)


def test_revoking_twice_keeps_the_first_moment(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    record = store.create(Draft(name="n"), peppers, ME, NOW).record
    assert store.revoke(record.id, ME, NOW + 1).revoked_at == NOW + 1
    assert store.revoke(record.id, ME, NOW + 2).revoked_at == NOW + 1
    assert [entry.action for entry in audit_of(store)] == ["key revoked", "key created"]


def test_an_unknown_id_is_not_repeated_since_it_may_be_a_key(tmp_path: Path) -> None:
    store, _ = made_store(tmp_path)
    with pytest.raises(NotFound) as refusal:
        store.get("xyl_" + "a" * 64)
    assert "aaaa" not in str(refusal.value)


def test_changes_are_found_by_version_and_only_once(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    one = store.create(Draft(name="1"), peppers, ME, NOW).record
    version, changed, proof = store.changes_since(NO_VERSION)
    assert (changed, proof) == ([one], one.version)
    assert store.changes_since(version) == (version, [], None)
    two = store.create(Draft(name="2"), peppers, ME, NOW).record
    one = store.revoke(one.id, ME, NOW)
    later, changed, proof = store.changes_since(version)
    assert later > two.version > version
    assert {record.id for record in changed} == {one.id, two.id}
    assert proof == one.version + two.version


def test_pages_are_searched_filtered_and_counted(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    made = [store.create(Draft(name=f"batch {n}"), peppers, ME, NOW + n).record for n in range(5)]
    store.create(Draft(name="100 % other", expires_in_s=1), peppers, ME, NOW - 1)
    store.revoke(made[0].id, ME, NOW)
    later = NOW + 10
    assert [r.name for r in store.page(later, search="BATCH", count=2)[0]] == ["batch 4", "batch 3"]
    assert store.page(later, search="batch", count=2)[1] == 5
    assert store.page(later, search="%")[1] == 1
    assert [store.page(later, state=state)[1] for state in ("active", "expired", "revoked", None)] == [4, 1, 1, 6]
    assert store.page(later, offset=4, count=10)[0][-1].name == "100 % other"


def test_the_first_key_is_made_once_however_many_ask(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    handed: list[str] = []

    def make(_: int) -> bool:
        return store.first_key(Draft(name="first"), peppers, ME, NOW, handed.append)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(make, range(8))) == [False] * 7 + [True]
    assert len(handed) == 1
    assert store.page(NOW)[1] == 1


def test_a_first_key_that_cannot_be_handed_over_is_not_made(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)

    def fail(_: str) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.first_key(Draft(name="first"), peppers, ME, NOW, fail)
    assert store.page(NOW)[1] == 0
    assert store.first_key(Draft(name="first"), peppers, ME, NOW, lambda _: None)


def test_use_is_added_up_per_day_and_last_used_never_goes_back(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    record = store.create(Draft(name="n"), peppers, ME, NOW).record
    mine, other = Gathering(), Gathering()
    for moment in (NOW, NOW + 1, NOW + DAY):
        mine.note(record.id, moment, error=False)
    other.note(record.id, NOW + 5, error=True)
    usage.hand_in(store.database, mine.take())
    usage.hand_in(store.database, other.take())
    today = usage.day_of(NOW)
    assert usage.requests_on(store.database, today, [record.id, "other"]) == {record.id: 3}
    assert usage.days_of(store.database, record.id, today) == {today: 3, usage.day_of(NOW + DAY): 1}
    assert store.get(record.id).last_used_at == NOW + DAY
    assert store.get(record.id).version == record.version  # nobody has to reload for it
    usage.forget_old(store.database, NOW + 401 * DAY)
    assert usage.days_of(store.database, record.id, today) == {usage.day_of(NOW + DAY): 1}


def test_use_that_could_not_be_handed_in_is_kept() -> None:
    gathering = Gathering()
    gathering.note("k", NOW, error=False)
    taken = gathering.take()
    gathering.note("k", NOW + 1, error=True)
    gathering.give_back(taken)
    assert gathering.on_day(usage.day_of(NOW)) == {"k": 2}


def test_the_audit_log_tells_who_and_what_and_holds_no_key(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    made = store.create(Draft(name="n", expires_in_s=60), peppers, ME, NOW)
    store.create(Draft(name=f"oops {made.key}"), peppers, ME, NOW + 1)
    newest, oldest = audit_of(store)
    assert (oldest.actor, oldest.action, oldest.address) == ("test", "key created", "127.0.0.1")
    assert oldest.subject == f"{made.record.id} (n)"
    assert "scopes detect mask" in oldest.detail
    assert made.key[12:] not in str(newest)


def test_the_audit_log_keeps_its_limit_and_not_one_more(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    store = Store(store.database, max_keys=100, audit_keep=3)
    for n in range(3):
        store.create(Draft(name=f"n{n}"), peppers, ME, NOW + n)
    assert [entry.subject[-3:] for entry in audit_of(store)] == ["n2)", "n1)", "n0)"]
    store.create(Draft(name="n3"), peppers, ME, NOW + 3)
    assert [entry.subject[-3:] for entry in audit_of(store)] == ["n3)", "n2)", "n1)"]


def test_a_new_store_has_the_newest_schema_and_a_second_start_changes_nothing(tmp_path: Path) -> None:
    database = open_database(settings_in(tmp_path))
    database.prepare()
    with database.write() as connection:
        assert schema_version(connection) == len(MIGRATIONS)
        assert migrate(connection) == 0


def test_a_later_step_runs_once_and_keeps_what_was_there(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    record = store.create(Draft(name="n"), peppers, ME, NOW).record
    later = (*MIGRATIONS, Migration("a note", ("ALTER TABLE api_keys ADD COLUMN note TEXT",)))
    with store.database.write() as connection:
        assert migrate(connection, later) == 1
        assert migrate(connection, later) == 0
        assert connection.execute(text("SELECT id, note FROM api_keys")).one() == (record.id, None)
    with pytest.raises(ConfigurationError, match="newer version"):
        store.database.prepare()


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store, _ = made_store(tmp_path)
    broken = (*MIGRATIONS, Migration("broken", ("CREATE TABLE half (x TEXT)", "CREATE TABLE half (x TEXT)")))
    with pytest.raises(StoreDown), store.database.write() as connection:
        migrate(connection, broken)
    with store.database.read() as connection:
        assert schema_version(connection) == len(MIGRATIONS)
        assert not connection.dialect.has_table(connection, "half")


def test_a_store_that_was_removed_is_down_and_not_made_anew_behind_our_back(tmp_path: Path) -> None:
    store, _ = made_store(tmp_path)
    (tmp_path / "var" / FILE_NAME).unlink()
    with pytest.raises(StoreDown):
        store.changes_since(-1)
    assert not (tmp_path / "var" / FILE_NAME).exists()


def test_a_store_that_is_read_only_reads_and_says_what_it_cannot(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    record = store.create(Draft(name="n"), peppers, ME, NOW).record
    url = f"sqlite:///{tmp_path / 'var' / FILE_NAME}?mode=ro"
    read_only, _ = made_store(tmp_path, database_url=url)
    assert read_only.get(record.id) == record
    with pytest.raises(StoreDown, match="read-only"):
        read_only.revoke(record.id, ME, NOW)


def test_a_file_that_is_no_database_is_down(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / FILE_NAME).write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StoreDown):
        open_database(settings_in(tmp_path)).prepare()


def test_a_locked_store_is_down_after_its_wait(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    holder = sqlite3.connect(tmp_path / "var" / FILE_NAME, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert store.changes_since(-1)[0] == 0  # reading goes on
    with pytest.raises(StoreDown):
        store.create(Draft(name="n"), peppers, ME, NOW)
    holder.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:////x?mode=rwc", "postgresql://h:port/d"])
def test_a_url_that_cannot_be_refuses_to_start(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_database(Settings(database_url=url))


def test_digests_under_two_peppers_differ_and_both_are_known() -> None:
    old, new = Peppers(["a" * 32]), Peppers(["b" * 32, "a" * 32])
    assert new.digests(b"key")[1] == old.digest(b"key") != new.digest(b"key")
    assert new.names == [new.current, old.current]
