"""The scores of weights for closer looks agree with a first look's by the gateway's one rule."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.training.export import closer  # noqa: E402
from models.training.export.closer import BAR, agreement, closer_scores  # noqa: E402
from models.training.judge.detect import Floats  # noqa: E402
from tests.training.test_doubted import a_cell  # noqa: E402


def looks(count: int = 4000) -> tuple[Floats, Floats, Floats, Floats]:
    """First looks, closer looks by the network itself, by one that tells better on a scale of its own, and the truth."""
    rng = np.random.default_rng(1)
    face = (rng.random(count) < 0.5).astype(np.float32)
    first, own, better = (rng.normal(0, 1, count) + share * (face - 0.5) for share in (0.5, 1.5, 3.0))
    return *(np.asarray(one, np.float32) for one in (first - 1, own - 1, 0.3 * better + 2)), face  # type: ignore[return-value]


def test_as_many_others_pass_as_where_the_network_itself_looks_closer_and_more_faces() -> None:
    first, own, better, face = looks()
    slope, shift = agreement(first, own, better, face)
    bar = 2 * BAR
    before, after = first + own >= bar, first + slope * better + shift >= bar
    others = int((before & (face == 0)).sum())
    assert int((after & (face == 0)).sum()) in {others, others + 1}
    assert (after & (face == 1)).sum() > (before & (face == 1)).sum() + 100


def test_a_closer_look_counts_by_what_it_tells() -> None:
    first, own, better, face = looks()
    (strong, _), (weak, _) = agreement(first, own, better, face), agreement(first, own, own, face)
    assert strong > 2 * weak > 0


def test_a_closer_look_is_asked_for_the_find_in_the_middle_of_the_cell() -> None:
    shown = []

    def heads(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[Floats]:
        shown.append(picture.shape)
        counts = [2 * (96 // stride) ** 2 for stride in (8, 16, 32)]
        scores = [np.full((count, 1), 0.9 if place == 1 else 0.0, np.float32) for place, count in enumerate(counts)]
        reach = [
            np.full((count, 4), 24 / stride, np.float32) for count, stride in zip(counts, (8, 16, 32), strict=True)
        ]
        return [*scores, *reach, *(np.zeros((count, 10), np.float32) for count in counts)]

    assert closer_scores(heads, [a_cell()]) == pytest.approx([0.9])
    assert shown == [(96, 96, 3)]
    assert closer_scores(lambda picture: [0 * part for part in heads(picture)], [a_cell()]) == pytest.approx(
        [closer.UNSEEN]
    )
