"""Which doubtful finds are kept to learn from."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.training.doubted.cells import SIDE, Cell
from models.training.doubted.collect import is_kept
from models.training.judge.detect import OnnxDetector


def test_what_scores_much_beside_the_boxes_is_no_face_only_where_eyes_went_through_the_finds() -> None:
    nowhere, found = np.zeros((0, 4), np.float32), np.array([40, 40, 88, 88], np.float32)
    pixels, points = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((0, 5, 2), np.float32)
    nobody = Cell(pixels, found, 0.6, False, nowhere, points, nowhere, True)
    detector, rng = OnnxDetector(Path("models/open/scrfd_500m_open.onnx")), random.Random(1)
    assert not is_kept(nobody, "photographed", detector, rng)
    assert is_kept(nobody, "photographed", detector, rng, boxed=True)
    assert is_kept(nobody, "bare", detector, rng)
