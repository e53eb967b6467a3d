"""Prepared models are made once, whole or not at all."""

from __future__ import annotations

import fcntl
import os

import pytest

from models.preparing.cache import ENTRIES_MAX, Cache
from shared.errors import ConfigurationError


def write(folder):
    (folder / "done").write_text("yes")


def is_done(place):
    return (place / "done").is_file()


def entries(folder):
    return sorted(entry.name for entry in (folder / "cache").iterdir())


def fail(folder):
    (folder / "half").write_text("")
    raise RuntimeError("in the middle")


def test_an_entry_is_built_once(tmp_path):
    cache = Cache(tmp_path)
    place = cache.entry("a", is_done, write)
    assert cache.entry("a", is_done, fail) == place


def test_a_build_that_fails_leaves_no_entry(tmp_path):
    with pytest.raises(RuntimeError):
        Cache(tmp_path).entry("a", is_done, fail)
    assert entries(tmp_path) == ["lock"]


def test_an_entry_that_is_not_whole_is_built_again(tmp_path):
    (tmp_path / "cache" / "a").mkdir(parents=True)
    assert is_done(Cache(tmp_path).entry("a", is_done, write))


def test_a_lock_held_too_long_stops_the_start_in_words(tmp_path):
    cache = Cache(tmp_path, wait_s=0.0)
    cache.entry("a", is_done, write)
    with (tmp_path / "cache" / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="another process"):
            cache.entry("b", is_done, write)
        assert is_done(cache.entry("a", is_done, fail)), "what is whole needs no lock"


def test_a_folder_that_cannot_be_made_stops_the_start_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="FACE_API_DATA_DIR"):
        Cache(tmp_path / "file").entry("a", is_done, write)


def test_leftovers_of_a_killed_process_go(tmp_path):
    (tmp_path / "cache" / "making-xyz").mkdir(parents=True)
    Cache(tmp_path).entry("a", is_done, write)
    assert entries(tmp_path) == ["a", "lock"]


def test_one_entry_more_than_the_limit_drops_the_one_used_longest_ago(tmp_path):
    cache = Cache(tmp_path)
    for number in range(ENTRIES_MAX):
        place = cache.entry(f"entry{number:02}", is_done, write)
        os.utime(place, (number, number))
    assert len(entries(tmp_path)) == ENTRIES_MAX + 1
    cache.entry("entry00", is_done, fail)  # used again just now
    cache.entry("newest", is_done, write)
    left = set(entries(tmp_path)) - {"lock"}
    assert len(left) == ENTRIES_MAX
    assert {"entry00", "newest"} < left
    assert "entry01" not in left
