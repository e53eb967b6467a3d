"""Fruit: round, whole, the same by the same seed, and in heaps that fill a picture."""

from __future__ import annotations

import random

import numpy as np

from models.training.scenes.clutter import PROCEDURES, SHARES, procedure
from models.training.scenes.fruit import SIDE, fruit, heap

SEEDS = range(8)


def test_a_fruit_is_round_and_whole_with_nothing_at_its_corners() -> None:
    for seed in SEEDS:
        cut = fruit(random.Random(seed))
        assert cut.shape == (SIDE, SIDE, 4) and cut.dtype == np.uint8
        solid = cut[..., 3] > 127
        assert 0.45 < solid.mean() < 0.8 and solid[30:66, 30:66].all()
        assert not cut[:8, :8, 3].any() and not cut[-8:, -8:, 3].any()


def test_a_fruit_is_lighter_where_the_light_falls() -> None:
    for seed in SEEDS:
        cut = fruit(random.Random(seed))
        seen = cut[..., :3].max(axis=2)[cut[..., 3] > 127].astype(np.float32)
        assert np.percentile(seen, 90) > 1.15 * np.percentile(seen, 10)


def test_a_heap_covers_most_of_its_ground() -> None:
    for seed in SEEDS:
        page = heap(random.Random(seed), 160)
        assert page.shape == (160, 160, 3)
        ground = np.bincount(page.reshape(-1, 3).max(axis=1), minlength=256).max() / page[..., 0].size
        assert ground < 0.5


def test_fruit_and_heaps_are_drawn_by_their_seed() -> None:
    for seed in SEEDS:
        assert (fruit(random.Random(seed)) == fruit(random.Random(seed))).all()
        assert (heap(random.Random(seed), 96) == heap(random.Random(seed), 96)).all()
    assert (fruit(random.Random(1)) != fruit(random.Random(2))).any()


def test_every_page_that_can_be_drawn_has_a_share_and_heaps_are_among_them() -> None:
    assert len(SHARES) == len(PROCEDURES)
    assert procedure(random.Random(3), 96, "heap").shape == (96, 96, 3)
