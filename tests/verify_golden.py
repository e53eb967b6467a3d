"""Every golden photograph, one at a time, with every model and all thresholds: the reference's faces, over HTTP."""

from __future__ import annotations

import pytest

from tests.golden.test_golden_over_http import THRESHOLDS, Served, assert_same_faces, golden, pytestmark, served

__all__ = ["pytestmark", "served"]  # a mark and a fixture


@pytest.mark.parametrize("thresholds", THRESHOLDS)
def test_every_photograph_alone_gives_the_references_faces(served: Served, thresholds: tuple[float, float]) -> None:
    for name, expected in golden(served.model, *thresholds).items():
        assert_same_faces(served.detect(name, *thresholds), expected, name)
