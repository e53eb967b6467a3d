"""Labels of real photographs: a head from its keypoints in any pose, what looks agree upon, and a last word by eye."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from models.training.judge.detect import OnnxDetector
from models.training.judge.measure import iou_table
from models.training.labelling import write
from models.training.labelling.keypoints import LEFT_EAR, LEFT_EYE, MARKS, NOSE, OVAL, RIGHT_EAR, RIGHT_EYE, head_of
from models.training.labelling.looks import Sighting, lean_into, merged
from models.training.labelling.write import boxed_label, corrected, denied, face, people_label, seen_label, sureness
from models.training.material.folder import Floats

SCALE = 4.0  # pixels a centimetre
NOWHERE = np.zeros((5, 2), np.float32)


def turned(yaw: float, pitch: float = 0.0, lean: float = 0.0) -> tuple[Floats, Floats]:
    """COCO's keypoints (17, 3) of a head so turned, all visible, and the box of its oval."""
    a, b, c = (math.radians(angle) for angle in (yaw, pitch, lean))
    sideways = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    forward = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    rolled = np.array([[math.cos(c), -math.sin(c)], [math.sin(c), math.cos(c)]])
    seen = [points @ (rolled @ (forward @ sideways)[:2]).T * SCALE + 200 for points in (MARKS, OVAL)]
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:5, :2], keypoints[:5, 2] = seen[0], 2
    return keypoints, np.concatenate([seen[1].min(axis=0), seen[1].max(axis=0)]).astype(np.float32)


def overlap(a: Floats, b: Floats) -> float:
    return float(iou_table(a[None], b[None])[0, 0])


@pytest.mark.parametrize(
    ("yaw", "hidden"), [(0, ()), (30, ()), (70, (LEFT_EYE, LEFT_EAR)), (-70, (RIGHT_EYE, RIGHT_EAR))]
)
@pytest.mark.parametrize("lean", [0, -20, 60])
def test_the_box_is_that_of_the_face_however_the_head_is_turned(yaw: int, hidden: tuple[int, ...], lean: int) -> None:
    keypoints, box = turned(yaw, lean=lean)
    keypoints[list(hidden)] = 0
    head = head_of(keypoints, upright=lean)
    assert head is not None and overlap(head.box, box) > 0.7


def test_ears_alone_are_the_back_of_a_head() -> None:
    keypoints, _ = turned(0)
    keypoints[[NOSE, LEFT_EYE, RIGHT_EYE]] = 0
    assert head_of(keypoints) is None


def test_what_a_person_marked_is_a_face_and_the_back_of_a_head_is_doubtful() -> None:
    front, box = turned(0)
    behind = front.copy()
    behind[:3] = 0
    behind[:5, 0] += 300
    people = [{"bbox": [0, 0, 100, 200], "keypoints": one.tolist()} for one in (front, behind)]
    label = people_label(people, [[500, 0, 40, 60]], [])
    assert len(label["faces"]) == 1 and len(label["doubtful"]) == 1
    assert overlap(np.array(label["faces"][0]["box"], np.float32), box) > 0.8
    assert label["regions"] == [[500, 0, 540, 60]]


def seen(box: list[float], score: float, looks: int) -> Sighting:
    return Sighting(np.array(box, np.float32), NOWHERE, score, looks)


def test_only_what_several_looks_agree_upon_is_a_face_where_nobody_marked_anyone() -> None:
    label = seen_label([seen([0, 0, 9, 9], 0.9, 5), seen([20, 0, 29, 9], 0.9, 1), seen([40, 0, 49, 9], 0.2, 4)])
    assert [one["box"] for one in label["faces"]] == [[0, 0, 9, 9]]
    assert len(label["doubtful"]) == 2


def test_two_looks_at_one_face_are_one_sighting() -> None:
    boxes = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], np.float32)
    points = np.zeros((2, 5, 2), np.float32)
    near = boxes[:1] + 1
    sightings = merged(
        [(boxes, np.array([0.8, 0.2], np.float32), points), (near, np.array([0.4], np.float32), points[:1])]
    )
    assert [(round(one.score, 3), one.seen) for one in sightings] == [(0.8, 2), (0.2, 0)]
    assert np.allclose(sightings[0].box, np.array([1, 1, 11, 11]) - 2 / 3)


def test_a_leaning_look_holds_the_whole_photograph() -> None:
    for lean in (0, 30, 90, 200):
        turn, side = lean_into(640, 427, 640, lean)
        corners = np.array([[0, 0], [640, 0], [0, 427], [640, 427]]) @ turn[:, :2].T + turn[:, 2]
        assert side % 32 == 0 and corners.min() >= -0.01 and corners.max() <= side + 0.01


def test_what_was_seen_by_eye_has_the_last_word() -> None:
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    label = {"faces": [face(np.array(box, np.float32)) for box in boxes], "doubtful": [], "regions": []}
    wrong = {"drop": [[5, 5]], "doubt": [[25, 5]], "add": [[60, 0, 70, 10]], "hide": [[80, 0, 90, 10]]}
    after = corrected(label, wrong)
    assert [one["box"] for one in after["faces"]] == [[40, 0, 50, 10], [60, 0, 70, 10]]
    assert after["doubtful"] == [[20, 0, 30, 10]] and after["regions"] == [[80, 0, 90, 10]]


def test_where_somebody_looked_through_only_what_they_boxed_is_a_face_and_a_sure_look_adds_where_its_eyes_are() -> None:
    one, unsure, elsewhere = seen([1, 0, 10, 10], 0.9, 4), seen([20, 0, 30, 10], 0.3, 1), seen([60, 0, 70, 10], 0.9, 5)
    label = boxed_label(
        {"faces": [[0, 0, 10, 10], [20, 0, 30, 10]], "hidden": [[40, 0, 50, 10]]}, [one, unsure, elsewhere]
    )
    assert [held["box"] for held in label["faces"]] == [[0, 0, 10, 10], [20, 0, 30, 10]]
    assert [held["points"][0][0] for held in label["faces"]] == [0, None]
    assert label["doubtful"] == [] and label["regions"] == [[40, 0, 50, 10]]


def test_a_face_tells_how_sure_the_best_look_is_and_finds_beside_what_was_boxed_or_left_open_are_denied() -> None:
    one, faint = seen([1, 0, 10, 10], 0.9, 4), seen([60, 0, 70, 10], 0.2, 5)
    elsewhere, hidden = seen([80, 0, 90, 10], 0.4, 1), seen([42, 0, 48, 10], 0.9, 4)
    sightings = [one, faint, elsewhere, hidden]
    label = boxed_label({"faces": [[0, 0, 10, 10]], "hidden": [[40, 0, 50, 10]]}, sightings)
    assert sureness([0, 0, 10, 10], sightings) == 0.9 and sureness([20, 0, 30, 10], sightings) == 0
    assert denied(label, sightings) == [[80, 0, 90, 10]]


def test_looks_that_were_broken_off_go_on_where_they_were_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def look(_: object, name: str) -> list[Sighting]:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(name)
        return [Sighting(NOWHERE[0].repeat(2), NOWHERE, 0.5, 1)]

    monkeypatch.setattr(write, "SAVED_EVERY", 2)
    monkeypatch.setattr(write, "read_picture", lambda path: path.name)
    monkeypatch.setattr(write, "sightings_of", look)
    names, cache, detector = ["a", "b", "c", "d", "e"], tmp_path / "kept" / "sightings.json", cast(OnnxDetector, None)
    with pytest.raises(KeyboardInterrupt):
        write.cached_sightings(detector, tmp_path, names, cache)
    seen.clear()
    sightings = write.cached_sightings(detector, tmp_path, names, cache)
    assert seen == ["c", "d", "e"]
    assert [sightings[name][0].score for name in names] == [0.5] * 5
    assert capsys.readouterr().out.splitlines()[-1] == "3 of 3 photographs looked at"
