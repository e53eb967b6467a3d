"""Recall against milliseconds, from a report made here and detectors that only take time."""

from __future__ import annotations

import numpy as np

from loadtest.curve import Curve, points, table, timed
from models.training.judge.counting import Figures, Judged, figures
from models.training.judge.detect import Canvas
from models.training.judge.measure import judge
from models.training.judge.report import Report
from models.training.judge.sets import UNKNOWN, boxes


class Counted:
    def __init__(self, name: str, side: int) -> None:
        self.name, self.side, self.shown = name, side, []

    def look(self, canvas: Canvas, confidence: float) -> None:
        assert confidence == 0.5
        self.shown.append(canvas.side)


def half_found() -> Figures:
    one = judge(boxes([[0, 0, 40, 40]]), boxes([[0, 0, 40, 40], [100, 100, 140, 140]]), boxes([]), 1.0)
    return figures([Judged(one, np.full(2, UNKNOWN, np.int8), [])])


def canvas(side: int) -> Canvas:
    return Canvas(np.zeros((side, side, 3), np.uint8), 1.0, side)


def test_every_detector_looks_at_every_photograph_fitted_to_its_own_side() -> None:
    detectors = [Counted("a int8", 64), Counted("b fp32", 96)]
    spent = timed(detectors, {64: [canvas(64)] * 3, 96: [canvas(96)] * 3})
    assert {name: len(runs) for name, runs in spent.items()} == {"a int8": 3, "b fp32": 3}
    assert [set(one.shown) for one in detectors] == [{64}, {96}]


def test_cost_and_recall_meet_by_the_name_of_the_detector() -> None:
    report = Report(confidence=0.5, side=640, halves={"development": {"masks": {"a int8": half_found()}}})
    found = points({"a int8": [3.0, 1.0, 2.0], "b fp32": [9.0]}, report, "development")
    assert [(one.detector, one.ms[0]) for one in found] == [("a int8", 2.0), ("b fp32", 9.0)]
    assert found[0].recall["masks"][0] == 0.5
    assert found[1].recall == {}
    words = table(Curve(half="development", side=640, photographs=3, points=found))
    assert "| a int8 | 2.0 (1.5–2.5) | 0.500 |" in words
