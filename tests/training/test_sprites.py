"""Cut-outs turn as heads do, and survive being kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.training.sprites import TURNS, close_gaps, cut_out, people, relief, turn
from tests.training import drawn


def test_a_turned_nose_moves_with_the_turn_and_the_far_eye_comes_nearer() -> None:
    cut, box, points = cut_out(drawn.portrait(1))
    shape = relief(cut, box, points)
    for yaw in (-34.0, 34.0):
        _, _, turned = turn(cut, box, points, yaw, shape)
        eyes, before = turned[:2, 0].mean(), points[:2, 0].mean()
        assert np.sign((turned[2, 0] - eyes) - (points[2, 0] - before)) == np.sign(yaw)
        assert turned[1, 0] - turned[0, 0] < points[1, 0] - points[0, 0]


def test_turning_keeps_the_height_and_narrows_the_box() -> None:
    cut, box, points = cut_out(drawn.portrait(2))
    picture, turned, _ = turn(cut, box, points, 62.0, relief(cut, box, points))
    assert picture.shape == cut.shape
    assert turned[1] == box[1] and turned[3] == box[3]
    assert turned[2] - turned[0] < box[2] - box[0]


def test_gaps_are_closed_up_to_a_width() -> None:
    row = np.array([[3, -9, -9, 5, -9, -9, -9, 9, -9]], np.float32)
    assert close_gaps(row, 3).tolist() == [[3, 3, 3, 5, -9, -9, -9, 9, -9]]


def test_kept_sprites_are_the_same_sprites(tmp_path: Path) -> None:
    portraits = drawn.material(2).portraits
    faces, backs = people(portraits, 1, tmp_path / "sprites.npz")
    again, backs_again = people(portraits, 1, tmp_path / "sprites.npz")
    assert len(faces) == 2 and all(len(own) == 1 + len(TURNS) for own in faces)
    assert all(sprite.points is None for sprite in backs + backs_again)
    for own, other in zip(faces, again, strict=True):
        for one, two in zip(own, other, strict=True):
            assert (one.levels[-1] == two.levels[-1]).all() and (one.points == two.points).all()
