"""The memory of pictures that ended workers: one for all gateway processes, bounded, and not put out by anything odd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gateway import presence
from gateway.dispatching.quarantine import (
    AHEAD_S_MAX,
    REMEMBERED_MAX,
    REMEMBERED_S,
    Finding,
    Standing,
    digest_of,
    finding_of,
    glance_of,
    in_force,
    quarantine_of,
)
from gateway.dispatching.quarantine_folder import QuarantineFolder, folder
from gateway.dispatching.work_queue import Work, WorkQueue
from shared.deadline import Deadline
from shared.file_marks import SETTLED_S
from shared.messages import CropHeader
from tests.service import ROOT

#: Far enough from zero that nothing is older than the clock.
NOW = 10_000.0


def work(value: int, confidence: float = 0.5, looks: int = 1) -> Work:
    crop = np.full((2, 2, 3), value % 256, np.uint8)
    crop[0, 0, 0] = value // 256
    header = CropHeader(2, 2, 64, 1.0)
    return Work(1, (crop,) * looks, (header,) * looks, confidence, 0.4, 0, 2, 2, Deadline(1e9))


def finding(value: int, at: float = NOW, standing: Standing = "poison") -> Finding:
    return Finding(digest_of(work(value)), at, standing)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return folder(tmp_path)


def process(path: Path, told: list[str] | None = None) -> QuarantineFolder:
    """The view of one gateway process."""
    made = QuarantineFolder(path, (told if told is not None else []).append)
    made.open()
    return made


# What findings say


def test_a_picture_is_known_by_its_pixels_whatever_is_asked_of_it() -> None:
    held = quarantine_of([finding(1)])
    assert held.standing(work(1, confidence=0.9, looks=2)) == "poison"
    assert held.standing(work(2)) is None


def test_a_picture_that_only_looks_the_same_at_a_glance_is_another() -> None:
    one, other = (np.zeros((64, 2, 3), np.uint8) for _ in range(2))
    other[1] = 9
    header = CropHeader(64, 2, 64, 1.0)
    works = [Work(1, (rows,), (header,), 0.5, 0.4, 0, 2, 64, Deadline(1e9)) for rows in (one, other)]
    assert glance_of(works[0]) == glance_of(works[1])
    held = quarantine_of([Finding(digest_of(works[0]), NOW, "poison")])
    assert [held.standing(each) for each in works] == ["poison", None]


def test_a_finding_is_its_name_and_the_name_holds_nothing_but_digest_time_and_standing() -> None:
    one = finding(1, at=12.345, standing="suspected")
    assert one.name == f"{digest_of(work(1)).hex()}.12345.suspected"
    assert finding_of(one.name) == one


def test_a_name_that_was_read_is_the_same_name_however_long_the_host_has_run() -> None:
    for ran_ms in (0, 60_000_000, 66_000_000, 10**10):
        names = [f"{'0' * 64}.{ms}.poison" for ms in range(ran_ms, ran_ms + 100_000, 37)]
        assert [read.name for name in names if (read := finding_of(name))] == names


@pytest.mark.parametrize(
    "name", ["", "core", "a.1.poison", "z" * 64 + ".1.poison", "0" * 64 + ".1", "0" * 64 + ".1.poison.part",
             "0" * 64 + ".-1.poison", "0" * 64 + "." + "9" * 16 + ".poison", "0" * 64 + ".١.poison"]
)  # fmt: skip
def test_any_other_name_is_no_finding(name: str) -> None:
    assert finding_of(name) is None


def test_a_finding_counts_for_its_time_and_not_when_it_is_of_another_clock() -> None:
    names = [finding(1).name]
    assert in_force(names, NOW + REMEMBERED_S - 0.001)
    assert not in_force(names, NOW + REMEMBERED_S)
    assert in_force(names, NOW - AHEAD_S_MAX)
    assert not in_force(names, NOW - AHEAD_S_MAX - 0.001)


def test_the_limit_of_findings_is_kept_and_one_past_it_costs_the_oldest() -> None:
    names = [finding(number, at=NOW + number / 1000).name for number in range(REMEMBERED_MAX + 1)]
    assert len(in_force(names[:-1], NOW + 2)) == REMEMBERED_MAX
    kept = in_force(names, NOW + 2)
    assert (len(kept), kept[0].name) == (REMEMBERED_MAX, names[1])


def test_poison_stays_poison_whatever_is_found_before_or_after_it() -> None:
    found = [finding(1, NOW, "suspected"), finding(1, NOW + 1, "poison"), finding(1, NOW + 2, "suspected")]
    assert quarantine_of(found).standing(work(1)) == "poison"


# What a request meets on its way to a worker


def test_waiting_work_that_is_refused_by_then_is_the_next_to_go_and_takes_no_credit() -> None:
    queue = WorkQueue()
    queue.join("a", 2, 1)
    queue.granted("a", 1)
    poison, good = work(1), work(2)
    good.id = 2
    queue.submit(poison)
    queue.submit(good)
    assert queue.next_up() == [poison]
    queue.withdraw(poison.id)
    assert queue.next_up() == [good]
    assert queue.assign() == [("a", good)]
    assert queue.waiting == 0


def test_work_whose_picture_is_suspected_runs_alone_like_work_that_was_moved() -> None:
    one = work(1)
    assert not one.suspected
    one.noted = True
    assert one.suspected


# One memory for all processes


def test_what_one_process_finds_the_others_and_later_ones_know_at_once(path: Path) -> None:
    here, there = process(path), process(path)
    assert there.standing(work(1), NOW) is None
    here.note([work(1)], [], NOW)
    assert there.standing(work(1), NOW) == "suspected"
    there.note([], [work(1)], NOW)  # the second worker, lost by another process
    assert here.standing(work(1), NOW) == "poison"
    del here, there
    assert process(path).standing(work(1), NOW + 1) == "poison"


def test_two_findings_within_one_step_of_the_folders_time_are_both_seen(path: Path) -> None:
    here, there = process(path), process(path)
    here.note([], [work(1)], NOW)
    same = path.stat().st_mtime_ns
    assert there.standing(work(1), NOW) == "poison"
    here.note([], [work(2)], NOW)
    os.utime(path, ns=(same, same))
    assert there.standing(work(2), NOW + SETTLED_S / 2) == "poison"


def test_an_unchanged_folder_is_not_read_again(path: Path) -> None:
    here = process(path)
    here.note([], [work(1)], NOW)
    changed = path.stat().st_mtime_ns
    assert here.standing(work(1), NOW + 1) == "poison"
    (path / finding(2).name).touch()
    os.utime(path, ns=(changed, changed))
    assert here.standing(work(2), NOW + 2) is None
    os.utime(path)
    assert here.standing(work(2), NOW + 2) == "poison"


def test_a_suspect_that_a_worker_survived_is_forgotten_and_poison_is_not(path: Path) -> None:
    here, there = process(path), process(path)
    innocent, guilty = work(1), work(2)
    here.note([innocent, guilty], [guilty], NOW)
    here.acquit(innocent, NOW)
    here.acquit(guilty, NOW)
    assert (there.standing(work(1), NOW), there.standing(work(2), NOW)) == (None, "poison")


def test_the_folder_holds_no_more_than_the_limit_and_nothing_that_is_over(path: Path) -> None:
    here, there = process(path), process(path)
    for number in range(REMEMBERED_MAX):
        (path / finding(number, at=NOW + number / 1000).name).touch()
    assert here.standing(work(0), NOW + 2) == "poison"
    there.note([], [work(REMEMBERED_MAX)], NOW + 2)
    assert len(list(path.iterdir())) == REMEMBERED_MAX
    assert here.standing(work(0), NOW + 2) is None
    assert here.standing(work(REMEMBERED_MAX), NOW + 2) == "poison"
    assert here.standing(work(REMEMBERED_MAX), NOW + 2 + REMEMBERED_S) is None
    assert list(path.iterdir()) == []


def test_a_file_cut_short_counts_by_its_name_and_garbage_counts_for_nothing_and_goes(path: Path) -> None:
    here = process(path)
    whole = finding(1).name
    (path / whole).write_bytes(b"\x00 half a")
    (path / f"{whole}.part").touch()
    (path / finding(3, at=NOW + 1e6).name).touch()  # of a clock that began elsewhere
    (path / "core").write_bytes(b"x" * 1000)
    (path / "\udcff\n").touch()
    (path / "a folder").mkdir()
    assert here.standing(work(1), NOW) == "poison"
    assert here.standing(work(3), NOW) is None
    assert sorted(left.name for left in path.iterdir()) == sorted([whole, "a folder"])


def test_a_process_that_is_killed_over_and_over_while_it_writes_leaves_only_whole_findings(path: Path) -> None:
    program = (
        "import itertools; from pathlib import Path; import tests.unit.gateway.test_quarantine as t\n"
        f"here = t.process(Path({str(path)!r}))\n"
        "for number in itertools.count(): here.note([], [t.work(number % 500)], t.NOW); number or print('begun', flush=True)"
    )
    for _ in range(3):
        writing = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
        assert writing.stdout is not None
        assert writing.stdout.readline()
        writing.kill()
        writing.wait()
        writing.stdout.close()
        assert all(finding_of(left.name) and not left.stat().st_size for left in path.iterdir())
        assert process(path).standing(work(0), NOW) == "poison"
        for left in path.iterdir():
            left.unlink()


def with_digest(value: int) -> Work:
    one = work(value)
    digest_of(one)
    return one


def test_a_folder_that_was_removed_is_an_empty_memory_until_the_next_finding(path: Path) -> None:
    here, there = process(path), process(path)
    here.note([], [work(1)], NOW)
    (path / finding(1).name).unlink()
    path.rmdir()
    assert here.standing(work(1), NOW) is None
    here.note([], [work(2)], NOW)
    assert there.standing(work(2), NOW) == "poison"


def test_what_cannot_be_written_is_remembered_by_its_own_process_and_told(tmp_path: Path) -> None:
    path = folder(tmp_path)
    path.parent.mkdir()
    path.write_text("a file where the folder should be")
    told: list[str] = []
    here = process(path, told)
    here.note([work(2)], [work(1)], NOW)
    assert [here.standing(work(value), NOW) for value in (1, 2, 3)] == ["poison", "suspected", None]
    assert len(told) == 2
    here.acquit(with_digest(2), NOW)
    assert here.standing(work(2), NOW) is None
    assert here.standing(work(1), NOW + REMEMBERED_S) is None


def test_the_folder_is_private_and_lies_where_a_launcher_empties_at_its_start(path: Path) -> None:
    process(path).note([], [work(1)], NOW)
    assert path.parent.name == presence.FOLDER
    assert [made.stat().st_mode & 0o777 for made in (path.parent, path)] == [0o700, 0o700]
    assert {left.stat().st_mode & 0o777 for left in path.iterdir()} == {0o600}
