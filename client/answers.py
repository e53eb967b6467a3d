"""What the service answers, as types. Coordinates are pixels of the upright picture, as everywhere in its API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """x to the right, y down, in pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """Corners in pixels; a face at the edge may reach beyond the picture."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Left is where x is small on an upright face."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point


@dataclass(frozen=True, slots=True)
class Face:
    """index: place in the answer, surest first. landmarks: None with a model that has none."""

    index: int
    box: Box
    confidence: float
    landmarks: Landmarks | None


@dataclass(frozen=True, slots=True)
class Detections:
    """The answer of detect. raw: all of it, as it came."""

    request_id: str
    width: int
    height: int
    model: str
    faces: tuple[Face, ...]
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Masked:
    """The answer of mask. data: the file. weak: the mask hides little of some face. headers: all, in lower case."""

    request_id: str
    width: int
    height: int
    model: str
    faces: int
    media_type: str
    weak: bool
    data: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of health. ready: whether it serves. raw: all of it."""

    ready: bool
    model: str
    raw: Mapping[str, Any]


def detections(body: Mapping[str, Any]) -> Detections:
    """Of the JSON that detect answers. Raises KeyError or TypeError when it is something else."""
    image, faces = body["image"], body["detections"]
    return Detections(
        request_id=body["request_id"],
        width=image["width"],
        height=image["height"],
        model=body["processing"]["model"],
        faces=tuple(_face(face) for face in faces),
        raw=body,
    )


def _face(body: Mapping[str, Any]) -> Face:
    landmarks = body["landmarks"]
    return Face(
        index=body["index"],
        box=Box(**body["bbox"]),
        confidence=body["confidence"],
        landmarks=Landmarks(**{name: Point(**at) for name, at in landmarks.items()}) if landmarks else None,
    )


def masked(headers: Mapping[str, str], data: bytes) -> Masked:
    """Of the headers (names in lower case) and body that mask answers. Raises KeyError or ValueError on others."""
    return Masked(
        request_id=headers["x-request-id"],
        width=int(headers["x-image-width"]),
        height=int(headers["x-image-height"]),
        model=headers["x-model"],
        faces=int(headers["x-face-count"]),
        media_type=headers["content-type"],
        weak=headers.get("x-mask-weak") == "true",
        data=data,
        headers=headers,
    )


def health(body: Mapping[str, Any], *, ready: bool) -> Health:
    """Of the JSON that health answers, with 200 or 503."""
    return Health(ready=ready, model=body["model"], raw=body)
