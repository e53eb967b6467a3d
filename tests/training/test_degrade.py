"""What spoils a picture does so by as much as was drawn, in every channel, and the same way every time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.training.scenes.degrade import degrade, noise

GREY = np.full((96, 80, 3), 128, np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_noise_is_grain_around_the_picture_in_every_channel(seed):
    grain = noise(random.Random(seed), GREY).astype(float) - 128
    assert np.abs(grain.mean(axis=(0, 1))).max() < 1
    assert grain.std(axis=(0, 1)).min() > 1.5
    assert grain.std(axis=(0, 1)).max() < 15


def test_noise_is_sometimes_grey_and_sometimes_coloured():
    grey = [bool((np.ptp(noise(random.Random(seed), GREY), axis=2) == 0).all()) for seed in range(20)]
    assert 0 < sum(grey) < 20


@pytest.mark.parametrize("seed", range(12))
def test_the_same_seed_spoils_the_same_way_whatever_the_memory_held(seed):
    first = degrade(random.Random(seed), GREY, 30.0)
    full = [np.full(size, 77, np.uint8) for size in (96 * 80 * 3, 96 * 80 * 6, 96 * 80)]
    del full
    assert (degrade(random.Random(seed), GREY, 30.0) == first).all()
