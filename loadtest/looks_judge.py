"""What a look is worth: boxes against labelled faces, and how much of a face a mask would leave visible. Pure.

All boxes are (N, 4) x1 y1 x2 y2 in pixels of the upright picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]

#: A box is a face's from this overlap on; smaller faces than this (root of the area, 640 frame) are not asked for.
IOU_MIN, SIDE_MIN, FRAME = 0.4, 16.0, 640
#: A mask grows a box by this share on each side; a face of which less than half is covered is visible.
PADDING, COVERED_MIN = 0.15, 0.5
#: Points across a face, each way, at which it is looked whether it is covered.
_GRID = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer. scores: (N,). width, height: of the picture. looked_again: in turns."""

    boxes: Boxes
    scores: Boxes
    width: int
    height: int
    passes: int
    looked_again: bool
    inference_ms: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One way of looking. recall, visible: shares of the faces; precision: of the boxes. false_boxes: per 100
    photographs. Others: means.
    """

    photographs: int
    faces: int
    recall: float
    precision: float
    visible: float
    false_boxes: float
    looked_again: int
    passes: float
    inference_ms: float
    answers_per_s: float


@dataclass(slots=True)
class Tally:
    """Sums over photographs that were looked at in one way."""

    photographs: int = 0
    faces: int = 0
    found: int = 0
    visible: int = 0
    boxes: int = 0
    false_boxes: int = 0
    looked_again: int = 0
    passes: int = 0
    inference_ms: float = 0.0
    wall_s: float = 0.0

    def add(self, seen: Seen, faces: Boxes, loose: Boxes) -> None:
        """faces: those to be found. loose: what else may be found without being false."""
        asked = faces[large(faces, seen.width, seen.height)]
        self.photographs += 1
        self.faces += len(asked)
        self.found += sum(matched(face, seen.boxes) for face in asked)
        self.visible += sum(covered(face, seen.boxes) < COVERED_MIN for face in asked)
        self.boxes += len(seen.boxes)
        allowed = np.concatenate([faces, loose])
        self.false_boxes += sum(not matched(box, allowed) for box in seen.boxes)
        self.looked_again += seen.looked_again
        self.passes += seen.passes
        self.inference_ms += seen.inference_ms

    def row(self) -> Row:
        photographs, faces = max(1, self.photographs), max(1, self.faces)
        return Row(
            photographs=self.photographs,
            faces=self.faces,
            recall=round(self.found / faces, 4),
            precision=round(1 - self.false_boxes / max(1, self.boxes), 4),
            visible=round(self.visible / faces, 4),
            false_boxes=round(100 * self.false_boxes / photographs, 1),
            looked_again=self.looked_again,
            passes=round(self.passes / photographs, 2),
            inference_ms=round(self.inference_ms / photographs, 1),
            answers_per_s=round(self.photographs / self.wall_s, 2) if self.wall_s else 0.0,
        )


def as_boxes(rows: object) -> Boxes:
    """Any nested list of four numbers each, or none."""
    return np.asarray(rows, np.float64).reshape(-1, 4)


def large(faces: Boxes, width: int, height: int) -> NDArray[np.bool_]:
    """Which faces are asked for: by their size in a frame of 640."""
    sides = np.sqrt(np.prod(faces[:, 2:] - faces[:, :2], axis=1)) * FRAME / max(width, height)
    asked: NDArray[np.bool_] = sides >= SIDE_MIN
    return asked


def matched(box: Boxes, others: Boxes) -> bool:
    """Whether one of the others (N, 4) overlaps the box (4,) by `IOU_MIN`."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
    return bool((shared >= IOU_MIN * (areas - shared)).any())


def covered(face: Boxes, boxes: Boxes) -> float:
    """The share of a face (4,) that lies in boxes as a mask grows them."""
    grown = np.hstack([boxes[:, :2], boxes[:, 2:]]) + (boxes[:, 2:] - boxes[:, :2])[:, [0, 1, 0, 1]] * (
        np.array([-1, -1, 1, 1]) * PADDING
    )
    steps = (np.arange(_GRID) + 0.5) / _GRID
    x, y = np.meshgrid(face[0] + steps * (face[2] - face[0]), face[1] + steps * (face[3] - face[1]))
    x, y = x[..., None], y[..., None]
    inside = (x >= grown[:, 0]) & (x <= grown[:, 2]) & (y >= grown[:, 1]) & (y <= grown[:, 3])
    return float(inside.any(axis=-1).mean())


def turned(boxes: Boxes, width: int, height: int, degrees: float) -> Boxes:
    """Where faces of an upright picture of width × height lie once it is turned counter-clockwise.

    A face is taken for the ellipse in its box: at quarter turns the box is the same one turned, between them it is less
    than the turned box's own.
    """
    radians = math.radians(degrees)
    cosine, sine = round(math.cos(radians), 12), round(math.sin(radians), 12)
    new_width, new_height = turned_size(width, height, degrees)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([width, height]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    there = centre @ np.array([[cosine, -sine], [sine, cosine]]) + np.array([new_width, new_height]) / 2
    reach = np.hypot(half * abs(cosine), half[:, ::-1] * abs(sine))
    return np.hstack([there - reach, there + reach])


def turned_size(width: int, height: int, degrees: float) -> tuple[int, int]:
    """Of the upright rectangle that holds all of a turned one."""
    radians = math.radians(degrees)
    cosine, sine = abs(round(math.cos(radians), 12)), abs(round(math.sin(radians), 12))
    return math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine)
