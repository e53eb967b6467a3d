"""What a person decided: which faces stay visible, which alone are masked; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.deciding import decided, refuse_indices, refuse_senseless
from gateway.looking import looking
from gateway.params import MaskParams
from gateway.pictures.headers.facts import Header
from gateway.pictures.marks import Marks
from gateway.pictures.regions import Region
from shared.errors import BadParameter
from shared.faces import Faces
from shared.settings import Settings

SIZE = (400, 300)
BOXES = np.array([[10, 10, 60, 70], [100, 100, 160, 180], [110, 100, 170, 180], [300, 200, 340, 250]], np.float32)
FACES = Faces(BOXES, np.array([0.9, 0.8, 0.7, 0.6], np.float32), None)
ALIKE = {"second_side": 0, "turns": "never", "tiles": 0}


def hidden(**params: object) -> list[int]:
    return np.flatnonzero(decision(**params).hidden).tolist()


def decision(faces: Faces = FACES, **params: object) -> Marks:
    return decided(faces, MaskParams(**params), *SIZE)  # type: ignore[arg-type]


def refused(**params: object) -> str:
    with pytest.raises(BadParameter) as caught:
        refuse_senseless(MaskParams(**params), *SIZE, Settings())  # type: ignore[arg-type]
    return str(caught.value)


def test_without_a_word_every_face_is_masked_and_nothing_else() -> None:
    assert hidden() == [0, 1, 2, 3]
    assert decision().own == ()


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ({"keep": (0, 3)}, [1, 2]),
        ({"keep": ((10, 10, 60, 70),)}, [1, 2, 3]),
        ({"keep": ((12, 8, 63, 72), 3)}, [1, 2]),
        ({"keep": ((101, 100, 161, 180),)}, [0, 2, 3]),  # of two that it fits the likest
        ({"keep": ((0, 0, 400, 300),)}, [0, 1, 2, 3]),  # no face: it keeps nobody
        ({"keep": ((30, 30, 90, 100),)}, [0, 1, 2, 3]),
        ({"only": (2,)}, [2]),
        ({"only": ((300, 200, 340, 250), 0)}, [0, 3]),
    ],
)
def test_faces_are_kept_and_picked_by_index_and_by_box(params: dict, left: list[int]) -> None:
    assert hidden(**params) == left


def test_a_box_that_was_picked_is_masked_with_its_face_or_without_one() -> None:
    grown = decision(only=((295, 205, 340, 255),))
    np.testing.assert_array_equal(grown.boxes, [[295, 200, 340, 255]])
    alone = decision(only=((200, 10, 220.5, 30),))
    assert not alone.hidden.any()
    assert alone.own == (Region(200, 10, 221, 30, whole=True),)
    assert alone.regions(2.0, *SIZE) == list(alone.own)


def test_what_somebody_drew_is_masked_over_a_kept_face_and_in_an_ignored_box() -> None:
    both = decision(keep=(0,), regions=((0, 0, 100, 100),), ignore=((0, 0, 100, 100),))
    assert both.own == (Region(0, 0, 100, 100, whole=True),)


def test_own_boxes_are_whole_pixels_inside_the_picture_and_never_grow() -> None:
    marks = decision(Faces.none(), regions=((-5, 9.9, 10.00000001, 12), (390, 290, 900, 900), (5, 5, 5.0000001, 6)))
    corners = [(0, 9, 11, 12), (390, 290, 400, 300), (5, 5, 6, 6)]
    assert marks.regions(0.5, *SIZE) == [Region(*each, whole=True) for each in corners]


@pytest.mark.parametrize("name", ["keep", "only"])
def test_an_index_that_no_face_has_is_refused(name: str) -> None:
    with pytest.raises(BadParameter, match=f"{name} names face 4, and there are 4 found, counted from 0"):
        decision(**{name: (4,)})
    with pytest.raises(BadParameter, match="none found"):
        decision(Faces.none(), **{name: (0,)})


@pytest.mark.parametrize("name", ["keep", "only", "ignore", "regions"])
@pytest.mark.parametrize("box", [(400, 0, 410, 10), (-20, -20, 0, 0), (0, 300, 5, 301), (-9.5, 0, -0.5, 300)])
def test_a_box_outside_the_picture_is_refused_with_its_size(name: str, box: tuple) -> None:
    assert "lies outside the picture, which is 400×300 when upright" in refused(**{name: (box,)})


def test_what_contradicts_itself_is_refused() -> None:
    assert "send keep to mask all but these" in refused(keep=(0,), only=(1,), **ALIKE)
    assert "nothing to mask; send regions" in refused(detect=False)
    for name in ("keep", "only", "ignore"):
        assert f"{name} is about faces that are found" in refused(detect=False, **{name: ((0, 0, 9, 9),)})


@pytest.mark.parametrize("name", ["keep", "only"])
def test_an_index_counts_only_where_mask_and_detect_see_the_same(name: str) -> None:
    params: dict = {name: (0,)}
    assert "send second_side, turns, closer and tiles with both, alike, or send boxes" in refused(**params)
    assert refused(**params, second_side=0)
    for alike in (ALIKE, {"thorough": True}, {"second_side": 160, "turns": "unsure"}):
        refuse_senseless(MaskParams(**params, **alike), *SIZE, Settings())
    same = Settings(detect_second_side=160, detect_turns="unsure")
    refuse_senseless(MaskParams(**params), *SIZE, same)
    refuse_senseless(MaskParams(**{name: ((0, 0, 9, 9),)}), *SIZE, Settings())
    with pytest.raises(BadParameter, match="partly transparent"):
        refuse_indices(MaskParams(**params))
    refuse_indices(MaskParams(**{name: ((0, 0, 9, 9),)}))


def test_a_picture_in_which_nobody_is_looked_for_costs_no_look() -> None:
    looks = looking("mask", MaskParams(detect=False, regions=((0, 0, 9, 9),)), Settings())
    assert (looks.sides, looks.tiles, looks.passes(Header("png", 400, 300, alpha=True))) == ((), 0, 0.0)


@pytest.mark.parametrize("landmarks", [True, False])
def test_marks_arrive_as_they_were_sent(landmarks: bool) -> None:
    points = np.arange(40, dtype=np.float32).reshape(4, 5, 2) if landmarks else None
    sent = decision(Faces(BOXES, FACES.scores, points), keep=(1,), regions=((1, 2, 3, 4), (0, 0, 400, 300)))
    packed = sent.packed()
    assert len(packed) == Marks.packed_size(4, 2)
    came = Marks.unpacked(memoryview(packed), 4)
    np.testing.assert_array_equal(came.faces.packed(), sent.faces.packed())
    assert came.hidden.tolist() == sent.hidden.tolist()
    assert came.own == sent.own
    nothing = Marks.all_of(Faces.none())
    assert len(Marks.unpacked(memoryview(nothing.packed()), 0).boxes) == 0
