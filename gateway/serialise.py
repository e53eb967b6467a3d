"""From faces to the answer of POST /api/v1/detect: every field of the API reference, and its rounding.

Pixels to 1 decimal, areas to 2, confidence, relative and ratio to 4, milliseconds to 2. Whatever is in pixels is not
clipped to the picture; whatever is a share of it is clipped to 0..1.
"""

from __future__ import annotations

import json

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces

_encoder = msgspec.json.Encoder()


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float


class Box(msgspec.Struct, frozen=True):
    x1: float
    y1: float
    x2: float
    y2: float


class Size(msgspec.Struct, frozen=True):
    width: float
    height: float


class Landmarks(msgspec.Struct, frozen=True):
    """As seen in the picture: left is where x is small on an upright face."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


class Relative(msgspec.Struct, frozen=True):
    """As shares of the picture's width and height, clipped to 0..1."""

    x_center: float
    y_center: float
    width: float
    height: float


class DetectedFace(msgspec.Struct, frozen=True):
    """One face, in pixels of the upright picture, not clipped to it."""

    index: int
    bbox: Box
    confidence: float
    landmarks: Landmarks | None
    size: Size
    area: float
    center: Point
    relative: Relative


class Image(msgspec.Struct, frozen=True):
    """The picture after its EXIF orientation was applied; size_bytes of the file as sent."""

    width: int
    height: int
    channels: int
    size_bytes: int


class Summary(msgspec.Struct, frozen=True):
    face_count: int
    avg_confidence: float
    min_confidence: float
    max_confidence: float
    total_face_area: float
    face_area_ratio: float


class Processing(msgspec.Struct, frozen=True):
    model: str
    input_size: tuple[int, int]
    confidence_threshold: float
    nms_threshold: float
    inference_ms: float
    total_ms: float
    passes: int
    tiles: int
    turns: int
    closer: int


class Profiling(msgspec.Struct, frozen=True):
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    total_ms: float
    input_resolution: str
    input_bytes: int


class DetectResponse(msgspec.Struct, frozen=True):
    """The whole answer."""

    request_id: str
    image_id: str | None
    job_id: str | None
    image: Image
    detections: list[DetectedFace]
    summary: Summary
    processing: Processing
    profiling: Profiling


def _steps(landmarks: int) -> NDArray[np.float64]:
    """What each number of a face is a whole multiple of, as 1/step: by column, with so many landmark numbers."""
    return np.array([10.0] * 4 + [1e4] + [10.0] * landmarks + [10.0] * 2 + [100.0] + [10.0] * 2 + [1e4] * 4)


def _form(value: object) -> bytes:
    """DetectedFace as JSON after its index, with %b for every number."""
    return json.dumps(value, separators=(",", ":")).replace('"%b"', "%b").encode()[1:]


_POINT = {"x": "%b", "y": "%b"}
_TAIL = {
    "size": {"width": "%b", "height": "%b"},
    "area": "%b",
    "center": _POINT,
    "relative": dict.fromkeys(("x_center", "y_center", "width", "height"), "%b"),
}
_HEAD = {"bbox": dict.fromkeys(("x1", "y1", "x2", "y2"), "%b"), "confidence": "%b"}
_FACE = _form(_HEAD | {"landmarks": dict.fromkeys(Landmarks.__struct_fields__, _POINT)} | _TAIL)
_FACE_WITHOUT_LANDMARKS = _form(_HEAD | {"landmarks": None} | _TAIL)
_STEPS, _STEPS_WITHOUT_LANDMARKS = _steps(10), _steps(0)


def detected_faces(faces: Faces, width: int, height: int) -> msgspec.Raw:
    """The faces of a picture of `width`×`height` pixels in answer order, as a JSON list of DetectedFace.

    Written from the numbers at once: a crowd's thousands of small objects cost more than decoding its picture.
    """
    count = len(faces)
    if not count:
        return msgspec.Raw(b"[]")
    numbers = _encoder.encode(_numbers(faces, width, height))[1:-1].split(b",")
    rest = _FACE_WITHOUT_LANDMARKS if faces.landmarks is None else _FACE
    forms = [b'{"index":%d,' % index + rest for index in range(count)]
    return msgspec.Raw(b"[%b]" % b",".join(forms) % tuple(numbers))


def _numbers(faces: Faces, width: int, height: int) -> list[float]:
    """Every number of every face in the order of DetectedFace, rounded in float64: 100.3 prints as 100.3."""
    corners = faces.boxes.astype(np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    areas = sizes[:, :1] * sizes[:, 1:]
    relative = (np.concatenate((centres, sizes), axis=1) / (width, height, width, height)).clip(0, 1)
    points = () if faces.landmarks is None else (faces.landmarks.reshape(-1, 10),)
    columns = np.concatenate((corners, faces.scores[:, None], *points, sizes, areas, centres, relative), axis=1)
    steps = _STEPS_WITHOUT_LANDMARKS if faces.landmarks is None else _STEPS
    numbers: list[float] = (np.rint(columns * steps) / steps).ravel().tolist()
    return numbers


def summary(faces: Faces, width: int, height: int) -> Summary:
    """Over all faces; averages of none are 0.0."""
    count = len(faces)
    if not count:
        return Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    # Plain numbers: for the few faces of most pictures each call of numpy costs more than all the sums.
    total = sum([(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in faces.boxes.tolist()])
    scores: list[float] = faces.scores.tolist()
    return Summary(
        count,
        round(sum(scores) / count, 4),
        round(min(scores), 4),
        round(max(scores), 4),
        round(total, 2),
        round(min(1.0, total / (width * height)), 4),
    )
