"""The list of photographs without people, and getting them; needs no torch and no network."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from models.training.judge import alarms
from models.training.judge.alarms import REPOSITORIES, Listed, get, listed

FILE = b"a picture"
ONE = Listed(hashlib.sha256(FILE).hexdigest(), "owner/name", "CC0 1.0", "some where/a.JPG")


def test_every_photograph_is_named_once_with_sum_licence_and_a_repository_that_says_so() -> None:
    every = listed()
    assert len(every) >= 200
    assert len({one.sha256 for one in every}) == len({one.name for one in every}) == len(every)
    assert {one.repository for one in every} == set(REPOSITORIES)
    assert all(len(one.sha256) == 64 and one.licence and one.path for one in every)
    assert all(len(r.commit) == 40 and r.evidence for r in REPOSITORIES.values())


def test_both_halves_hold_at_least_a_hundred() -> None:
    release = sum(alarms.is_release(one.name) for one in listed())
    assert min(release, len(listed()) - release) >= 100


def test_only_the_very_file_is_written_and_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    assert get([ONE], tmp_path, lambda *_: None) == [ONE]
    assert get([ONE], tmp_path, lambda *_: b"another") == [ONE]
    assert not list(tmp_path.iterdir())
    asked = []

    def source(repository: str, path: str) -> bytes:
        asked.append((repository, path))
        return FILE

    assert get([ONE], tmp_path, source) == get([ONE], tmp_path, source) == []
    assert asked == [("owner/name", "some where/a.JPG")]
    assert [path.name for path in alarms.present(tmp_path)] == [f"{ONE.sha256[:12]}.jpg"]


def test_a_clone_gives_the_file_of_the_very_commit(tmp_path: Path, monkeypatch) -> None:
    clone = tmp_path / "owner+name"
    clone.mkdir()

    def git(*words: str) -> str:
        command = ["git", "-C", str(clone), "-c", "user.name=n", "-c", "user.email=n@example.com", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    (clone / "a.jpg").write_bytes(FILE)
    git("add", "a.jpg")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD")
    (clone / "a.jpg").write_bytes(b"later")
    git("commit", "-qam", "two")
    monkeypatch.setitem(REPOSITORIES, "owner/name", alarms.Repository(commit, "LICENSE"))
    read = alarms.cloned(tmp_path)
    assert read("owner/name", "a.jpg") == FILE
    assert read("owner/name", "b.jpg") is None
