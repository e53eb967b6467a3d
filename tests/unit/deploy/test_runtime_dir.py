"""The folder for sockets: one service's alone, gone with it, and after a kill gone with the next start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import runtime_dir as module
from deploy.runtime_dir import LOCK, MADE, OURS, RuntimeDir, remove_dead, runtime_dir
from shared.errors import ConfigurationError
from tests.service import ROOT

#: Takes a folder and says which; with a word more it starts a child that inherits the lock, and says its number.
LAUNCHER = """
import subprocess, sys, time
from deploy.runtime_dir import runtime_dir
with runtime_dir(sys.argv[1]) as folder:
    print(folder.path, flush=True)
    if len(sys.argv) > 2:
        print(subprocess.Popen(["sleep", "600"], pass_fds=[folder.lock]).pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where private folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@contextlib.contextmanager
def launcher(*words: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a folder until it is killed, at the latest at the end."""
    command = [sys.executable, "-c", LAUNCHER, *(words or ("",))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def killed(*words: str) -> Path:
    """What a launcher leaves that is killed."""
    with launcher(*words) as (_, folder):
        pass
    assert folder.is_dir()
    return folder


def left_behind(place: Path, name: str = "face-api-left") -> Path:
    """A folder like one that a killed launcher leaves, with sockets and such in it."""
    folder = place / name
    folder.mkdir(mode=0o700)
    (folder / LOCK).write_bytes(MADE)
    (folder / LOCK).chmod(0o600)
    (folder / "workers").mkdir()
    (folder / "workers" / "a.sock").touch()
    return folder


def test_a_private_folder_is_closed_to_others_and_gone_at_the_end(place: Path) -> None:
    with runtime_dir("") as folder:
        assert folder.path.parent == place
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "workers").mkdir()
        (folder.path / "workers" / "a.sock").touch()
    assert list(place.iterdir()) == []


def test_it_is_gone_also_when_the_start_fails(place: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such model"), runtime_dir(""):
        raise ConfigurationError("no such model")
    assert list(place.iterdir()) == []


def test_the_next_start_removes_what_a_killed_launcher_left(place: Path) -> None:
    left = killed()
    with runtime_dir("") as folder:
        assert list(place.iterdir()) == [folder.path]
    assert not left.exists()


def test_a_start_with_a_set_folder_removes_it_too(place: Path) -> None:
    left = killed()
    with runtime_dir(str(place / "set")):
        assert not left.exists()


def test_the_folder_of_a_living_launcher_stays(place: Path) -> None:
    with launcher() as (_, theirs), runtime_dir("") as ours:
        assert {theirs, ours.path} == set(place.iterdir())


def test_the_folder_of_a_killed_launcher_stays_while_a_part_of_it_lives(place: Path) -> None:
    with launcher("", "with a part") as (process, folder):
        assert process.stdout is not None
        part = int(process.stdout.readline())
        process.kill()
        process.wait()
        try:
            remove_dead(place)
            assert folder.is_dir()
        finally:
            os.kill(part, signal.SIGKILL)
        process.stdout.read()  # ends when the part, which holds the other end, has ended
        remove_dead(place)
        assert not folder.exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o1700])
def test_a_folder_that_others_may_enter_is_not_a_launchers(place: Path, mode: int) -> None:
    folder = left_behind(place)
    folder.chmod(mode)
    remove_dead(place)
    assert (folder / "workers" / "a.sock").exists()


def test_a_folder_of_another_user_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = left_behind(place)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    remove_dead(place)
    assert (folder / LOCK).exists()


def test_a_folder_without_our_lock_file_is_left_alone(place: Path) -> None:
    folder = left_behind(place)
    (folder / LOCK).unlink()
    remove_dead(place)
    assert (folder / "workers" / "a.sock").exists()


@pytest.mark.parametrize("content", [b"", b"made by somebody else\n", MADE + b"and more"])
def test_a_lock_file_with_other_words_is_not_ours(place: Path, content: bytes) -> None:
    folder = left_behind(place)
    (folder / LOCK).write_bytes(content)
    remove_dead(place)
    assert (folder / "workers" / "a.sock").exists()


def test_a_folder_with_another_name_is_left_alone(place: Path) -> None:
    folder = left_behind(place, "someones-face-api")
    remove_dead(place)
    assert folder.exists()


def test_links_are_not_followed(place: Path) -> None:
    """Neither in place of the folder, nor of its lock file, nor in it."""
    precious = place / "precious"
    precious.mkdir()
    (precious / "photo.jpg").touch()
    elsewhere = left_behind(place, "elsewhere")
    (place / "face-api-link").symlink_to(elsewhere)
    folder = left_behind(place)
    (folder / LOCK).unlink()
    (folder / LOCK).symlink_to(elsewhere / LOCK)
    remove_dead(place)
    assert (elsewhere / "workers" / "a.sock").exists()
    assert (folder / "workers" / "a.sock").exists()
    dead = left_behind(place, "face-api-dead")
    (dead / "metrics").symlink_to(precious)
    remove_dead(place)
    assert not dead.exists()
    assert (precious / "photo.jpg").exists()


def test_a_pipe_for_a_lock_file_does_not_hold_a_start_up(place: Path) -> None:
    folder = left_behind(place)
    (folder / LOCK).unlink()
    os.mkfifo(folder / LOCK, 0o600)
    remove_dead(place)
    assert folder.exists()


def test_a_removal_that_was_cut_short_is_finished_by_the_next_start(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind(place)
    with monkeypatch.context() as failing:
        failing.setattr(module.shutil, "rmtree", _refusing)
        remove_dead(place)
    assert (folder / LOCK).exists()
    remove_dead(place)
    assert not folder.exists()


def _refusing(*_: object, **__: object) -> None:
    raise PermissionError


def test_of_launchers_that_start_together_each_has_its_folder_and_the_dead_one_goes(place: Path) -> None:
    """Every one of them looks through the others' half-made folders."""
    for number in range(20):
        left_behind(place, f"face-api-left-{number}")
    with contextlib.ExitStack() as running:
        folders = [running.enter_context(launcher())[1] for _ in range(3)]
        together = [subprocess.Popen([sys.executable, "-c", MANY], cwd=ROOT) for _ in range(3)]
        assert [process.wait(120) for process in together] == [0, 0, 0]
        assert set(place.iterdir()) == set(folders)


MANY = f"""
from deploy.runtime_dir import runtime_dir
for _ in range(100):
    with runtime_dir("") as folder:
        assert {{path.name for path in folder.path.iterdir()}} == {{"{LOCK}"}}
"""


def test_a_set_folder_is_made_for_this_user_alone_and_stays(place: Path) -> None:
    wanted = place / "run" / "face-api"
    with runtime_dir(str(wanted)) as folder:
        assert folder.path == wanted
        assert wanted.stat().st_mode & 0o777 == 0o700
    assert wanted.is_dir()


def test_what_an_earlier_run_left_in_a_set_folder_is_removed_and_nothing_else(place: Path) -> None:
    for name in OURS:
        (place / "run" / name).mkdir(parents=True)
        (place / "run" / name / "1.db").touch()
    (place / "run" / "mine.txt").touch()
    with runtime_dir(str(place / "run")):
        assert {path.name for path in (place / "run").iterdir()} == {LOCK, "mine.txt"}


def test_a_set_folder_that_a_living_service_uses_is_refused_and_untouched(place: Path) -> None:
    wanted = str(place / "run")
    with launcher(wanted) as (_, folder):
        (folder / "workers").mkdir()
        with pytest.raises(ConfigurationError, match=r"FACE_API_RUNTIME_DIR=\S+ is in use"), runtime_dir(wanted):
            pass
        assert (folder / "workers").is_dir()
    with runtime_dir(wanted) as taken:
        assert isinstance(taken, RuntimeDir)
        assert not (folder / "workers").exists()


def test_a_set_folder_is_never_removed_whatever_its_name(place: Path) -> None:
    wanted = place / "face-api-production"
    assert killed(str(wanted)) == wanted
    remove_dead(place)
    assert wanted.is_dir()


def test_who_sets_the_folder_of_a_killed_launcher_keeps_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = left_behind(place)
    monkeypatch.setattr(module, "remove_dead", lambda _place: None)  # the killed one died only after this look
    with runtime_dir(str(left)) as folder:
        assert folder.path == left
    remove_dead(place)
    assert left.is_dir()


def test_a_set_folder_that_cannot_be_made_is_told_with_the_way_out(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(ConfigurationError, match="FACE_API_RUNTIME_DIR"), runtime_dir(str(place / "file" / "run")):
        pass
