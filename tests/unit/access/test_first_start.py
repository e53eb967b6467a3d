"""The first start: one key, one link, handed over once and to nobody else."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from gateway.first_start import KEY_FILE, LINK_FILE, FirstKey, prepare_first_start
from gateway.keys.opening import open_store, peppers_for
from gateway.keys.records import Draft
from gateway.people.accounts import Accounts
from gateway.stores.key_format import new_key, well_formed
from shared.settings import Settings
from tests.unit.access.stores import ME, settings_in


def test_on_a_terminal_key_and_link_are_returned_in_clear_and_no_file_is_left(tmp_path: Path) -> None:
    first = prepare_first_start(settings_in(tmp_path), terminal=True)
    assert well_formed((first.plaintext or "").encode())
    assert (first.admin_link or "").startswith("/console/welcome?token=")
    assert (first.path, first.link_path) == (None, None)
    assert not list((tmp_path / "var").glob("*.txt"))


def test_elsewhere_both_are_put_into_private_files(tmp_path: Path) -> None:
    first = prepare_first_start(settings_in(tmp_path), terminal=False)
    assert (first.plaintext, first.admin_link) == (None, None)
    key, link = tmp_path / "var" / KEY_FILE, tmp_path / "var" / LINK_FILE
    assert (first.path, first.link_path) == (str(key), str(link))
    assert well_formed(key.read_text().strip().encode())
    assert {file.stat().st_mode & 0o777 for file in (key, link)} == {0o600}


def test_a_second_start_makes_no_second_key_and_leaves_the_file_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    prepare_first_start(settings, terminal=False)
    before = (tmp_path / "var" / KEY_FILE).read_text()
    second = prepare_first_start(settings, terminal=False)
    assert second.path is None
    assert (tmp_path / "var" / KEY_FILE).read_text() == before
    assert open_store(settings).page(time.time())[1] == 1


def test_later_starts_know_the_file_of_the_first_key_while_that_key_works(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = prepare_first_start(settings, terminal=False)
    for terminal in (False, True):
        later = prepare_first_start(settings, terminal=terminal)
        assert (later.plaintext, later.path, later.kept) == (None, None, first.path)


@pytest.mark.parametrize("text", [None, "", "not a key", pytest.param(new_key(), id="another key"), "x" * 100_000])
def test_a_file_without_the_first_key_in_it_is_not_told(tmp_path: Path, text: str | None) -> None:
    settings = settings_in(tmp_path)
    prepare_first_start(settings, terminal=False)
    file = tmp_path / "var" / KEY_FILE
    file.unlink() if text is None else file.write_text(text)
    assert prepare_first_start(settings, terminal=False).kept is None


def test_a_first_key_that_was_revoked_or_may_not_detect_is_not_told(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    prepare_first_start(settings, terminal=False)
    store = open_store(settings)
    store.revoke(store.page(time.time())[0][0].id, ME, time.time())
    assert prepare_first_start(settings, terminal=False).kept is None
    masks = store.create(Draft(name="mask", scopes=("mask",)), peppers_for(settings, store), ME, time.time())
    (tmp_path / "var" / KEY_FILE).write_text(masks.key)
    assert prepare_first_start(settings, terminal=False).kept is None


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        made = [first for several in pool.map(_start_four, [settings] * 2) for first in several]
    assert sum(first.plaintext is not None for first in made) == 1
    assert open_store(settings).page(time.time())[1] == 1


def _start_four(settings: Settings) -> list[FirstKey]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: prepare_first_start(settings, terminal=True), range(4)))


def test_without_keys_none_is_made_and_without_console_no_link(tmp_path: Path) -> None:
    first = prepare_first_start(settings_in(tmp_path, api_key_enabled=False, console_enabled=False), terminal=True)
    assert first == FirstKey()


def test_a_password_of_the_settings_needs_no_link_and_works(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, admin_password="correct horse battery")
    assert prepare_first_start(settings, terminal=True).admin_link is None
    accounts = Accounts(open_store(settings).database)
    assert accounts.sign_in("admin", "correct horse battery", "net", ME, 1.0) == "admin"
    prepare_first_start(settings_in(tmp_path, admin_password="another long password"), terminal=True)
    assert accounts.sign_in("admin", "another long password", "net", ME, 2.0) == "admin"


def test_until_a_password_is_set_every_start_makes_a_new_link_and_then_none(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    accounts = Accounts(open_store(settings).database)
    one = prepare_first_start(settings, terminal=True).admin_link
    two = prepare_first_start(settings, terminal=True).admin_link
    assert one and two and one != two
    assert not accounts.link_works(one.partition("=")[2], time.time())
    accounts.use_link(two.partition("=")[2], "correct horse battery", ME, time.time())
    assert prepare_first_start(settings, terminal=True).admin_link is None


def test_a_store_that_cannot_be_reached_stops_no_start_where_the_pepper_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path, database_url="postgresql://127.0.0.1:1/none", key_pepper="p" * 32)
    assert prepare_first_start(settings, terminal=True) == FirstKey()
    assert "first start is not complete" in caplog.text
