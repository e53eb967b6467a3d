"""POST /api/v1/mask over HTTP: its headers, formats and parameters, what stays and what goes, and its refusals."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
from PIL import Image

from gateway.pictures.mask_methods import METHODS
from gateway.pictures.regions import Region, regions
from loadtest.scene import PEOPLE, scene
from tests.contract.test_http import BEACONS, PICTURE, UUID, detail, encoded
from tests.hostile import make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.networks import beacon_faces, beacon_picture
from tests.service import SMALL, running_service

PIXELS = beacon_picture(BEACONS)
BOXES = np.array([box for box, _ in beacon_faces(BEACONS)], np.float32)
MEDIA = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
FACTS = {"x-face-count": r"2", "x-inference-ms": r"\d+\.\d\d", "x-total-ms": r"\d+\.\d\d", "x-model": r"beacon",
         "x-image-width": r"640", "x-image-height": r"480", "x-blur-method": r"gaussian"}  # fmt: skip


def mask(client: httpx2.Client, data: bytes = PICTURE, **params: Any) -> httpx2.Response:
    """With one look unless it is asked for two: beacons mean other faces on a smaller copy."""
    wanted = {"second_side": 0} | params
    given = {name: value for name, value in wanted.items() if value is not None}
    return client.post("/api/v1/mask", params=given, files={"image": ("p.png", data)})


def seen(answer: httpx2.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels)


def hidden(padding: float = 0.15) -> list[Region]:
    return regions(BOXES, padding, 640, 480)


def test_every_header_of_the_api_reference_is_there(client: httpx2.Client) -> None:
    answer = mask(client)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert UUID.fullmatch(answer.headers["x-request-id"])
    for name, pattern in FACTS.items():
        assert re.fullmatch(pattern, answer.headers[name]), (name, answer.headers[name])


@pytest.mark.parametrize("method", METHODS)
def test_inside_the_grown_boxes_something_changes_and_outside_nothing(client: httpx2.Client, method: str) -> None:
    answer = mask(client, method=method, format="png", padding=0.3)
    assert answer.headers["x-blur-method"] == method
    differs = (seen(answer) != PIXELS).any(axis=2)
    for region in hidden(0.3):
        assert region.of(differs).any()
        region.of(differs)[:] = False
    assert not differs.any()


@pytest.mark.parametrize("output", MEDIA)
def test_each_format_is_answered_with_its_own_quality(client: httpx2.Client, output: str) -> None:
    answers = [mask(client, format=output, quality=quality) for quality in (1, 100)]
    assert {answer.headers["content-type"] for answer in answers} == {MEDIA[output]}
    poor, fine = (len(answer.content) for answer in answers)
    assert poor == fine if output == "png" else poor < fine
    with Image.open(io.BytesIO(answers[1].content)) as picture:
        assert (picture.format, picture.size) == (output.upper(), (640, 480))


def test_parameters_may_be_form_fields(client: httpx2.Client) -> None:
    form = {"method": "solid", "color": "#102030", "format": "png", "second_side": "0"}
    answer = client.post("/api/v1/mask", data=form, files={"image": ("p.png", PICTURE)})
    for region in hidden():
        assert (region.of(seen(answer)) == (0x30, 0x20, 0x10)).all()


def test_max_faces_masks_as_many_and_tells_it(client: httpx2.Client) -> None:
    answer = mask(client, max_faces=1, method="solid", color="#ffffff", format="png")
    assert answer.headers["x-face-count"] == "1"
    assert sum(bool((region.of(seen(answer)) == 255).all()) for region in hidden()) == 1


def test_without_a_face_the_picture_comes_back_and_says_so(client: httpx2.Client) -> None:
    answer = mask(client, confidence=1.0, format="png")
    assert answer.headers["x-face-count"] == "0"
    assert (seen(answer) == PIXELS).all()


def test_a_jpeg_is_kept_but_for_its_masks(client: httpx2.Client) -> None:
    file = make_jpeg.jpeg(PIXELS[:, :, ::-1].copy(), subsampling=0)
    before, answer = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR), mask(client, file, quality="keep")
    changed = (seen(answer) != before).any(axis=2)
    assert answer.headers["content-type"] == "image/jpeg"
    for region in hidden():
        assert region.of(changed).any()
        changed[max(0, region.top - 7) : region.bottom + 7, max(0, region.left - 7) : region.right + 7] = False
    assert not changed.any()


def test_a_strength_that_is_weak_for_a_face_is_told(client: httpx2.Client) -> None:
    assert "x-mask-weak" not in mask(client).headers
    assert mask(client, strength=21).headers["x-mask-weak"] == "true"
    assert "x-mask-weak" not in mask(client, strength=21, method="erase").headers


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"strength": 0}, "1 to 999"),
        ({"strength": 1000}, "1 to 999"),
        ({"padding": 2.01}, "0.0 to 2.0"),
        ({"padding": -0.01}, "0.0 to 2.0"),
        ({"quality": 0}, "1 to 100"),
        ({"quality": 101}, "1 to 100"),
        ({"quality": "same"}, "1 to 100 or keep"),
        ({"quality": "keep"}, "the picture is a PNG file; send quality=1 to 100 instead"),
        ({"method": "blur"}, "gaussian | pixelate | solid | elliptical"),
        ({"format": "gif"}, "jpeg | png | webp"),
        ({"color": "red"}, "#rrggbb"),
        ({"second_side": 640}, "0 | 128"),
        ({"stength": 5}, "did you mean strength"),
    ],
)
def test_a_parameter_out_of_range_is_422_with_words(client: httpx2.Client, params: dict, words: str) -> None:
    answer = mask(client, **params)
    assert answer.status_code == 422
    assert words in detail(answer)


@pytest.mark.parametrize(
    "params",
    [{"strength": 1}, {"strength": 999}, {"padding": 0}, {"padding": 2}, {"quality": 1}, {"quality": 100},
     {"confidence": 0.01}, {"nms_threshold": 1.0}],
)  # fmt: skip
def test_the_ends_of_every_range_are_taken(client: httpx2.Client, params: dict) -> None:
    assert mask(client, **params).status_code == 200


def test_webp_cannot_hold_a_longer_side_and_says_so(client: httpx2.Client) -> None:
    for width, status in ((16_383, 200), (16_384, 422)):
        answer = mask(client, encoded(np.zeros((10, width, 3), np.uint8)), format="webp")
        assert answer.status_code == status
    assert "16,383" in detail(answer)
    assert mask(client, encoded(np.zeros((10, 16_384, 3), np.uint8)), format="png").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        make_png.animated([rasters.colours()] * 2),
        make_webp.animated([rasters.colours(), 255 - rasters.colours()]),
        make_tiff.File([make_tiff.page(rasters.colours())] * 2).bytes(),
    ],
    ids=["png", "webp", "tiff"],
)
def test_a_file_of_several_pictures_is_refused_and_detect_says_that_it_read_the_first(
    client: httpx2.Client, data: bytes
) -> None:
    answer = mask(client, data)
    assert answer.status_code == 400
    assert "holds 2 pictures" in detail(answer)
    answer = client.post("/api/v1/detect", files={"image": ("p", data)})
    assert (answer.status_code, answer.headers["x-frames"]) == (200, "2; only the first was read")
    assert "x-frames" not in client.post("/api/v1/detect", files={"image": ("p", PICTURE)}).headers


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tiff", ".bmp"])
def test_half_a_picture_is_never_half_masked(client: httpx2.Client, extension: str) -> None:
    data = encoded(PIXELS, extension)
    for answer in (
        mask(client, data[: len(data) // 2]),
        mask(client, data[:-3] if extension != ".tiff" else data[:-99]),
    ):
        assert answer.status_code == 400
        assert detail(answer)


def test_an_answer_that_would_come_too_late_is_an_error_and_no_picture(client: httpx2.Client) -> None:
    large = encoded(np.zeros((5000, 5000, 3), np.uint8))
    answer = client.post(
        "/api/v1/mask?format=png", files={"image": ("p", large)}, headers={"X-Request-Timeout-Ms": "30"}
    )
    assert answer.status_code in (408, 503)  # 408 where its way here alone took that long
    assert detail(answer)


# A second look


def close_up() -> bytes:
    """A drawn face that more than fills the picture: chin and ears are cut off."""
    x, y, size = (round(number) for number in (PEOPLE[0].x, PEOPLE[0].y, 0.5 * PEOPLE[0].size))
    face = scene()[y - round(1.3 * size) : y + size, x - size : x + size]
    return encoded(cv2.resize(face, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC))


def best_score(client: httpx2.Client, data: bytes, second_side: int) -> float:
    params = {"confidence": 0.01, "second_side": second_side}
    answer = client.post("/api/v1/detect", params=params, files={"image": ("p", data)})
    return float(answer.json()["summary"]["max_confidence"])


@pytest.fixture(scope="module")
def open_client(with_open_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A service with the network that ships: beacons look alike from all sides, faces do not."""
    folder = Path(shutil.copytree(with_open_model / "data", tmp_path_factory.mktemp("open") / "data"))
    with (
        running_service(folder, model="scrfd_500m_open", precision="fp32", **SMALL) as service,
        httpx2.Client(base_url=service.url, timeout=60) as client,
    ):
        yield client


def test_a_face_that_fills_the_picture_is_masked_by_default_and_found_by_detect_on_request(
    open_client: httpx2.Client,
) -> None:
    data = close_up()
    once, twice = best_score(open_client, data, 0), best_score(open_client, data, 160)
    assert twice > once + 0.02, (once, twice)
    between = (once + twice) / 2
    found = open_client.post("/api/v1/detect", params={"confidence": between}, files={"image": ("p", data)})
    assert found.json()["summary"]["face_count"] == 0
    ways = {"confidence": between, "turns": "never"}
    assert mask(open_client, data, **ways, second_side=None).headers["x-face-count"] == "1"
    assert mask(open_client, data, **ways, second_side=0).headers["x-face-count"] == "0"


@pytest.mark.parametrize("turn", [1, 3])
def test_a_scene_on_its_side_is_masked_by_default_and_found_by_detect_on_request(
    open_client: httpx2.Client, turn: int
) -> None:
    data = encoded(np.ascontiguousarray(np.rot90(scene(), turn)))
    answer = mask(open_client, data, second_side=None, closer=False)
    assert answer.headers["x-face-count"] == str(len(PEOPLE))
    assert answer.headers["x-looks"] == "passes=8, tiles=0, turns=3, closer=0"
    assert mask(open_client, data, second_side=None).headers["x-face-count"] == str(len(PEOPLE))
    assert mask(open_client, data, turns="never").headers["x-face-count"] == "0"
    for turns, faces in (("never", 0), ("always", len(PEOPLE))):
        found = open_client.post("/api/v1/detect", params={"turns": turns}, files={"image": ("p", data)})
        assert found.json()["summary"]["face_count"] == faces


def test_a_face_the_first_look_is_not_quite_sure_of_is_masked_by_default_and_found_by_detect_on_request(
    open_client: httpx2.Client,
) -> None:
    data = encoded(cv2.resize(scene() // 3, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA))  # small, in the dark
    once = open_client.post("/api/v1/detect", files={"image": ("p", data)}).json()["detections"]
    least = min(face["confidence"] for face in once)
    params = {"confidence": least + 0.01, "turns": "never"}
    for closer, faces in (("false", len(once) - 1), ("true", len(once))):
        found = open_client.post("/api/v1/detect", params=params | {"closer": closer}, files={"image": ("p", data)})
        assert found.json()["summary"]["face_count"] == faces
        assert found.json()["processing"]["closer"] == (closer == "true")
        assert found.json()["summary"]["min_confidence"] >= params["confidence"]
    answer = mask(open_client, data, **params)
    assert (answer.headers["x-face-count"], answer.headers["x-looks"]) == (
        str(len(once)),
        "passes=2, tiles=0, turns=0, closer=1",
    )


def test_small_faces_of_a_large_picture_are_found_in_tiles(open_client: httpx2.Client) -> None:
    large = np.full((1600, 2200, 3), 120, np.uint8)
    small = cv2.resize(scene(), None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA)
    large[1000 : 1000 + small.shape[0], 1500 : 1500 + small.shape[1]] = small
    answers = [
        open_client.post("/api/v1/detect", params={"tiles": tiles}, files={"image": ("p", encoded(large))})
        for tiles in (0, 12)
    ]
    assert [answer.json()["summary"]["face_count"] for answer in answers] == [0, len(PEOPLE)]
    assert answers[1].json()["processing"]["tiles"] == 12
    for face in answers[1].json()["detections"]:
        assert 1500 < face["center"]["x"] < 1500 + small.shape[1]
        assert 1000 < face["center"]["y"] < 1000 + small.shape[0]
