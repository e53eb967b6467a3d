"""Every hostile file is answered with a picture, 400 or 413, in words; nothing crashes, loops or stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import corpus
from tests.hostile.files import Expected, Hostile
from tests.hostile.gallery import Gallery, Outcome

ANSWERS: dict[int, Expected] = {200: "picture", 400: "refused", 413: "too large"}
#: Children may grow by this much over the whole corpus: glibc keeps up to 32 MiB of what was freed.
GROWTH_BYTES_MAX = 160 * 1024 * 1024


@pytest.fixture(scope="module")
def files(hostile_files: Path) -> list[Hostile]:
    return corpus.read(hostile_files)


@pytest.fixture(scope="module")
def outcomes(gallery: Gallery, files: list[Hostile]) -> dict[str, tuple[Expected, Outcome]]:
    return {file.name: (file.expected, gallery.outcome(file.data)) for file in files}


def test_the_corpus_is_large_and_every_name_is_given_once(outcomes: dict[str, tuple[Expected, Outcome]]) -> None:
    assert len(outcomes) >= 300


def test_every_file_is_answered_as_it_deserves(outcomes: dict[str, tuple[Expected, Outcome]]) -> None:
    wrong = {
        name: (expected, outcome.status, outcome.answer)
        for name, (expected, outcome) in outcomes.items()
        if ANSWERS.get(outcome.status) not in ({expected} if expected != "any" else set(ANSWERS.values()))
    }
    assert not wrong


def test_no_file_ends_a_child(outcomes: dict[str, tuple[Expected, Outcome]]) -> None:
    assert not [name for name, (_expected, outcome) in outcomes.items() if outcome.crashed]


def test_a_refusal_is_a_sentence_without_paths_or_inner_names(outcomes: dict[str, tuple[Expected, Outcome]]) -> None:
    for _expected, outcome in outcomes.values():
        if outcome.status != 200:
            assert outcome.answer[0].isupper()
            assert len(outcome.answer) > 20
            assert not any(word in outcome.answer for word in ("/", "0x", "Traceback", "cv2", "Error"))


def test_bombs_over_the_limits_never_reach_a_child(gallery: Gallery, files: list[Hostile]) -> None:
    for file in files:
        if file.expected == "too large":  # a child may wake by itself to give memory back, but not each time
            assert 0.0 in (_children_work_for_a_bomb(gallery, file) for _ in range(3)), file.name


def _children_work_for_a_bomb(gallery: Gallery, file: Hostile) -> float:
    """Seconds the children compute while it is refused."""
    before = gallery.children_cpu_s()
    assert gallery.outcome(file.data).status == 413
    return gallery.children_cpu_s() - before


def test_nothing_is_left_in_memory_or_on_disk(gallery: Gallery, outcomes: dict[str, tuple[Expected, Outcome]]) -> None:
    assert outcomes
    assert gallery.nothing_is_counted()
    assert gallery.resident_bytes() - gallery.resident_at_start < GROWTH_BYTES_MAX
    assert gallery.open_files() == gallery.files_at_start
    assert gallery.written_bytes() == 0


def test_the_count_of_written_bytes_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10_000))
    before = Gallery.written_by("self")
    (tmp_path / "file").write_bytes(bytes(100_000))
    written = Gallery.written_by("self") - before
    if not written:
        pytest.skip("temporary files lie in memory here, so that none of them is counted")
    assert written >= 100_000
