"""Composed scenes label what they show."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.training.material.folder import split_names
from models.training.scenes import layouts
from models.training.scenes.composer import (
    Canvas,
    Composer,
    Scene,
    finish,
    map_points,
    own_oval,
    second_view,
)
from tests.training import drawn


@pytest.fixture(scope="module")
def composer() -> Composer:
    return drawn.composer()


@pytest.fixture(scope="module")
def scenes(composer: Composer) -> list[Scene]:
    rng = random.Random(5)
    kinds = (layouts.mosaic, layouts.crowd, layouts.few, layouts.close_up, layouts.nobody)
    made = [kind(composer, rng, 320) for kind in kinds for _ in range(3)]
    made += [second_view(canvas, rng) for canvas in made]
    return [finish(canvas, rng) for canvas in made]


def test_boxes_lie_inside_the_canvas_and_are_not_empty(scenes: list[Scene]) -> None:
    assert sum(len(s.boxes) for s in scenes) > 100
    for scene in scenes:
        assert scene.picture.shape == (320, 320, 3) and scene.picture.dtype == np.uint8
        assert (scene.boxes >= 0).all() and (scene.boxes <= 320).all()
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()


def test_every_box_has_five_landmarks(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.points.shape == (len(scene.boxes), 5, 2)


def test_landmarks_keep_left_and_right_as_seen_in_the_picture(scenes: list[Scene]) -> None:
    points = np.concatenate([s.points for s in scenes])
    assert (points[:, 0, 0] < points[:, 1, 0]).mean() > 0.98
    assert (points[:, 3, 0] < points[:, 4, 0]).mean() > 0.98


def test_a_mirrored_map_exchanges_left_and_right() -> None:
    points = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], np.float32)
    mirrored = map_points(points, np.array([[-1.0, 0, 100], [0, 1, 0]]))
    assert mirrored[:, 0].tolist() == [80, 90, 85, 81, 89]


def covered(share: float) -> Scene:
    canvas = Canvas.of(np.zeros((128, 128, 3), np.uint8))
    box = np.array([30, 30, 90, 90], np.float32)
    points = np.array([[50, 50], [70, 50], [60, 60], [52, 75], [68, 75]], np.float32)
    own_oval(canvas, box, points, np.array([[1.0, 0, 0], [0, 1, 0]]), box)
    canvas.owner[int(90 - 60 * share) : 91] = 0
    return finish(canvas, random.Random(0))


def test_a_face_that_shows_is_taught_one_half_hidden_is_ignored_a_hidden_one_is_nothing() -> None:
    assert [len(covered(0.2).boxes), len(covered(0.2).ignored)] == [1, 0]
    assert [len(covered(0.6).boxes), len(covered(0.6).ignored)] == [0, 1]
    assert [len(covered(0.95).boxes), len(covered(0.95).ignored)] == [0, 0]


def test_a_scene_of_nobody_has_no_face(composer: Composer) -> None:
    rng = random.Random(9)
    assert all(len(finish(layouts.nobody(composer, rng, 320), rng).boxes) == 0 for _ in range(10))


def test_a_front_under_a_chin_is_no_face_and_hides_none(composer: Composer) -> None:
    rng = random.Random(4)
    canvas = Canvas.of(composer.backdrop(rng, 320))
    composer.put_person(canvas, rng, (160, 100), 60, 1)
    alone = canvas.picture.copy()
    composer.put_front(canvas, rng, (160, 100), 60)
    assert (canvas.picture != alone).any(axis=2)[150:].mean() > 0.1
    assert len(finish(canvas, rng).boxes) == 1


def test_the_same_seed_composes_the_same_scene(composer: Composer) -> None:
    one, two = (finish(layouts.compose(composer, r, 320), r) for r in (random.Random(3), random.Random(3)))
    assert (one.picture == two.picture).all() and (one.boxes == two.boxes).all()


def test_the_split_holds_out_as_many_as_asked_and_nothing_twice() -> None:
    names = [f"n{i:03}" for i in range(77)]
    kept, held = split_names(names, 20)
    assert len(held) == 20 and sorted(kept + held) == names
