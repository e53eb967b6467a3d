"""A form for cut inputs is only served where large faces at a picture's edge are the whole square's."""

from __future__ import annotations

import numpy as np
import pytest

from models.preparing import trimmed
from models.preparing.trimmed import NEAR_SCORE_CHANGE_MAX, prove_near
from models.rewriting.black_edge import Untrimmable
from models.served.trim import Trimming

PICTURE = np.zeros((360, 640, 3), np.uint8)
TRIMMING = Trimming(margin=100, square=640, added=0, far=64)
WHOLE, CUT = "whole", "cut"
LIKE = 0.5 + NEAR_SCORE_CHANGE_MAX / 2


def face(score: float) -> list[float]:
    """A packed face of that score."""
    return [10.0, 20, 310, 340, score, *[0.0] * 10]


@pytest.mark.parametrize(
    ("whole", "cut", "same"),
    [([], [], True), ([0.5], [LIKE], True), ([0.5], [], False), ([], [0.5], False), ([0.5], [0.5 + 0.2], False)],
    ids=["none", "nearly the same", "lost", "made up", "another score"],
)
def test_large_faces_must_be_the_same_either_way(
    monkeypatch: pytest.MonkeyPatch, whole: list[float], cut: list[float], same: bool
) -> None:
    looked: list[tuple[str, int]] = []

    def faces(network: str, picture: np.ndarray, confidence: float) -> np.ndarray:
        looked.append((network, len(picture)))
        scores = [score for score in (whole if network == WHOLE else cut) if score >= confidence]
        return np.array([face(score) for score in scores], np.float32).reshape(-1, 15)

    monkeypatch.setattr(trimmed, "faces", faces)
    if same:
        prove_near(WHOLE, CUT, PICTURE, 640, TRIMMING)  # type: ignore[arg-type]
        assert set(looked) == {(WHOLE, 640), (CUT, 480)}
    else:
        with pytest.raises(Untrimmable, match="large faces at a picture's edge"):
            prove_near(WHOLE, CUT, PICTURE, 640, TRIMMING)  # type: ignore[arg-type]
