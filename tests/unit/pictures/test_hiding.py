"""With the default strengths nobody finds the faces again: a sample; `tests/verify_masks.py` looks at everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import MaskOptions
from tests.hostile.gallery import Gallery
from tests.unit.pictures.hiding import Photograph, changed_outside, detectors, masked_pixels, photographs, still_seen

SAMPLE = "*[_l][0t][0h][189].*"  # portrait_001, 008, 009 and the small one


@pytest.fixture(scope="module")
def seen() -> Iterator[tuple[object, list[Photograph]]]:
    detector = next(iter(detectors().values()))
    yield detector, list(photographs(detector, SAMPLE))


@pytest.mark.parametrize("method", METHODS)
def test_masked_faces_are_not_found_again(gallery: Gallery, seen: tuple, method: str) -> None:
    detector, sample = seen
    assert sum(len(photograph.faces) for photograph in sample) > 0
    options = MaskOptions(method=method)
    for photograph in sample:
        assert still_seen(photograph, masked_pixels(gallery, photograph, options), detector, options) == []


def test_a_lossless_answer_differs_inside_the_masks_alone(gallery: Gallery, seen: tuple) -> None:
    _detector, sample = seen
    options = MaskOptions(format="png")
    for photograph in sample:
        assert changed_outside(photograph, masked_pixels(gallery, photograph, options), options) == 0
