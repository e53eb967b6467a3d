"""Marks of files: the same while nothing changes, and another one, or none, after whatever changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.file_marks import SETTLED_S, mark_of

CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("other"),
    "written with what it held": lambda path: path.write_text("text"),
    "longer": lambda path: path.write_text("text and more"),
    "another file": lambda path: path.with_name("new").rename(path),
    "removed": Path.unlink,
    "no longer to be read": lambda path: path.chmod(0),
    "made to look older": lambda path: os.utime(path, (0, 0)),
}


def settled() -> float:
    return time.time() + 2 * SETTLED_S


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_has_another_mark(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    (tmp_path / "new").write_text("text")
    before = mark_of(settled(), path)
    assert before is not None and before == mark_of(settled(), path)
    time.sleep(0.02)  # the kernel's clock moves on
    change(path)
    assert mark_of(settled(), path) != before


def test_what_has_just_changed_has_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    assert mark_of(time.time(), path) is None
    assert mark_of(time.time(), tmp_path / "none") == (None,)
    assert mark_of(time.time(), tmp_path / "none", path) is None
