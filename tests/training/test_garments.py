"""What is worn covers what it should, and leaves the face to be found."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from models.training.material.folder import Floats, Picture
from models.training.scenes import cartoons, garments, worn

SIDE = 192
POINTS = np.array([[140, 150], [180, 150], [160, 172], [145, 195], [175, 195]], np.float32)  # eyes 40 px apart
EYES, CHIN = 150, 150 + 2.1 * 40


def changed(dress: Callable[[Picture, random.Random, Floats], None], seed: int) -> Floats:
    """Rows and columns of the pixels that a garment changed on a gray 320 x 480 picture."""
    picture = np.full((480, 320, 3), 127, np.uint8)
    dress(picture, random.Random(seed), POINTS)
    return np.argwhere((picture != 127).any(axis=2)).astype(np.float32)


@pytest.mark.parametrize("make", [garments.hat, garments.hair, garments.front])
def test_a_garment_is_a_cut_out_of_the_side_asked_for_and_drawn_alike_from_the_same_seed(
    make: Callable[[random.Random, int], Picture],
) -> None:
    for seed in range(5):
        cut = make(random.Random(seed), SIDE)
        assert cut.shape == (SIDE, SIDE, 4) and cut.dtype == np.uint8
        assert 0.02 < (cut[..., 3] > 127).mean() < 0.95
        assert (cut == make(random.Random(seed), SIDE)).all()


def test_a_hat_lies_above_the_mouth_and_reaches_over_the_forehead() -> None:
    for seed in range(10):
        rows = changed(worn.hat, seed)[:, 0]
        assert rows.min() < EYES - 40 and rows.max() < CHIN


def test_hair_falls_on_both_sides_of_the_mouth_and_leaves_it_bare() -> None:
    for seed in range(10):
        places = changed(worn.hair, seed)
        assert (places[:, 1] < 150).any() and (places[:, 1] > 170).any()
        mouth = np.abs(places - [195, 160]).max(axis=1) < 2
        assert not mouth.any()


def test_a_shirt_front_begins_below_the_chin() -> None:
    for seed in range(10):
        assert changed(worn.front, seed)[:, 0].min() > CHIN - 8


def test_a_garment_leans_with_the_head() -> None:
    upright, leaning = (np.full((480, 480, 3), 127, np.uint8) for _ in range(2))
    points = POINTS + np.array([80, 60], np.float32)
    middle = points[2]
    sideways = (points - middle) @ np.array([[0, 1], [-1, 0]], np.float32) + middle
    worn.front(upright, random.Random(4), points)
    worn.front(leaning, random.Random(4), sideways)
    down = np.argwhere((upright != 127).any(axis=2)).mean(axis=0) - middle[::-1]
    left = np.argwhere((leaning != 127).any(axis=2)).mean(axis=0) - middle[::-1]
    assert down[0] > 60 and abs(down[1]) < 20 and left[1] < -60 and abs(left[0]) < 20


def test_a_garment_beyond_the_edge_changes_nothing() -> None:
    picture = np.full((64, 64, 3), 127, np.uint8)
    worn.hat(picture, random.Random(1), POINTS + 4000)
    assert (picture == 127).all()


def test_a_cartoon_is_flat() -> None:
    for seed in range(5):
        cut = cartoons.cartoon(random.Random(seed))
        inside = cut[..., :3][cut[..., 3] > 127]
        _, counts = np.unique(inside, axis=0, return_counts=True)
        assert np.sort(counts)[-8:].sum() > 0.8 * len(inside)
