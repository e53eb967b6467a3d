"""Which doubtful finds are kept to learn from."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.training.doubted import collect
from models.training.doubted.cells import SIDE, Cell
from models.training.doubted.collect import is_kept
from models.training.judge.detect import OnnxDetector
from models.training.material.photographs import Photograph
from models.training.scenes.photographed import shot
from models.training.scenes.sprites import pyramid


def test_what_scores_much_beside_the_boxes_is_no_face_only_where_eyes_went_through_the_finds() -> None:
    nowhere, found = np.zeros((0, 4), np.float32), np.array([40, 40, 88, 88], np.float32)
    pixels, points = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((0, 5, 2), np.float32)
    nobody = Cell(pixels, found, 0.6, False, nowhere, points, nowhere, True)
    detector, rng = OnnxDetector(Path("models/open/scrfd_500m_open.onnx")), random.Random(1)
    assert not is_kept(nobody, "photographed", detector, rng)
    assert is_kept(nobody, "boxed", detector, rng)
    assert is_kept(nobody, "bare", detector, rng)


def test_a_scene_says_whether_eyes_went_through_its_photograph(monkeypatch) -> None:
    nowhere, points = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
    black = np.zeros((64, 64, 3), np.uint8)
    names, sure = ("scenes/a.jpg", "gathered/b.jpg"), np.zeros(0, np.float32)
    named = (Photograph(name, black, nowhere, points, sure, nowhere, nowhere, nowhere) for name in names)
    supply = SimpleNamespace(shots=[shot(one) for one in named], composed=lambda *_: ["nobody"])
    monkeypatch.setattr(collect, "photographed", lambda shots, *_: [one.known.name for one in shots])
    monkeypatch.setattr(collect, "bare_crop", lambda *_: ["nobody"])
    scenes = collect.Scenes(supply, [pyramid(black)], random.Random(1))
    assert sorted({(kind, *of) for kind, of in (scenes._new(320) for _ in range(200))}) == [
        ("bare", "nobody"),
        ("boxed", "gathered/b.jpg"),
        ("composed", "nobody"),
        ("photographed", "scenes/a.jpg"),
    ]
