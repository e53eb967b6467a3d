"""Peppers: made once, kept private, rotated without losing a key."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.keys.opening import open_store, peppers_for
from gateway.keys.pepper import FILE_NAME, PEPPERS_MAX, load_peppers, rotate_file
from gateway.keys.records import Draft
from shared.errors import ConfigurationError
from tests.unit.access.stores import ME, NOW, made_store, settings_in


def test_the_first_start_makes_one_private_file_however_many_start(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_peppers(settings, make=True), range(8)))
    assert len({peppers.current for peppers in found if peppers}) == 1
    assert (tmp_path / "var" / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == [FILE_NAME]


def test_a_setting_needs_no_file(tmp_path: Path) -> None:
    peppers = load_peppers(settings_in(tmp_path, key_pepper="p" * 32), make=True)
    assert peppers is not None
    assert not (tmp_path / "var").exists()


def test_without_a_file_nothing_is_made_unasked(tmp_path: Path) -> None:
    assert load_peppers(settings_in(tmp_path), make=False) is None


def test_an_empty_or_cut_file_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    for content in ("", "short\n", "ä" * 40):
        (tmp_path / "var" / FILE_NAME).write_text(content)
        with pytest.raises(ConfigurationError, match=FILE_NAME):
            load_peppers(settings_in(tmp_path), make=True)


def test_rotating_puts_a_new_one_first_and_keeps_the_last_five(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = load_peppers(settings, make=True)
    assert first is not None
    second = rotate_file(settings)
    assert second.names == [second.current, first.current]
    for _ in range(PEPPERS_MAX):
        second = rotate_file(settings)
    assert len(second.names) == PEPPERS_MAX
    assert first.current not in second.names


def test_a_pepper_that_working_keys_still_need_is_not_dropped(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    store, peppers = made_store(tmp_path)
    made = store.create(Draft(name="seldom used"), peppers, ME, NOW)
    for _ in range(PEPPERS_MAX - 1):
        rotate_file(settings, store.peppers_in_use(NOW))
    with pytest.raises(ConfigurationError, match="would end with it"):
        rotate_file(settings, store.peppers_in_use(NOW))
    kept = load_peppers(settings, make=False)
    assert kept is not None and peppers.current in kept.names
    store.revoke(made.record.id, ME, NOW)
    assert peppers.current not in rotate_file(settings, store.peppers_in_use(NOW)).names


def test_a_pepper_is_on_the_disk_with_its_name_before_a_key_is_hashed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, really = list[str](), os.fsync

    def fsync(descriptor: int) -> None:
        kept.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    load_peppers(settings_in(tmp_path), make=True)
    assert kept[-1] == str(tmp_path / "var")
    rotate_file(settings_in(tmp_path))
    assert kept[-1] == str(tmp_path / "var") and len(kept) == 4


def test_a_pepper_of_the_settings_is_not_rotated_by_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KEY_PEPPER_PREVIOUS"):
        rotate_file(settings_in(tmp_path, key_pepper="p" * 32))


def test_too_many_peppers_refuse_to_start(tmp_path: Path) -> None:
    four = ",".join(c * 32 for c in "abcd")
    assert load_peppers(settings_in(tmp_path, key_pepper="p" * 32, key_pepper_previous=four), make=False)
    with pytest.raises(ConfigurationError, match="at most 5"):
        load_peppers(settings_in(tmp_path, key_pepper="p" * 32, key_pepper_previous=four + "," + "e" * 32), make=False)


def test_a_store_whose_keys_have_another_pepper_refuses_to_start(tmp_path: Path) -> None:
    store, peppers = made_store(tmp_path)
    store.create(Draft(name="n"), peppers, ME, NOW)
    (tmp_path / "var" / FILE_NAME).unlink()
    with pytest.raises(ConfigurationError, match="hashed with another pepper"):
        made_store(tmp_path)
    assert not (tmp_path / "var" / FILE_NAME).exists()
    settings = settings_in(tmp_path, key_pepper="p" * 32)
    with pytest.raises(ConfigurationError, match="hashed with another pepper"):
        peppers_for(settings, open_store(settings))


def test_a_store_of_several_hosts_that_is_down_makes_no_pepper(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url="postgresql://127.0.0.1:1/none")
    with pytest.raises(ConfigurationError, match="FACE_API_KEY_PEPPER"):
        peppers_for(settings, open_store(settings))
    assert not (tmp_path / "var").exists()
