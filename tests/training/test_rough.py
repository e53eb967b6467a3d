"""Rough pictures stay pictures, and a face is taught only as long as a person would say face."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from models.training.material.folder import Picture
from models.training.scenes import rough
from models.training.scenes.composer import Scene, without_the_lost
from tests.training import drawn

FACE = 24.0


def small(side: float = FACE) -> tuple[Picture, np.ndarray]:
    """A drawn portrait whose face is so small, and its box."""
    one = drawn.portrait(3)
    width, height = one.box[2:] - one.box[:2]
    factor = side / float(np.sqrt(width * height))
    picture = cv2.resize(one.picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8), (one.box * factor)[None].astype(np.float32)


@pytest.mark.parametrize("step", [rough.defocus, rough.motion, rough.enlarged])
def test_what_smears_softens_the_picture_the_more_the_more_it_says(step) -> None:
    point = np.zeros((65, 65, 3), np.uint8)
    point[31:34, 31:34] = 255
    for seed in range(6):
        spoiled, sigma = step(random.Random(seed), point, 4.0)
        assert spoiled.shape == point.shape and spoiled.max() < 255 and 0 < sigma <= 4.5
    even = np.full((65, 65, 3), 90, np.uint8)
    assert np.abs(step(random.Random(1), even, 4.0)[0][10:-10, 10:-10].astype(int) - 90).max() <= 3


@pytest.mark.parametrize("step", [rough.lit, rough.sensor, rough.squashed])
def test_lamps_sensors_and_messengers_leave_the_size_and_repeat_by_the_seed(step) -> None:
    picture, _ = small()
    for seed in range(6):
        first = step(random.Random(seed), picture)
        assert first.shape == picture.shape and first.dtype == np.uint8
        assert (first == step(random.Random(seed), picture)).all()


def test_a_face_is_legible_as_it_was_and_not_once_it_is_lost_in_dark_noise_glare_or_blur() -> None:
    picture, box = small()
    values = np.random.default_rng(0)
    assert rough.legible(picture, picture, box, 0.0).tolist() == [True]
    assert rough.legible(cv2.convertScaleAbs(picture, alpha=0.4), picture, box, 0.0).tolist() == [True]
    lost = [
        (cv2.convertScaleAbs(picture, alpha=0.02), 0.0),
        (values.integers(0, 255, picture.shape, np.uint8), 0.0),
        (np.full_like(picture, 255), 0.0),
        (picture, FACE / 3),
    ]
    for spoiled, sigma in lost:
        assert rough.legible(np.asarray(spoiled, np.uint8), picture, box, sigma).tolist() == [False]


def test_a_lost_face_is_ignored_and_never_background() -> None:
    picture, box = small()
    points = np.zeros((1, 5, 2), np.float32)
    scene = Scene(np.zeros_like(picture), box, points, np.zeros((0, 4), np.float32))
    left = without_the_lost(scene, picture, 0.0)
    assert len(left.boxes) == len(left.points) == 0 and (left.ignored == box).all()


def test_the_same_seed_is_as_rough() -> None:
    picture, _ = small(60.0)
    for seed in range(8):
        (one, first), (two, second) = (rough.rough(random.Random(seed), picture, 60.0) for _ in range(2))
        assert (one == two).all() and first == second
