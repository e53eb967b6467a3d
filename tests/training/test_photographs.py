"""Real photographs: what is known of them is read, cropped with them, and what is doubtful teaches nothing."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.training.judge.sets import left_out
from models.training.labelling.write import BOXED
from models.training.material import fetch_sources, photographs
from models.training.material.photographs import (
    GATHERED,
    LONGEST,
    UNPROVEN,
    Photograph,
    gathered_rows,
    held_out,
    names_in,
    read_photographs,
)
from models.training.run.assign import anchor_boxes, assign
from models.training.scenes.composer import finish, map_box, second_view
from models.training.scenes.photographed import chosen, crop, frame, photographed, settled, shot, side_by_side

OPEN = {"CC BY 2.0", "CC BY 3.0", "CC BY 4.0", "CC0 1.0", "US government work", "no known copyright restrictions",
        "Unsplash licence", "OGL 3.0", "public domain"}  # fmt: skip
NOBODY_KNOWS = [[None, None]] * 5


def label(*boxes: list[float], together: bool = False) -> dict[str, object]:
    faces = [{"box": box, "points": NOBODY_KNOWS, "sure": 0.5} for box in boxes]
    return {"faces": faces, "doubtful": [[1, 1, 20, 20]], "regions": [], "denied": [], "together": together}


def photograph(seed: int = 0) -> Photograph:
    rng = np.random.default_rng(seed)
    picture = np.asarray(cv2.resize(rng.integers(0, 255, (30, 40, 3), np.uint8), (400, 300)), np.uint8)
    boxes = np.array([[100, 80, 150, 140], [140, 90, 180, 140]], np.float32)
    points = np.full((2, 5, 2), np.nan, np.float32)
    points[0] = [[115, 105], [135, 105], [125, 115], [118, 125], [132, 125]]
    doubtful, region = np.array([[300, 60, 340, 110], [0, 200, 400, 300]], np.float32)
    sure, denied = np.array([0.9, 0.1], np.float32), np.array([[20, 20, 60, 60]], np.float32)
    return Photograph("drawn", picture, boxes, points, sure, doubtful[None], region[None], denied)


def test_a_tenth_is_held_out_and_pictures_of_the_same_people_never_part() -> None:
    together = {f"{i:03}.jpg": i < 30 for i in range(100)}
    held = held_out(together)
    assert len(held) == 7 and all(int(name[:3]) >= 30 for name in held)
    assert held == held_out(dict(reversed(together.items())))


def test_what_training_leaves_out_is_judged_by_set(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "labels.json").write_text(json.dumps({f"{i:03}.jpg": {} for i in range(30)}))
    scenes = {f"{i:03}.jpg": {"near_duplicate_risk": "crops of one"} if i % 2 else {} for i in range(20)}
    (tmp_path / "scenes.json").write_text(json.dumps(scenes))
    left = left_out(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in left} == held_out(names_in(tmp_path))
    assert sorted(left.values()) == ["everyday scenes"] * 3 + ["gatherings"]
    assert left_out(tmp_path / "none") == {}


def test_what_was_gathered_changes_nobody_who_was_held_out_and_neither_does_what_could_not_be_had(
    tmp_path: Path,
) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "labels.json").write_text(json.dumps({f"{i:03}.jpg": {} for i in range(40)}))
    (tmp_path / "scenes.json").write_text("{}")
    before = held_out(names_in(tmp_path))
    (tmp_path / GATHERED).mkdir()
    every = [row["file"] for row in gathered_rows()]
    for file in every:
        (tmp_path / GATHERED / file).touch()
    held = held_out(names_in(tmp_path))
    assert len(before) == 4 and before < held and len(held) > 40
    for file in every[::3]:
        (tmp_path / GATHERED / file).unlink()
    left = names_in(tmp_path)
    assert held_out(left) == held & set(left) < held


def test_every_gathered_photograph_is_named_once_with_licence_source_credit_and_sum_and_was_looked_through() -> None:
    rows = gathered_rows()
    assert len({row["file"] for row in rows}) == len({row["sha256"] for row in rows}) == len(rows)
    left = [row for row in rows if row["licence"] == UNPROVEN]
    assert len(left) == 3 and {row["licence"] for row in rows if row not in left} <= OPEN
    assert all(row["credit"] and ":" in row["source"] and len(row["sha256"]) == 64 for row in rows)
    assert {row["others"] for row in rows} <= {"yes", "no"}
    assert {f"{GATHERED}/{row['file']}" for row in rows if row not in left} == set(json.loads(BOXED.read_text()))


def test_what_is_unproven_is_neither_fetched_nor_learned_from_and_holds_its_place(tmp_path: Path, monkeypatch) -> None:
    row = {"file": "a.jpg", "licence": UNPROVEN, "others": "no", "source": "owner/name:a.jpg", "sha256": "0"}
    monkeypatch.setattr(fetch_sources, "gathered_rows", lambda: [row])
    monkeypatch.setattr(fetch_sources, "fetch", lambda _addresses: pytest.fail("it was fetched"))
    assert fetch_sources.gather(tmp_path / GATHERED) == []
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "labels.json").write_text("{}")
    (tmp_path / "scenes.json").write_text("{}")
    rows = gathered_rows()
    for each in rows:
        (tmp_path / GATHERED / each["file"]).touch()
    assert set(names_in(tmp_path)) == {f"{GATHERED}/{each['file']}" for each in rows if each["licence"] != UNPROVEN}


def test_only_the_very_file_is_gathered_and_kept_no_larger_than_its_boxes_are_drawn(
    tmp_path: Path, monkeypatch
) -> None:
    data = cv2.imencode(".jpg", np.zeros((30, 2 * fetch_sources.GATHERED_LONGEST, 3), np.uint8))[1].tobytes()
    named = {"file": "a.jpg", "licence": "CC0 1.0", "source": "owner/name:some where/a.jpg"}
    row = named | {"sha256": hashlib.sha256(data).hexdigest()}
    monkeypatch.setattr(fetch_sources, "gathered_rows", lambda: [row, row | {"file": "b.jpg", "sha256": "another"}])
    monkeypatch.setattr(fetch_sources, "fetch", lambda addresses: data)
    assert fetch_sources.gather(tmp_path / "gathered") == ["b.jpg"]
    kept = cv2.imread(str(tmp_path / "gathered" / "a.jpg"))
    assert kept.shape == (15, fetch_sources.GATHERED_LONGEST, 3)


def test_large_photographs_are_read_smaller_and_their_faces_with_them(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((50, 2 * LONGEST, 3), np.uint8))
    (tmp_path / "faces.json").write_text(json.dumps({"wide.png": label([100, 10, 140, 50])}))
    (one,), nobody = read_photographs(tmp_path, tmp_path / "faces.json")
    assert not nobody and one.picture.shape == (25, LONGEST, 3)
    assert one.boxes.tolist() == [[50, 5, 70, 25]] and np.isnan(one.points).all()


def test_a_crop_holds_its_faces_where_they_are() -> None:
    one, rng = shot(photograph()), random.Random(1)
    for _ in range(20):
        scene = finish(crop(one, rng, 160), rng)
        assert scene.picture.shape == (160, 160, 3)
        assert (scene.boxes >= 0).all() and (scene.boxes <= 160).all()
        assert len(scene.boxes) <= 2 and len(scene.ignored) <= 3


def test_the_far_face_is_ignored_where_the_near_one_covers_it() -> None:
    known = photograph()
    boxes = np.array([[100, 80, 160, 150], [110, 90, 150, 140]], np.float32)
    nowhere = np.zeros((0, 4), np.float32)
    one = shot(replace(known, boxes=boxes, doubtful=nowhere, regions=nowhere))
    rng = random.Random(3)
    for _ in range(10):
        assert len(finish(crop(one, rng, 200), rng).boxes) <= 1


def test_what_the_teacher_misses_is_shown_most_often_and_what_it_wrongly_takes_for_a_face_too() -> None:
    hard = photograph()
    easy = replace(hard, sure=np.array([0.9, 0.9], np.float32), denied=hard.denied[:0])
    shots, rng = [shot(easy), shot(hard)], random.Random(1)
    among = Counter(one.weight for one in chosen(shots, rng, 1000))
    assert among[shots[1].weight] > 4 * among[shots[0].weight] > 0
    assert shots[1].places.tolist() == [*hard.boxes.tolist(), *hard.denied.tolist()]
    sure, unsure, none = shots[1].weights
    assert unsure > 4 * max(sure, none) and min(sure, none) > 0


def test_a_crop_shows_the_place_that_it_lies_about() -> None:
    one = shot(photograph())
    for place in range(3):
        alone = replace(one, weights=[float(place == other) for other in range(3)])
        shown = [map_box(one.places[place], frame(alone, random.Random(seed), 160)) for seed in range(100)]
        inside = [(box[:2] + box[2:] >= 0).all() and (box[:2] + box[2:] <= 320).all() for box in shown]
        assert sum(inside) >= 75


@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_a_photograph_fills_its_crop_or_lies_within_it(scale: float) -> None:
    moved = settled(np.array([[scale, 0, 150.0], [0, scale, -700.0]]), 400, 300, 160)
    low, high = moved[:, 2], moved[:, :2] @ [400, 300] + moved[:, 2]
    assert ((low <= 0) & (high >= 160)).all() or ((low >= 0) & (high <= 160)).all()


def test_four_crops_side_by_side_keep_their_faces_apart() -> None:
    one, rng = shot(photograph()), random.Random(2)
    crops = [crop(one, rng, 80) for _ in range(4)]
    whole = side_by_side(crops, 160)
    assert len(whole.boxes) == sum(len(part.boxes) for part in crops)
    assert len(whole.regions) == sum(len(part.regions) for part in crops)
    assert whole.owner.max() <= len(whole.boxes)
    for place, (x, y) in enumerate([(0, 0), (80, 0), (0, 80), (80, 80)]):
        assert np.array_equal(whole.picture[y : y + 80, x : x + 80], crops[place].picture)


def test_what_is_doubtful_goes_with_the_picture_into_its_second_view() -> None:
    rng = random.Random(5)
    canvas = photographed([shot(photograph())], rng, 160)
    again = second_view(canvas, rng)
    assert (len(again.ignored), len(again.regions)) == (len(canvas.ignored), len(canvas.regions))


def test_nothing_is_taught_where_anything_may_be() -> None:
    none, region = np.zeros((0, 4), np.float32), np.array([[0, 0, 160, 320]], np.float32)
    face = np.array([[40, 40, 100, 110]], np.float32)
    given = assign(face, none, 320, 320, region)
    squares = anchor_boxes(320, 320)
    inside = (squares[:, 0] + squares[:, 2]) / 2 <= 160
    taught = np.zeros(len(squares), bool)
    taught[given.anchors] = True
    silent = np.zeros(len(squares), bool)
    silent[given.silent] = True
    assert (silent | taught)[inside].all() and not silent[~inside].any() and len(given.anchors)


def test_every_photograph_has_a_licence_a_source_a_credit_and_a_sum() -> None:
    rows = [line.split("\t") for line in fetch_sources.PHOTOGRAPHS.read_text().splitlines()[1:]]
    assert len(rows) == 1195 and all(len(row) == 4 and all(row) for row in rows)
    assert {row[1].split(",")[0] for row in rows} <= {
        "CC BY 2.0", "CC BY 4.0", "no known copyright restrictions", "US government work", "BSD", "MIT", "CC0 1.0",
    }  # fmt: skip
    sums = {line.split(maxsplit=1)[1] for line in fetch_sources.SUMS.read_text().splitlines()}
    assert {row[0] for row in rows} <= sums
    assert all(address.startswith(fetch_sources.RAW) for address in fetch_sources.photograph_addresses().values())


def test_a_label_names_its_photograph(tmp_path: Path) -> None:
    (tmp_path / "faces.json").write_text(json.dumps({"gone.jpg": label()}))
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        photographs.read_photographs(tmp_path, tmp_path / "faces.json")
