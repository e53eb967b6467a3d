"""The canary: the same picture everywhere, and an expectation beyond doubt."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from models.proving.expectation import FACES_MAX, MARGIN, clearest_threshold
from models.proving.reference import Reference
from shared.canary import canary_picture, disagreement
from shared.faces import Faces
from shared.messages import Canary
from tests.unit.models.material import official_models

SUM = "85097a1d5145d22fd0df707f24c74592b4a989bbcafc07a249b308c0d85a2bcb"


def test_the_picture_is_the_same_bytes_everywhere():
    picture = canary_picture()
    assert (picture.shape, picture.dtype) == ((480, 640, 3), np.uint8)
    assert hashlib.sha256(picture).hexdigest() == SUM


def test_official_models_find_its_faces_well_above_noise():
    """Only where they lie beside the repository."""
    for path in official_models():
        assert (Reference(path).detect(canary_picture(), 640, 0.4).scores > 0.45).sum() >= 6


def expected(*faces, box=1.0, score=0.01):
    return Canary(0.5, 0.4, [list(face) for face in faces], box, score)


def found(*faces):
    return Faces.unpacked(np.array(faces, np.float32).reshape(len(faces), 5))


ONE, OTHER = (10.0, 10.0, 50.0, 60.0, 0.9), (100.0, 10.0, 150.0, 60.0, 0.8)


def test_the_same_faces_in_any_order_agree():
    assert disagreement(expected(ONE, OTHER), found(OTHER, ONE)) == ""


def test_no_face_where_none_is_expected_agrees():
    assert disagreement(expected(), found()) == ""


@pytest.mark.parametrize(
    "faces",
    [(ONE,), (ONE, OTHER, OTHER), (ONE, ONE), ((11.5, *ONE[1:]), OTHER), ((*ONE[:4], 0.88), OTHER),
     ((float("nan"), *ONE[1:]), OTHER), ((*ONE[:4], float("nan")), OTHER)],
)  # fmt: skip
def test_other_faces_disagree_in_words(faces):
    assert disagreement(expected(ONE, OTHER), found(*faces)) != ""


def test_the_tolerances_are_included():
    box = expected(ONE, box=1.0, score=0.5)
    assert disagreement(box, found((11.0, *ONE[1:]))) == ""
    assert disagreement(box, found((11.01, *ONE[1:]))) != ""


def scores(*values):
    return np.array(values, np.float32)


def test_the_threshold_lies_where_no_score_is_near():
    kept = scores(0.9, 0.8, 0.3, 0.28)
    threshold = clearest_threshold([kept, kept, kept])
    assert np.abs(kept - threshold).min() >= 0.099 > MARGIN


def test_a_threshold_at_which_overlaps_decide_is_not_taken():
    """At the other NMS threshold a face at 0.6 appears: only above it both agree."""
    threshold = clearest_threshold([scores(0.9), scores(0.9, 0.6)])
    assert threshold > 0.6


def test_more_faces_than_the_limit_are_not_expected():
    many = np.linspace(0.3, 0.95, 30, dtype=np.float32)
    assert (many >= clearest_threshold([many])).sum() <= FACES_MAX


def test_where_nothing_is_found_nothing_is_expected():
    assert clearest_threshold([scores(), scores()]) == 0.99
