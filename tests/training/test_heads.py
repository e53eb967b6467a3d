"""Heads from a mesh stand as they are told, and their boxes and landmarks with them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from models.training.material.head_mesh import HeadMesh, read_head
from models.training.scenes import heads
from models.training.scenes.heads import Heads, Skin, head, pose, skins
from tests.training import drawn

UNIT = heads.SIDE / 2 / heads.REACH / 2  # pixels of an eye distance in a cut-out of half the side
BALL = 24


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> HeadMesh:
    """A ball with a nose for a head, in the files' own form, with two targets."""
    folder = tmp_path_factory.mktemp("head")
    lines, quads = ["# a ball", "g body"], []
    for row in range(BALL):
        for column in range(BALL):
            rise, turn = np.pi * (row / (BALL - 1) - 0.5), 2 * np.pi * column / BALL
            x, y, z = 0.75 * np.cos(rise) * np.sin(turn), 1.15 * np.sin(rise), 1.0 * np.cos(rise) * np.cos(turn)
            nose = 0.25 if column == 0 and abs(y + 0.1) < 0.12 else 0.0
            lines.append(f"v {x:.4f} {7.1 + y:.4f} {0.4 + z + nose:.4f}")
            below, beside = row * BALL + column, row * BALL + (column + 1) % BALL
            if row < BALL - 1:
                quads.append((below, beside, beside + BALL, below + BALL))
    lines += ["f " + " ".join(f"{corner + 1}/1" for corner in quad) for quad in quads]
    for place, (side, x) in enumerate((("l", -0.308), ("r", 0.308))):
        lines += [
            f"v {x + dx} {7.284 + dy} 1.39" for dx, dy in ((-0.02, -0.02), (0.02, -0.02), (0.02, 0.02), (-0.02, 0.02))
        ]
        first = BALL * BALL + 4 * place
        lines += [f"g helper-{side}-eye", "f " + " ".join(f"{first + corner + 1}/1" for corner in range(4))]
    (folder / "base.obj").write_text("\n".join(lines))
    (folder / "asian-male-old.target").write_text("# wider\n5 0.1 0 0\n6 0.1 0 0\n")
    (folder / "head-fat-incr.target").write_text("7 0 0 0.05\n")
    return read_head(folder)


@pytest.fixture(scope="module")
def skin() -> Skin:
    return skins([drawn.portrait(seed) for seed in range(6)])[0]


def test_a_mesh_is_read_with_the_eyes_one_apart_and_y_downwards(mesh: HeadMesh) -> None:
    left, right, nose, mouth, _ = mesh.points[mesh.marks]
    assert abs(right[0] - left[0] - 1) < 0.1 and abs(left[1]) < 0.1
    assert nose[2] > left[2] and mouth[1] > nose[1] > 0
    assert set(mesh.targets) == {"asian-male-old", "head-fat-incr"}
    assert mesh.targets["asian-male-old"][1][0, 0] == pytest.approx(0.1 / 0.616)


def test_a_turned_head_looks_to_its_side(mesh: HeadMesh, skin: Skin) -> None:
    for yaw in (-80, 80):
        sprite = head(mesh, skin, yaw, 0, random.Random(3), heads.SIDE // 2)
        assert sprite.box is not None and sprite.points is not None
        middle = (sprite.box[0] + sprite.box[2]) / 2
        assert (sprite.points[2, 0] - middle) * np.sign(yaw) > 0.2 * UNIT
        assert sprite.box[2] - sprite.box[0] > 0.6 * UNIT and sprite.box[3] - sprite.box[1] > 1.2 * UNIT
        assert sprite.levels[0].shape == (heads.SIDE // 2, heads.SIDE // 2, 4)


def test_a_bowed_head_has_its_nose_lower_than_a_raised_one(mesh: HeadMesh, skin: Skin) -> None:
    bowed, raised = (head(mesh, skin, 0, pitch, random.Random(3), heads.SIDE // 2) for pitch in (40, -40))
    assert bowed.points is not None and raised.points is not None
    fall = [points[2, 1] - points[:2, 1].mean() for points in (bowed.points, raised.points)]
    assert fall[0] > fall[1] + 0.5 * UNIT


def test_a_head_from_behind_has_no_landmarks(mesh: HeadMesh, skin: Skin) -> None:
    sprite = head(mesh, skin, 150, 0, random.Random(3), heads.SIDE // 2)
    assert sprite.points is None and sprite.box is not None


def test_heads_grow_in_number_and_no_faster_than_said(mesh: HeadMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "SIDE", 48)
    kept = Heads(mesh, [drawn.portrait(seed) for seed in range(4)], 1)
    rng = random.Random(2)
    for _ in range(60):
        kept.take(rng)
    assert 1 <= len(kept.ready) < 12


def test_most_poses_are_ones_that_portraits_do_not_show() -> None:
    poses = [pose(random.Random(seed)) for seed in range(400)]
    assert np.mean([abs(yaw) > 45 or abs(pitch) > 14 for yaw, pitch in poses]) > 0.95
    assert 0.08 < np.mean([abs(yaw) > heads.BACK for yaw, _ in poses]) < 0.25
    assert not any(110 < abs(yaw) < heads.BACK for yaw, _ in poses)


def test_a_portrait_that_looks_aside_gives_no_skin() -> None:
    one = drawn.portrait(1)
    aside = one.points.copy()
    aside[2, 0] += 0.7 * (aside[1, 0] - aside[0, 0])
    turned = type(one)(one.name, one.picture, one.box, aside)
    assert len(skins([one])) == 1 and skins([turned]) == []


def test_a_folder_without_a_mesh_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"base\.obj"):
        read_head(tmp_path)
