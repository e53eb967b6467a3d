"""Cameras and telephones are whole, drawn by their seed, and cover what they are held before."""

from __future__ import annotations

import random

import numpy as np

from models.training.scenes.composer import Canvas
from models.training.scenes.devices import SIDE, device
from tests.training import drawn


def test_a_device_is_solid_in_its_middle_and_clear_at_its_corners() -> None:
    for seed in range(40):
        opacity = device(random.Random(seed))[..., 3]
        assert opacity.shape == (SIDE, SIDE)
        assert opacity[SIDE // 2 - 8 : SIDE // 2 + 8, SIDE // 2 - 8 : SIDE // 2 + 8].min() == 255
        assert opacity[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0


def test_devices_are_drawn_by_their_seed() -> None:
    assert (device(random.Random(1)) == device(random.Random(1))).all()
    assert (device(random.Random(1)) != device(random.Random(2))).any()


def test_what_is_held_before_a_face_owns_the_pixels_it_covers() -> None:
    composer, covered = drawn.composer(), []
    for seed in range(12):
        rng = random.Random(seed)
        canvas = Canvas.of(np.zeros((320, 320, 3), np.uint8))
        composer.put_face(canvas, rng, composer.faces[0][0], (160.0, 160.0), 100.0, 0.0)
        before = np.count_nonzero(canvas.owner)
        composer.put_held(canvas, rng, (160.0, 160.0), 100.0)
        covered.append(1 - np.count_nonzero(canvas.owner) / before)
    assert min(covered) > 0.02 and max(covered) > 0.4
