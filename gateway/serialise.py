"""From faces to the answer of POST /api/v1/detect: every field of the API reference, and its rounding.

Pixels to 1 decimal, areas to 2, confidence, relative and ratio to 4, milliseconds to 2.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.faces import Faces

LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


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
    """As shares of the picture's width and height."""

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


def detected_faces(faces: Faces, width: int, height: int) -> list[DetectedFace]:
    """The faces of a picture of `width`×`height` pixels, in answer order."""
    corners = faces.boxes.astype(np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    picture = np.array([width, height], dtype=np.float64)
    boxes, scores = _rounded(corners, 1), _rounded(faces.scores, 4)
    spans, areas = _rounded(sizes, 1), _rounded(sizes[:, 0] * sizes[:, 1], 2)
    middles, relative = _rounded(centres, 1), _rounded(np.hstack([centres, sizes]) / np.tile(picture, 2), 4)
    points = [None] * len(faces) if faces.landmarks is None else _rounded(faces.landmarks, 1)
    return [
        DetectedFace(
            index=index,
            bbox=Box(*boxes[index]),
            confidence=scores[index],
            landmarks=None if points[index] is None else Landmarks(*[Point(*point) for point in points[index]]),
            size=Size(*spans[index]),
            area=areas[index],
            center=Point(*middles[index]),
            relative=Relative(*relative[index]),
        )
        for index in range(len(faces))
    ]


def summary(faces: Faces, width: int, height: int) -> Summary:
    """Over all faces; averages of none are 0.0."""
    if not len(faces):
        return Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    sizes = faces.boxes[:, 2:].astype(np.float64) - faces.boxes[:, :2]
    total = float((sizes[:, 0] * sizes[:, 1]).sum())
    scores = faces.scores.astype(np.float64)
    return Summary(
        len(faces),
        round(float(scores.mean()), 4),
        round(float(scores.min()), 4),
        round(float(scores.max()), 4),
        round(total, 2),
        round(total / (width * height), 4),
    )


def _rounded(values: NDArray[np.floating], decimals: int) -> list:  # type: ignore[type-arg]
    """Nested lists of Python floats; float64 first, so that 100.3 prints as 100.3."""
    rounded: list = np.round(values.astype(np.float64), decimals).tolist()  # type: ignore[type-arg]
    return rounded
