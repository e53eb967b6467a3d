"""Cut-outs turn as heads do, and survive being kept."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from models.training.scenes.sprites import (
    BUST_SIDE,
    FACE_SIDE,
    TURNS,
    Pose,
    Sprite,
    bust,
    close_gaps,
    cut_out,
    people,
    relief,
    turn,
    turned_bust,
)
from tests.training import drawn


def test_a_turned_nose_moves_with_the_turn_and_the_far_eye_comes_nearer() -> None:
    cut, box, points = cut_out(drawn.portrait(1))
    shape = relief(cut, box, points)
    for yaw in (-34.0, 34.0):
        _, _, turned = turn(cut, points, Pose(yaw, 0, box), shape)
        eyes, before = turned[:2, 0].mean(), points[:2, 0].mean()
        assert np.sign((turned[2, 0] - eyes) - (points[2, 0] - before)) == np.sign(yaw)
        assert turned[1, 0] - turned[0, 0] < points[1, 0] - points[0, 0]


def test_a_raised_nose_nears_the_eyes_and_a_bowed_one_the_mouth() -> None:
    cut, box, points = cut_out(drawn.portrait(1))
    shape = relief(cut, box, points)

    def place(pitch: float) -> float:
        _, _, marks = turn(cut, points, Pose(0, pitch, box), shape)
        eyes, mouth = marks[:2, 1].mean(), marks[3:, 1].mean()
        return float((marks[2, 1] - eyes) / (mouth - eyes))

    assert place(-30.0) < place(0.0) < place(30.0)


def test_a_pose_of_nothing_changes_nothing() -> None:
    cut, box, points = cut_out(drawn.portrait(1))
    picture, _, marks = turn(cut, points, Pose(0, 0, box), relief(cut, box, points))
    solid = cut[..., 3] == 255
    assert np.abs(picture[solid].astype(int) - cut[solid]).mean() < 2
    assert np.allclose(marks, points, atol=1e-3)


def test_turning_keeps_the_height_and_narrows_the_box() -> None:
    cut, box, points = cut_out(drawn.portrait(2))
    picture, turned, _ = turn(cut, points, Pose(62.0, 0, box), relief(cut, box, points))
    assert picture.shape == cut.shape
    assert np.allclose(turned[[1, 3]], box[[1, 3]], atol=0.1)
    assert turned[2] - turned[0] < box[2] - box[0]


def test_a_bust_is_as_fine_as_its_portrait_and_turns_as_the_seed_says() -> None:
    portrait = drawn.portrait(2)
    cut, box, points = cut_out(portrait)
    own = bust(portrait, Sprite([cut], box, points))
    assert own.box is not None and own.points is not None
    scale = (own.box[2] - own.box[0]) / (box[2] - box[0])
    assert 1.3 < scale <= BUST_SIDE / FACE_SIDE and np.allclose(own.points, points * scale, atol=0.5)
    assert np.allclose(np.array(own.levels[0].shape[:2]) / cut.shape[:2], scale, atol=0.02)
    once, again, other = (turned_bust(own, random.Random(seed)) for seed in (1, 1, 2))
    assert (once.levels[0] == again.levels[0]).all() and (once.points == again.points).all()
    assert once.points is not None and other.points is not None and not np.allclose(once.points, other.points)


def test_gaps_are_closed_up_to_a_width() -> None:
    source = np.full((9, 20, 2), -9, np.float32)
    source[:, 2:6], source[:, 8:12] = 4, 10
    closed = close_gaps(source, 3)
    assert (closed[4, 6:8, 0] >= 4).all() and (closed[4, 6:8, 0] <= 10).all()
    assert (closed[4, 14:] < 0).all() and (closed[4, 3] == 4).all()


def test_kept_sprites_are_the_same_sprites(tmp_path: Path) -> None:
    portraits = drawn.material(2).portraits
    faces, backs = people(portraits, 1, tmp_path / "sprites.npz")
    again, backs_again = people(portraits, 1, tmp_path / "sprites.npz")
    assert len(faces) == 2 and all(len(own) == 1 + len(TURNS) for own in faces)
    assert all(sprite.points is None for sprite in backs + backs_again)
    for own, other in zip(faces, again, strict=True):
        for one, two in zip(own, other, strict=True):
            assert (one.levels[-1] == two.levels[-1]).all() and (one.points == two.points).all()
