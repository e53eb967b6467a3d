"""Metadata by choice, annotations and overlays over HTTP."""

from __future__ import annotations

import io
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
from PIL import Image

from gateway.form_parts import OVERLAY_BYTES_MAX
from gateway.pictures.regions import regions
from tests.contract.test_http import PICTURE, detail, encoded
from tests.contract.test_mask_http import BOXES, PIXELS, mask, seen

MASKS = regions(BOXES, 0.15, 640, 480)


def with_overlay(client: httpx2.Client, overlay: bytes, url: str = "/api/v1/mask", **params: Any) -> httpx2.Response:
    wanted = {"method": "overlay", "second_side": 0, "format": "png"} | params
    files = {"image": ("p.png", PICTURE), "overlay": ("o.png", overlay)}
    return client.post(url, params=wanted, files=files)


def changed_outside(answer: httpx2.Response) -> int:
    differs = (seen(answer) != PIXELS).any(axis=2)
    for region in MASKS:
        region.of(differs)[:] = False  # type: ignore[arg-type]
    return int(differs.sum())


def test_a_callers_own_picture_lies_over_each_face_and_nowhere_else(client: httpx2.Client) -> None:
    answer = with_overlay(client, encoded(np.full((20, 20, 3), (10, 200, 30), np.uint8)))
    assert answer.headers["x-blur-method"] == "overlay"
    assert changed_outside(answer) == 0
    for region in MASKS:
        middle = region.of(seen(answer))[region.height // 2, region.width // 2]
        assert np.abs(middle.astype(int) - (10, 200, 30)).max() <= 2


@pytest.mark.parametrize(
    ("overlay", "params", "status", "words"),
    [
        (encoded(np.zeros((5, 5, 3), np.uint8)), {"method": "solid"}, 422, "mask with method=overlay alone"),
        (encoded(np.zeros((1025, 5, 3), np.uint8)), {}, 413, "at most 1024×1024"),
        (bytes(OVERLAY_BYTES_MAX + 1), {}, 422, "is over 256 KB"),
        (b"no picture, whatever it may be called", {}, 400, "send the bytes of a picture"),
        (encoded(np.random.default_rng(1).integers(0, 256, (99, 99, 3), np.uint8))[:-99] + bytes(99), {}, 400, "PNG"),
    ],
)
def test_an_overlay_that_cannot_be_laid_is_refused(
    client: httpx2.Client, overlay: bytes, params: dict, status: int, words: str
) -> None:
    refused = with_overlay(client, overlay, **params)
    assert (refused.status_code, words in detail(refused)) == (status, True), refused.text


def test_detect_lays_nothing_over_faces(client: httpx2.Client) -> None:
    files = {"image": ("p.png", PICTURE), "overlay": ("o.png", PICTURE)}
    assert "mask with method=overlay alone" in detail(client.post("/api/v1/detect", files=files))
    twice = [("image", ("p.png", PICTURE)), *[("overlay", ("o.png", PICTURE))] * 2]
    assert "is there twice" in detail(client.post("/api/v1/mask", files=twice))


def test_annotated_the_picture_shows_all_and_says_that_nothing_is_masked(client: httpx2.Client) -> None:
    answer = mask(client, annotate="true", format="png", regions="[[5, 400, 60, 470]]")
    assert answer.headers["x-faces"] == "found=2, kept=2, masked=0, added=0"
    assert (answer.headers["x-face-count"], answer.headers["x-blur-method"]) == ("0", "annotate")
    for x1, y1, x2, y2 in np.rint(BOXES).astype(int):
        inside = np.s_[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
        assert (seen(answer)[inside] == PIXELS[inside]).mean() > 0.9
    assert (seen(answer) != PIXELS).any(axis=2).sum() > 1000


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_metadata_is_kept_by_choice_and_by_default_not(client: httpx2.Client, output: str) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0132], exif[0x010F], exif[0x0112] = "2026:11:28 12:00:00", "Kamera", 6
    Image.fromarray(cv2.cvtColor(PIXELS, cv2.COLOR_BGR2RGB)).save(file, "PNG", exif=exif)
    for choice, tags in (("", {}), ("date", {0x0132}), ("gps", {}), ("all", {0x0132, 0x010F})):
        answer = mask(client, file.getvalue(), metadata=choice, format=output)
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.getexif().keys() == set(tags)
            assert picture.size == (480, 640)
    assert "none | date | gps | all" in detail(mask(client, metadata="everything"))
