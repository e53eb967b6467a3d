"""What weights were unsure of becomes cells, and cells become sheets to learn from."""

from __future__ import annotations

import math
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.dispatching.sheets import sheets_of
from gateway.pictures.picture_facts import Crop
from models.training.doubted import cells, sheets
from models.training.doubted.cells import SIDE, Cell, cells_of, is_face
from models.training.doubted.sheets import Pool, changed, placed, sheet
from models.training.judge.detect import Found
from models.training.material.folder import Floats, Picture
from models.training.scenes.composer import Scene
from shared.cells import CLOSER_SHEETS, FACE
from shared.faces import Faces

CELL = CLOSER_SHEETS.cell
NOWHERE = np.zeros((0, 4), np.float32)
POINTS = np.array([[40, 45], [60, 45], [50, 55], [42, 65], [58, 65]], np.float32)


def box(x: float, y: float, size: float) -> Floats:
    return np.array([x, y, x + size, y + size], np.float32)


def scene(*faces: Floats, ignored: Floats = NOWHERE, side: int = 320) -> Scene:
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    picture = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)
    boxes = np.array(faces, np.float32).reshape(-1, 4)
    points = np.stack([POINTS / 100 * (b[2] - b[0]) + b[:2] for b in faces]) if faces else np.zeros((0, 5, 2))
    return Scene(picture, boxes, points.astype(np.float32), ignored)


def found(*finds: tuple[Floats, float]) -> Found:
    boxes, scores = zip(*finds, strict=True)
    return Found(np.array(boxes), np.float32(scores), np.zeros((len(finds), 5, 2), np.float32), 1.0)


def black(shape: tuple[int, int, int]) -> Picture:
    return np.zeros(shape, np.uint8)


def a_cell(*, face: bool = True, score: float = 0.4, real: bool = True) -> Cell:
    (one,) = cells_of(scene(*[box(100, 100, 40)] * face), found((box(100, 100, 40), score)), real=real)
    return one


@pytest.mark.parametrize("find", [box(100, 120, 30), box(140, 90, 100), box(-6, 2, 24), box(290, 300, 24)])
def test_a_cell_shows_what_a_closer_look_is_shown(find: Floats) -> None:
    picture = scene().picture
    (cell,) = cells_of(scene(find), found((find, 0.4)), real=True)
    doubted = Faces(find[None], np.float32([0.4]), np.zeros((1, 5, 2), np.float32))
    served = sheets_of(doubted, Crop(picture, 320, 1.0), CLOSER_SHEETS, black).crops[0].pixels[:CELL, :CELL]
    margin = (SIDE - CELL) // 2
    inner = cell.pixels[margin:-margin, margin:-margin].astype(int)
    assert np.abs(inner - served).mean() < 2  # a photograph's rows are averaged in other groups where it is shrunk


@pytest.mark.parametrize(
    ("find", "known"),
    [
        (box(100, 100, 40), True),
        (box(104, 104, 40), True),
        (box(116, 110, 40), None),  # some of the face
        (box(200, 200, 40), False),
        (box(10, 10, 40), None),  # in what nobody knows
    ],
)
def test_a_find_is_a_face_or_none_or_nobody_knows(find: Floats, known: bool | None) -> None:
    assert is_face(find, box(100, 100, 40)[None], box(0, 0, 60)[None]) is known


def test_sure_and_tiny_finds_and_those_that_nobody_knows_are_no_cells() -> None:
    finds = found((box(100, 100, 40), 0.95), (box(200, 200, 5), 0.4), (box(10, 10, 40), 0.4), (box(250, 250, 40), 0.4))
    (one,) = cells_of(scene(box(100, 100, 40), ignored=box(0, 0, 60)[None]), finds, real=True)
    assert not one.face


def test_all_that_is_known_goes_into_the_cell_with_the_find() -> None:
    one = a_cell()
    middle = (SIDE - FACE) / 2
    np.testing.assert_allclose(one.found, [middle, middle, middle + FACE, middle + FACE], atol=1e-3)
    np.testing.assert_allclose(one.boxes[0], one.found, atol=1e-3)
    np.testing.assert_allclose(one.points[0], middle + POINTS * FACE / 100, atol=1e-3)


def test_a_file_gives_back_the_cells(tmp_path: Path) -> None:
    written = [a_cell(), a_cell(face=False, score=0.1, real=False)]
    cells.write(tmp_path / "0000.cells", written)
    for one, other in zip(written, cells.read(tmp_path / "0000.cells"), strict=True):
        assert (one.score, one.face, one.real) == (other.score, other.face, other.real)
        for name in ("pixels", "found", "boxes", "points", "ignored"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("seed", range(20))
def test_a_find_stays_near_the_middle_of_what_is_learned(seed: int) -> None:
    matrix, _ = placed(random.Random(seed))
    middle = matrix @ [SIDE / 2, SIDE / 2, 1]
    assert (np.abs(middle - CELL / 2) <= sheets.SHIFT + 1).all()
    corners = np.array([matrix @ [x, y, 1] for x in (0, SIDE) for y in (0, SIDE)])
    assert (corners.min(axis=0) <= 1).all()
    assert (corners.max(axis=0) >= CELL - 1).all()  # nothing beyond the cell is made up


def test_a_mirrored_face_has_its_left_eye_where_its_right_one_was() -> None:
    one = a_cell()
    assert {placed(random.Random(seed))[1] for seed in range(20)} == {True, False}
    for seed in range(20):
        points = changed(one, random.Random(seed)).points[0]
        assert points[0, 0] < points[1, 0]
        assert points[3, 0] < points[4, 0]


def test_what_the_cells_edge_cuts_off_is_ignored_and_not_taught() -> None:
    whole = scene(box(100, 100, 40), box(140, 100, 40))
    one = next(cell for cell in cells_of(whole, found((box(100, 100, 40), 0.4)), real=True))
    shown = changed(one, random.Random(3))
    assert len(shown.boxes) == 1
    assert len(shown.ignored) == 1


def pool(folder: Path) -> Pool:
    kinds = [a_cell(face=face, score=score) for face in (True, False) for score in (0.15, 0.6)]
    cells.write(folder / "0000.cells", kinds)
    return Pool(folder)


def test_a_sheet_is_of_cells_with_faces_in_their_own(tmp_path: Path) -> None:
    drawn, rng = pool(tmp_path), random.Random(5)
    for _ in range(10):
        one = sheet(drawn, rng)
        assert one.picture.shape == (320, 320, 3)
        assert len(one.boxes) == len(one.points)
        corners = one.boxes.reshape(-1, 2, 2)
        np.testing.assert_array_equal(corners[:, 0] // CELL, np.ceil(corners[:, 1] / CELL) - 1)


def test_faces_and_others_are_drawn_by_their_shares_whatever_there_is(tmp_path: Path) -> None:
    drawn, rng = pool(tmp_path), random.Random(6)
    faces = sum(drawn.draw(rng).face for _ in range(2000)) / 2000
    assert faces == pytest.approx(sum(share for (face, _), share in sheets.KINDS if face), abs=0.05)
    assert math.isclose(sum(share for _, share in sheets.KINDS), 1)


def test_a_pool_takes_in_what_is_added_and_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"models\.training\.doubted\.collect"):
        Pool(tmp_path)
    drawn = pool(tmp_path)
    cells.write(tmp_path / "0001.cells", [a_cell(score=0.25)] * 200)
    drawn.refresh()
    assert 0.25 in {drawn.draw(random.Random(seed)).score for seed in range(60)}
