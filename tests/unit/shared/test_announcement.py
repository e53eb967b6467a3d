"""Announcements as readers see them: whole or not at all, and read again only when something changed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shared import announcement
from shared.announcement import Announcement, Watch
from shared.file_marks import SETTLED_S


@pytest.fixture
def runtime_dir(tmp_path: Path) -> Path:
    announcement.folder(tmp_path).mkdir()
    return tmp_path


def announce(runtime_dir: Path, generation: str, pool: int = 7) -> None:
    announcement.announce(runtime_dir, Announcement(0, generation, f"ipc://{generation}", 1, pool))


def test_what_is_announced_is_seen_and_what_is_withdrawn_is_not(runtime_dir: Path) -> None:
    watch = Watch(runtime_dir)
    for generations in (["a"], ["a", "b"]):
        announce(runtime_dir, generations[-1])
        assert sorted(watch.announced(time.time())) == sorted(announcement.announced(runtime_dir)) == generations
    announcement.withdraw(runtime_dir, "a")
    assert list(watch.announced(time.time())) == ["b"]


def test_an_unchanged_folder_is_not_read_again(runtime_dir: Path) -> None:
    announce(runtime_dir, "a")
    watch = Watch(runtime_dir)
    first = watch.announced(time.time() + 2 * SETTLED_S)
    assert watch.announced(time.time() + 60) is first


def test_changes_within_one_tick_of_the_clock_are_all_seen(runtime_dir: Path) -> None:
    watch = Watch(runtime_dir)
    for number in range(100):
        announce(runtime_dir, str(number))
        assert len(watch.announced(time.time())) == number + 1


def test_without_a_folder_nothing_is_announced(tmp_path: Path) -> None:
    assert Watch(tmp_path).announced(time.time()) == {}


def test_of_a_pool_that_has_ended_nothing_stays_and_of_others_all(runtime_dir: Path) -> None:
    announce(runtime_dir, "old", pool=7)
    announce(runtime_dir, "new", pool=8)
    for pool in (7, 8):
        announcement.expect(runtime_dir, pool, 3)
        announcement.mark_full(runtime_dir, pool)
    announcement.forget_pool(runtime_dir, 7)
    assert list(announcement.announced(runtime_dir)) == ["new"]
    assert [announcement.is_full(runtime_dir, pool) for pool in (7, 8)] == [False, True]
    assert [announcement.expected(runtime_dir, pool) for pool in (7, 8)] == [0, 3]
    assert not list(announcement.folder(runtime_dir).glob("7.*"))
