"""`make verify`: every method, format and edge of a parameter on every photograph, looked at again by each model.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_masks.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from gateway.pictures.encode import OUTPUTS
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from tests.hostile.gallery import Gallery
from tests.unit.pictures.hiding import (
    Detector,
    Photograph,
    changed_outside,
    detectors,
    hidden_by,
    masked_pixels,
    photograph_of,
    photographs,
    still_seen,
)

MODELS = detectors()
#: An overlay is a drawing, and detectors take smiles for faces; what it hides has a test of its own.
UNDRAWN = [method for method in METHODS if method != "overlay"]


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=2)
    yield gallery
    gallery.close()


@pytest.fixture(scope="module", params=MODELS)
def look(request: pytest.FixtureRequest) -> tuple[Detector, list[Photograph]]:
    detector = MODELS[request.param]
    return detector, list(photographs(detector))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("method", UNDRAWN)
def test_the_defaults_hide_every_face(gallery: Gallery, look: tuple, method: str, output: str) -> None:
    detector, all_of_them = look
    options, found = MaskOptions(method=method, format=output), []
    for photograph in all_of_them:
        found += still_seen(photograph, masked_pixels(gallery, photograph, options), detector, options)
    assert found == []


def test_an_overlay_shows_nothing_of_what_is_under_it(gallery: Gallery, look: tuple) -> None:
    """Whatever face was there, the answer is the same."""
    options = MaskOptions(method="overlay", format="png")
    for photograph in look[1]:
        other = photograph.pixels.copy()
        for region in hidden_by(photograph, options):
            region.of(other)[:] = 255 - region.of(other)
        file = cv2.imencode(".png", other)[1].tobytes()
        swapped = replace(photograph, data=file, pixels=other)
        one, another = (masked_pixels(gallery, each, options) for each in (photograph, swapped))
        assert (one == another).all(), photograph.name


@pytest.mark.parametrize("method", UNDRAWN)
def test_a_kept_jpeg_hides_every_face(gallery: Gallery, look: tuple, method: str) -> None:
    detector, all_of_them = look
    options, found = MaskOptions(method=method, quality=KEEP), []
    for photograph in all_of_them:
        if photograph.data.startswith(b"\xff\xd8"):
            found += still_seen(photograph, masked_pixels(gallery, photograph, options), detector, options)
    assert found == []


@pytest.mark.parametrize("padding", [0.0, 0.15, 2.0])
@pytest.mark.parametrize("strength", [1, 2, 20, 199, 998, 999])
@pytest.mark.parametrize("method", METHODS)
def test_only_the_inside_changes_at_every_edge_of_the_parameters(
    gallery: Gallery, look: tuple, method: str, strength: int, padding: float
) -> None:
    options = MaskOptions(method=method, strength=strength, padding=padding, format="png")
    overwrites = method in ("solid", "erase") or strength > 2
    for photograph in look[1][::6]:
        masked = masked_pixels(gallery, photograph, options)
        assert changed_outside(photograph, masked, options) == 0, photograph.name
        for region in hidden_by(photograph, options) if overwrites else []:
            changed = (region.of(masked) != region.of(photograph.pixels)).any(axis=2)
            assert changed.mean() > 0.4, (photograph.name, region)


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_quality_can_be_read_and_stays_close(gallery: Gallery, look: tuple, output: str, quality: int) -> None:
    options = MaskOptions(format=output, quality=quality)
    for photograph in look[1][::8]:
        lossless = masked_pixels(gallery, photograph, MaskOptions(format="png"))
        pixels = masked_pixels(gallery, photograph, options)
        assert pixels.shape == lossless.shape
        assert cv2.PSNR(pixels, lossless) > (18 if quality == 1 else 28), photograph.name


@pytest.mark.parametrize("method", UNDRAWN)
def test_every_close_up_is_found_with_the_second_look_and_masked(gallery: Gallery, look: tuple, method: str) -> None:
    """Portraits cropped to the face box plus 15 %: faces that fill the picture."""
    detector, all_of_them = look
    options, wrong = MaskOptions(method=method), []
    for photograph in all_of_them:
        one_look = detector.faces(photograph.pixels, sides=(640,)) if photograph.name.startswith("portrait") else ()
        if not len(one_look):
            continue
        file = cv2.imencode(".png", _close_up(photograph))[1].tobytes()
        close = photograph_of(photograph.name, file, detector)
        wrong += [] if len(close.faces) else [f"not found: {photograph.name}"]
        wrong += still_seen(close, masked_pixels(gallery, close, options), detector, options)
    assert wrong == []


def _close_up(photograph: Photograph) -> np.ndarray:
    sides = photograph.faces.boxes[:, 2:] - photograph.faces.boxes[:, :2]
    x1, y1, x2, y2 = photograph.faces.boxes[int(np.argmax(sides.prod(axis=1)))].tolist()
    across, down = (x2 - x1) * 0.15, (y2 - y1) * 0.15
    height, width = photograph.pixels.shape[:2]
    rows = slice(round(max(0, y1 - down)), round(min(height, y2 + down)))
    return np.ascontiguousarray(photograph.pixels[rows, round(max(0, x1 - across)) : round(min(width, x2 + across))])
