"""The HTTP surface to the letter: fields, headers, statuses, and words in every refusal."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest

from tests.networks import beacon_faces, beacon_picture
from tests.service import Service

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "api-reference.txt"
BEACONS = [(120.0, 100.0, 80.0, 0.9), (400.0, 300.0, 120.0, 0.7)]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def encoded(picture: np.ndarray, extension: str = ".png") -> bytes:
    done, data = cv2.imencode(extension, picture)
    assert done
    return data.tobytes()


PICTURE = encoded(beacon_picture(BEACONS))


def detect(client: httpx2.Client, data: bytes = PICTURE, **params: Any) -> httpx2.Response:
    return client.post("/api/v1/detect", params=params, files={"image": ("p.png", data)})


def detail(response: httpx2.Response) -> str:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    assert UUID.fullmatch(response.headers["x-request-id"])
    return body["detail"]


def test_a_picture_comes_back_with_its_faces_and_every_field(client: httpx2.Client) -> None:
    response = detect(client)
    assert response.status_code == 200
    body = response.json()
    assert body["request_id"] == response.headers["x-request-id"]
    assert (body["image_id"], body["job_id"]) == (None, None)
    assert body["image"] == {"width": 640, "height": 480, "channels": 3, "size_bytes": len(PICTURE)}
    assert [face["index"] for face in body["detections"]] == [0, 1]
    for face, (box, score) in zip(body["detections"], beacon_faces(BEACONS), strict=True):
        np.testing.assert_allclose(list(face["bbox"].values()), box, atol=0.06)
        assert face["confidence"] == pytest.approx(score, abs=1e-4)
    assert body["summary"]["face_count"] == 2
    assert body["processing"]["input_size"] == [640, 640]
    assert body["profiling"]["input_resolution"] == "640x480"
    assert body["profiling"]["input_bytes"] == len(PICTURE)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the API reference is not beside the project")
@pytest.mark.parametrize("path", ["/health", "/api/v1/detect"])
def test_every_field_of_the_api_reference_is_there_with_its_type(client: httpx2.Client, path: str) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    start = text.index('{\n  "status"' if path == "/health" else '{\n  "request_id"')
    example, _ = json.JSONDecoder().raw_decode(text[start:])
    answer = client.get(path).json() if path == "/health" else detect(client).json()
    assert_has_fields(answer, example, path)


def assert_has_fields(answer: Any, example: Any, where: str) -> None:
    if isinstance(example, dict):
        assert set(example) <= set(answer), where
        for name, value in example.items():
            assert_has_fields(answer[name], value, f"{where}.{name}")
    elif isinstance(example, list):
        assert isinstance(answer, list), where
        assert answer, where
        assert_has_fields(answer[0], example[0], where)
    elif example is not None:
        numbers = (int, float)
        assert isinstance(answer, numbers if isinstance(example, float) else type(example)), where


def test_server_timing_tells_the_parts_and_they_add_up(client: httpx2.Client) -> None:
    timing = detect(client).headers["server-timing"]
    parts = {name: float(spent) for name, spent in re.findall(r"(\w+);dur=([\d.]+)", timing)}
    total = parts.pop("total")
    assert {"auth", "read", "decode", "preprocess", "queue", "inference", "postprocess", "serialise", "other"} == set(
        parts
    )
    assert sum(parts.values()) == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize("kind", ["image/png", "image/anything", "application/octet-stream"])
def test_a_raw_body_is_a_picture_too(client: httpx2.Client, kind: str) -> None:
    response = client.post("/api/v1/detect?confidence=0.8", content=PICTURE, headers={"content-type": kind})
    assert response.json()["summary"]["face_count"] == 1


def test_parameters_come_from_the_query_or_the_form(client: httpx2.Client) -> None:
    response = client.post("/api/v1/detect", data={"confidence": "0.8"}, files={"image": PICTURE})
    assert (response.json()["summary"]["face_count"], response.json()["processing"]["confidence_threshold"]) == (1, 0.8)
    clash = client.post("/api/v1/detect?confidence=0.7", data={"confidence": "0.8"}, files={"image": PICTURE})
    assert clash.status_code == 422
    assert "differs" in detail(clash)


def test_max_faces_keeps_the_references_choice(client: httpx2.Client) -> None:
    faces = detect(client, max_faces=1).json()["detections"]
    assert [face["confidence"] for face in faces] == [pytest.approx(0.7, abs=0.01)]


def test_no_faces_is_an_answer(client: httpx2.Client) -> None:
    body = detect(client, encoded(np.zeros((50, 60, 3), np.uint8))).json()
    assert body["detections"] == []
    assert set(body["summary"].values()) == {0}


def test_the_callers_own_request_id_is_used_when_it_is_a_uuid(client: httpx2.Client) -> None:
    own = str(uuid.uuid4())
    assert client.get("/livez", headers={"x-request-id": own}).headers["x-request-id"] == own
    for junk in ("1234", "x" * 36, "../../etc/passwd"):
        given = client.get("/livez", headers={"x-request-id": junk}).headers["x-request-id"]
        assert given != junk
        assert UUID.fullmatch(given)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/detect", 405),
        ("DELETE", "/health", 405),
        ("POST", "/api/v1/nothing", 404),
    ],
)
def test_wrong_paths_and_methods_are_told_in_json(client: httpx2.Client, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert detail(response)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"confidence": 2}, "confidence is 0.01 to 1.0"),
        ({"confidense": 0.5}, "did you mean confidence?"),
        ({"max_faces": -1}, "max_faces is 0 or more"),
        ({"nms_threshold": "x"}, "nms_threshold is 0.01 to 1.0"),
        ({"method": "solid"}, "unknown parameter 'method'"),
    ],
)
def test_a_wrong_parameter_is_422_and_says_what_is_right(client: httpx2.Client, params: dict, words: str) -> None:
    response = detect(client, **params)
    assert response.status_code == 422
    assert words in detail(response)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GIF89a" + b"\0" * 100, 400),
        (b"not a picture at all", 400),
        (PICTURE[: len(PICTURE) // 2], 400),
        (encoded(np.zeros((9, 10, 3), np.uint8)), 400),
        (encoded(np.zeros((10, 9, 3), np.uint8), ".bmp"), 400),
        (b"\xff\xd8\xff" + b"x" * 2_000_000, 413),
    ],
)
def test_a_file_that_is_no_usable_picture_is_refused_with_words(
    client: httpx2.Client, data: bytes, status: int
) -> None:
    response = detect(client, data)
    assert response.status_code == status, response.text
    assert len(detail(response)) > 10


def test_a_picture_of_exactly_10_by_10_is_taken(client: httpx2.Client) -> None:
    assert detect(client, encoded(np.zeros((10, 10, 3), np.uint8))).status_code == 200


def test_the_label_of_a_file_does_not_matter(client: httpx2.Client) -> None:
    files = {"image": ("evil.exe", PICTURE, "application/x-msdownload")}
    assert client.post("/api/v1/detect", files=files).status_code == 200


@pytest.mark.parametrize(
    ("files", "words"),
    [({"photo": PICTURE}, "unknown|`image`|bytes"), ({"image": b""}, "empty")],
)
def test_a_missing_or_empty_picture_is_422(client: httpx2.Client, files: dict, words: str) -> None:
    response = client.post("/api/v1/detect", files=files)
    assert response.status_code == 422
    assert re.search(words, detail(response))


def test_other_bodies_are_415(client: httpx2.Client) -> None:
    response = client.post("/api/v1/detect", json={"image": "x"})
    assert response.status_code == 415
    assert "multipart/form-data" in detail(response)


def test_health_is_ok_and_names_model_precision_and_provider(client: httpx2.Client) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["model_loaded"], body["supports_landmarks"]) == ("ok", True, True)
    assert (body["precision"], body["provider"]) == ("fp32", "CPUExecutionProvider")
    assert (body["database_enabled"], body["database_ready"]) == (False, None)
    assert (body["storage_enabled"], body["storage_ready"]) == (False, None)


def test_readyz_and_livez_answer_without_a_key(client: httpx2.Client) -> None:
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200


def test_the_curl_line_of_the_ready_block_is_printed(service: Service) -> None:
    block = service.output
    assert re.search(r"curl .*-F image=@\S+ .*" + re.escape(service.url) + "/api/v1/detect", block)
    for part in ("model", "fp32 on CPUExecutionProvider", "workers"):
        assert part in block


@pytest.mark.parametrize("size", [(5000, 10), (10, 5000), (12, 9000)])
def test_extreme_shapes_have_no_side_of_zero(client: httpx2.Client, size: tuple[int, int]) -> None:
    response = detect(client, encoded(np.zeros((*size, 3), np.uint8)))
    assert response.status_code == 200, response.text
    assert (response.json()["image"]["height"], response.json()["image"]["width"]) == size
