"""The answer's numbers: every field of the API reference, rounded as it shows them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gateway.serialise import (
    Box,
    DetectedFace,
    DetectResponse,
    Landmarks,
    Point,
    Relative,
    Size,
    detected_faces,
    summary,
)
from shared.faces import Faces

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "api-reference.txt"

EXAMPLE = Faces(
    np.array([[100.5, 200.3, 300.1, 400.7]], np.float32),
    np.array([0.98761], np.float32),
    np.array([[[150.2, 250.1], [250.3, 248.9], [200.1, 310.5], [160.7, 360.2], [240.5, 358.8]]], np.float32),
)


def as_json(value: object) -> dict:
    return json.loads(msgspec.json.encode(value))


def test_the_api_references_example_comes_out_as_it_stands_there() -> None:
    face = as_json(detected_faces(EXAMPLE, 1920, 1080))[0]
    assert face == {
        "index": 0,
        "bbox": {"x1": 100.5, "y1": 200.3, "x2": 300.1, "y2": 400.7},
        "confidence": 0.9876,
        "landmarks": {
            "left_eye": {"x": 150.2, "y": 250.1},
            "right_eye": {"x": 250.3, "y": 248.9},
            "nose": {"x": 200.1, "y": 310.5},
            "left_mouth": {"x": 160.7, "y": 360.2},
            "right_mouth": {"x": 240.5, "y": 358.8},
        },
        "size": {"width": 199.6, "height": 200.4},
        "area": pytest.approx(39999.84, abs=0.05),
        "center": {"x": 200.3, "y": 300.5},
        "relative": {"x_center": 0.1043, "y_center": 0.2782, "width": 0.104, "height": 0.1856},
    }
    assert as_json(summary(EXAMPLE, 1920, 1080)) == {
        "face_count": 1,
        "avg_confidence": 0.9876,
        "min_confidence": 0.9876,
        "max_confidence": 0.9876,
        "total_face_area": pytest.approx(39999.84, abs=0.05),
        "face_area_ratio": 0.0193,
    }


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 150])
def test_every_number_is_that_face_rounded_and_in_its_field(count: int, *, landmarks: bool) -> None:
    chance = np.random.default_rng(count)
    boxes = chance.uniform(-50, 3000, (count, 4)).astype(np.float32)
    points = chance.uniform(-50, 3000, (count, 5, 2)).astype(np.float32) if landmarks else None
    faces = Faces(boxes, chance.uniform(0, 1, count).astype(np.float32), points)
    written = msgspec.json.decode(detected_faces(faces, 1920, 1080), type=list[DetectedFace])
    assert written == [plain_face(faces, index, 1920, 1080) for index in range(count)]


def plain_face(faces: Faces, index: int, width: int, height: int) -> DetectedFace:
    """One face as the reference's words say it, number by number."""
    x1, y1, x2, y2 = map(float, faces.boxes[index])
    points = None
    if faces.landmarks is not None:
        points = Landmarks(*(Point(pixels(x), pixels(y)) for x, y in faces.landmarks[index].tolist()))
    across, down, x, y = x2 - x1, y2 - y1, (x1 + x2) / 2, (y1 + y2) / 2
    return DetectedFace(
        index=index,
        bbox=Box(pixels(x1), pixels(y1), pixels(x2), pixels(y2)),
        confidence=rounded(float(faces.scores[index]), 4),
        landmarks=points,
        size=Size(pixels(across), pixels(down)),
        area=rounded(across * down, 2),
        center=Point(pixels(x), pixels(y)),
        relative=Relative(*map(of_whole, (x / width, y / height, across / width, down / height))),
    )


def rounded(value: float, decimals: int) -> float:
    return float(np.round(value, decimals))


def of_whole(share: float) -> float:
    return rounded(min(1.0, max(0.0, share)), 4)


def pixels(value: float) -> float:
    return rounded(value, 1)


def test_no_faces_give_zeros_not_nan() -> None:
    assert as_json(detected_faces(Faces.none(), 10, 10)) == []
    assert set(as_json(summary(Faces.none(), 10, 10)).values()) == {0}


def test_a_model_without_landmarks_gives_null() -> None:
    face = as_json(detected_faces(Faces(EXAMPLE.boxes, EXAMPLE.scores, None), 1920, 1080))[0]
    assert face["landmarks"] is None


def test_float32_noise_never_shows() -> None:
    text = msgspec.json.encode(detected_faces(EXAMPLE, 1920, 1080)).decode()
    assert all(len(number.split(".")[1]) <= 4 for number in text.replace("}", ",").split(",") if "." in number)


def test_boxes_are_not_clipped_to_the_picture() -> None:
    faces = Faces(np.array([[-20, -10, 700, 500]], np.float32), np.array([0.5], np.float32), None)
    assert as_json(detected_faces(faces, 640, 480))[0]["bbox"] == {"x1": -20, "y1": -10, "x2": 700, "y2": 500}


@pytest.mark.parametrize(
    ("boxes", "ratio"),
    [
        ([[-20, -10, 700, 500]], 1.0),  # the picture is inside a face
        ([[-900, -10, -100, 90]], 0.2604),  # a face beside it: its area is told as it is
        ([[0, 0, 640, 480], [10, 10, 600, 470]], 1.0),
        ([[0, 0, 320, 480]], 0.5),
    ],
)
def test_shares_of_the_picture_lie_between_0_and_1(boxes: list[list[float]], ratio: float) -> None:
    faces = Faces(np.array(boxes, np.float32), np.full(len(boxes), 0.5, np.float32), None)
    shares = [share for face in as_json(detected_faces(faces, 640, 480)) for share in face["relative"].values()]
    assert all(0 <= share <= 1 for share in shares)
    assert summary(faces, 640, 480).face_area_ratio == ratio


@pytest.mark.skipif(not REFERENCE.exists(), reason="the API reference is not beside the project")
def test_the_fields_and_their_order_are_the_api_references() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    start = text.index('{\n  "request_id"')
    example, _ = json.JSONDecoder().raw_decode(text[start:])
    assert list(example) == list(DetectResponse.__struct_fields__)
    for name in ("image", "summary", "processing", "profiling"):
        kind = next(field.type for field in msgspec.structs.fields(DetectResponse) if field.name == name)
        assert list(kind.__struct_fields__)[: len(example[name])] == list(example[name])  # more may follow
    face = as_json(detected_faces(EXAMPLE, 1920, 1080))[0]
    assert list(example["detections"][0]) == list(face)
