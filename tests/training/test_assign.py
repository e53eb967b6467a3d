"""The assigner loses no face."""

from __future__ import annotations

import numpy as np

from models.training.network.anchors import all_centres, counts
from models.training.run.assign import anchor_boxes, assign

NONE = np.zeros((0, 4), np.float32)


def random_faces(seed: int, smallest: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    sizes = np.exp(rng.uniform(np.log(smallest), np.log(300), (count, 1))) * rng.uniform(0.85, 1.15, (count, 2))
    low = rng.uniform(0, 320, (count, 2)) - sizes / 2
    return np.concatenate([low, low + sizes], axis=1).astype(np.float32).clip(0, 320)


def test_every_face_of_12_px_and_more_has_an_anchor() -> None:
    for seed in range(60):
        boxes = random_faces(seed, 12)
        wide = ((boxes[:, 2:] - boxes[:, :2]) >= 10).all(axis=1)
        given = assign(boxes[wide], NONE, 320, 320)
        assert set(given.faces.tolist()) == set(range(int(wide.sum()))), seed


def test_an_anchor_learns_one_face_and_lies_near_it() -> None:
    boxes = random_faces(3, 12)
    given = assign(boxes, NONE, 320, 320)
    assert len(set(given.anchors.tolist())) == len(given.anchors)
    centre, stride = all_centres(320, 320)
    middle = (boxes[given.faces, :2] + boxes[given.faces, 2:]) / 2
    assert (np.abs(centre[given.anchors] - middle) <= 1.6 * stride[given.anchors, None]).all()


def test_large_faces_go_to_large_anchors() -> None:
    boxes = np.array([[10, 10, 26, 26], [40, 40, 300, 300]], np.float32)
    given = assign(boxes, NONE, 320, 320)
    squares = anchor_boxes(320, 320)
    size = (squares[:, 2] - squares[:, 0])[given.anchors]
    assert size[given.faces == 0].max() <= 32 and size[given.faces == 1].min() >= 128


def test_ignored_faces_silence_anchors_but_never_one_that_learns() -> None:
    boxes = np.array([[100, 100, 130, 130]], np.float32)
    given = assign(boxes, np.array([[90, 90, 125, 125]], np.float32), 320, 320)
    assert len(given.silent) > 0
    assert not set(given.silent.tolist()) & set(given.anchors.tolist())


def test_a_picture_without_faces_teaches_no_anchor() -> None:
    given = assign(NONE, NONE, 64, 96)
    assert len(given.anchors) == len(given.faces) == len(given.silent) == 0
    assert sum(counts(64, 96)) == len(anchor_boxes(64, 96))
