"""What is worn on a head lies where that head turns it, whatever of the face is known."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models.training.scenes import masks, shells, wardrobe, worn
from models.training.scenes.stance import MARKS, Stance, stance, turned

TURNS = [(0, 0), (45, 0), (-75, 20), (15, -40), (90, 0)]


def marks(yaw: float, pitch: float, unit: float = 30.0, lean: float = 0.0) -> np.ndarray:
    """Landmarks of a head that stands so in the middle of a picture of 400 pixels."""
    roll = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return (turned(MARKS, yaw, pitch)[:, :2] @ roll.T * unit + 180).astype(np.float32)


def painted(points: np.ndarray, seed: int = 0, shade: int = 127) -> tuple[np.ndarray, np.ndarray]:
    """A gray picture with a mask on it, and where it changed."""
    before = np.full((400, 400, 3), shade, np.uint8)
    after = before.copy()
    wardrobe.put_on(after, random.Random(seed), stance(points), "mask")
    return after, (after != before).any(axis=2)


@pytest.mark.parametrize("lean", [0.0, 0.5, -0.8])
@pytest.mark.parametrize("turn", TURNS)
def test_a_stance_is_read_from_five_landmarks_however_the_head_leans(turn: tuple[int, int], lean: float) -> None:
    held = stance(marks(*turn, lean=lean))
    assert (held.yaw, held.pitch) == turn
    assert np.abs(held.seen(MARKS) - marks(*turn, lean=lean)).max() < 0.1


def test_a_stance_is_read_from_a_box_and_one_landmark() -> None:
    points = marks(0, 0)
    whole = np.array([180 - 1.08 * 30, 180 - 1.03 * 30, 180 + 1.08 * 30, 180 + 1.87 * 30], np.float32)
    points[[0, 1, 3, 4]] = np.nan
    held = stance(points, whole)
    assert abs(held.unit - 30) < 3 and np.abs(held.origin - 180).max() < 6 and abs(held.yaw) <= 15


@pytest.mark.parametrize("turn", TURNS)
def test_a_mask_covers_the_mouth_of_a_turned_head_and_leaves_its_brow(turn: tuple[int, int]) -> None:
    held, hits = stance(marks(*turn)), 0
    for seed in range(2):
        _, where = painted(marks(*turn), seed)
        chin = np.round(held.seen(np.array([0.0, 1.75, 0.05], np.float32))).astype(int)
        brow = np.round(held.seen(np.array([0.0, -0.7, 0.0], np.float32))).astype(int)
        hits += bool(where[chin[1] - 4 : chin[1] + 5, chin[0] - 4 : chin[0] + 5].any())
        assert not where[brow[1], brow[0]]
    assert hits == 2


def test_a_mask_in_the_dark_is_dark() -> None:
    bright, where = painted(marks(0, 0), 3, shade=230)
    dark, there = painted(marks(0, 0), 3, shade=30)
    assert dark[there].mean() < 0.35 * bright[where].mean()


def test_a_face_of_which_little_is_known_is_dressed_all_the_same() -> None:
    points = np.full((5, 2), np.nan, np.float32)
    for seed in range(3):
        picture = np.full((200, 200, 3), 127, np.uint8)
        worn.dress(picture, random.Random(seed), points, np.array([60, 50, 140, 150], np.float32))
        assert (picture[60:190, 50:150] != 127).any()


def test_a_face_at_the_edge_or_beyond_it_is_dressed_without_an_error() -> None:
    picture = np.full((64, 64, 3), 127, np.uint8)
    for shift in (-180, -150, 0, 500):
        for kind in wardrobe.WEAR:
            wardrobe.put_on(picture, random.Random(1), stance(marks(0, 0) + shift), kind)


@pytest.mark.parametrize("kind", sorted(wardrobe.WEAR))
def test_wear_is_drawn_alike_from_the_same_seed(kind: str) -> None:
    cuts = []
    for _ in range(2):
        rng = random.Random(4)
        cuts.append(shells.draw(wardrobe.WEAR[kind](rng), 30, 0, 64, rng))
    assert (cuts[0] == cuts[1]).all() and cuts[0].shape == (64, 64, 4)
    assert (cuts[0][..., 3] > 0).mean() > 0.01


def test_the_head_hides_the_far_ends_of_a_masks_bands() -> None:
    points = masks.surface(random.Random(1), masks.SURGICAL, 0.0)
    straps = masks.loops(points, random.Random(1), (255.0, 255.0, 255.0))
    seen = shells.draw(straps, 90, 0, 128, random.Random(1))[..., 3] > 0
    both = sum((shells.draw([strap], 90, 0, 128, random.Random(1))[..., 3] > 0).any() for strap in straps)
    assert seen.any() and both == 2


def test_hoods_and_helmets_are_not_worn_where_they_would_hide_a_profile() -> None:
    kinds = {kind for seed in range(300) for kind in worn.outfit(random.Random(seed), 75, masked=True)}
    assert "mask" in kinds and not kinds & {"hood", "helmet"}


def test_a_stance_knows_how_large_an_eye_distance_is() -> None:
    held = Stance(0, 0, np.array([[0.0, -7.0], [7.0, 0.0]]), np.zeros(2))
    assert held.unit == 7
