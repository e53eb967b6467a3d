"""Which of the faces found are the answer, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.choosing import FaceChoice, chosen
from gateway.looking import looking
from gateway.params import DetectParams, MaskParams
from shared.choice import limited
from shared.faces import Faces
from shared.settings import Settings

#: x1 y1 x2 y2, best score first: small at the edge, large at the edge, middling in the middle.
BOXES = np.array([[0, 0, 20, 30], [300, 200, 400, 300], [170, 120, 230, 180]], np.float32)
FACES = Faces(BOXES, np.array([0.9, 0.8, 0.7], np.float32), None)


def order_of(**choice: object) -> list[int]:
    left = chosen(FACES, FaceChoice(**choice), 400, 300).scores.tolist()  # type: ignore[arg-type]
    return [FACES.scores.tolist().index(score) for score in left]


def test_without_a_word_all_come_best_first() -> None:
    assert order_of() == [0, 1, 2]


def test_central_is_the_references_choice_where_max_faces_cuts() -> None:
    assert order_of(max_faces=2) == [2, 1]
    np.testing.assert_array_equal(chosen(FACES, FaceChoice(2), 400, 300).boxes, limited(FACES, 2, 400, 300).boxes)


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({"order": "score"}, [0, 1, 2]),
        ({"order": "score", "max_faces": 2}, [0, 1]),
        ({"order": "size"}, [1, 2, 0]),
        ({"order": "size", "max_faces": 1}, [1]),
        ({"order": "size", "max_faces": 9}, [1, 2, 0]),
        ({"min_size": 30}, [0, 1, 2]),
        ({"min_size": 31}, [1, 2]),
        ({"min_size": 31, "order": "score", "max_faces": 1}, [1]),
        ({"min_size": 1000}, []),
        ({"ignore": ((0, 0, 30, 30),)}, [1, 2]),
        ({"ignore": ((0, 0, 250, 250), (299, 199, 500, 500))}, []),
        ({"ignore": ((0.4, 0.4, 19.6, 29.6),)}, [1, 2]),  # as detect rounds it
        ({"ignore": ((0, 0, 19, 30),)}, [0, 1, 2]),  # a face that looks out of it is masked
        ({"ignore": ((0, 0, 30, 30),), "order": "size", "max_faces": 1}, [1]),
    ],
)
def test_order_size_and_ignored_boxes_choose(choice: dict, left: list[int]) -> None:
    assert order_of(**choice) == left


def test_no_face_is_no_face_in_every_order() -> None:
    for order in ("central", "score", "size"):
        assert len(chosen(Faces.none(), FaceChoice(2, order, 5, ((0, 0, 9, 9),)), 400, 300)) == 0  # type: ignore[arg-type]


def test_workers_cut_only_where_the_choice_is_theirs() -> None:
    settings = Settings()
    for kind in (DetectParams, MaskParams):
        endpoint = "mask" if kind is MaskParams else "detect"
        assert looking(endpoint, kind(max_faces=3), settings).question.max_faces == 3
        for more in ({"order": "score"}, {"min_size": 1}, {"ignore": ((0, 0, 9, 9),)}):
            assert looking(endpoint, kind(max_faces=3, **more), settings).question.max_faces == 0
