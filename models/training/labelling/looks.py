"""Looks at a photograph thoroughly: alone knows from which sides, and when their findings are one face.

The detector to be improved sees more if a photograph is shown to it larger, smaller, leaning and on its side. What it
then agrees upon it can be taught to see at a single look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from models.training.judge.detect import Floats, OnnxDetector, Picture, decode, suppress
from models.training.judge.measure import iou_table
from models.training.scenes.composer import Matrix, map_box

#: Longest side in pixels and lean in degrees of each look. On its side, a photograph showed more false faces than true.
LOOKS = ((320, 0), (640, 0), (1280, 0), (640, 30), (640, -30))
FINER = ((1920, 0),)  # of photographs of at least half that side
FLOOR = 0.1  # findings below this score are none
SAME = 0.4  # IoU at which two looks saw one face
AGREES = 0.3  # score at which a look speaks for a face


@dataclass(frozen=True)
class Sighting:
    """box (4,), points (5, 2) float32 pixels of the photograph; score: the best look's; seen: by how many looks."""

    box: Floats
    points: Floats
    score: float
    seen: int


def lean_into(width: int, height: int, longest: int, lean: float) -> tuple[Matrix, int]:
    """The 2x3 map of a photograph into a square that holds it leaning, and that square's side, a multiple of 32."""
    scale = longest / max(width, height)
    turn = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), lean, scale), np.float64)
    side = 32 * math.ceil(float((np.abs(turn[:, :2]) @ [width, height]).max()) / 32)
    turn[:, 2] += (side - np.array([width, height])) / 2
    return turn, side


def look(detector: OnnxDetector, picture: Picture, longest: int, lean: float) -> tuple[Floats, Floats, Floats]:
    """boxes (N, 4), scores (N,), points (N, 5, 2) of one look, in pixels of the photograph."""
    height, width = picture.shape[:2]
    turn, side = lean_into(width, height, longest, lean)
    back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    shrink = longest / max(width, height)
    if shrink < 1:  # averaging first: a warp would leave out pixels
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        turn[:, :2] /= shrink
    canvas = np.asarray(cv2.warpAffine(picture, turn, (side, side), flags=cv2.INTER_LINEAR), np.uint8)
    boxes, scores, points = decode(detector.heads(canvas), (side, side), FLOOR)
    kept = suppress(boxes, scores)
    own = [map_box(box, back) for box in boxes[kept]]
    marks = points[kept] @ back[:, :2].T + back[:, 2]
    return np.array(own, np.float32).reshape(-1, 4), scores[kept], np.asarray(marks, np.float32)


def merged(looks: list[tuple[Floats, Floats, Floats]]) -> list[Sighting]:
    """One sighting of each face, the surest first; its box is the mean of those that see it, by score."""
    boxes, scores, points = (np.concatenate([one[part] for one in looks]) for part in range(3))
    whose = np.repeat(np.arange(len(looks)), [len(one[1]) for one in looks])
    sightings = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        first = left[0]
        together = iou_table(boxes[first][None], boxes[left])[0] >= SAME
        together[0] = True
        mine, left = left[together], left[~together]
        box = np.average(boxes[mine], axis=0, weights=scores[mine]).astype(np.float32)
        seen = len(set(whose[mine][scores[mine] >= AGREES].tolist()))
        sightings.append(Sighting(box, points[first], float(scores[first]), seen))
    return sightings


def sightings_of(detector: OnnxDetector, picture: Picture) -> list[Sighting]:
    """What all looks together see in a (H, W, 3) uint8 BGR photograph."""
    longest = max(picture.shape[:2])
    wanted = [*LOOKS, *(one for one in FINER if 2 * longest >= one[0])]
    return merged([look(detector, picture, *one) for one in wanted])
