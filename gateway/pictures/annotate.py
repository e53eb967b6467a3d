"""Boxes and scores drawn into a picture, for people who look at what was found before it is masked.

Light lines on dark ones, so that they are seen on any ground; their size follows the picture and the face. Drawn
around the boxes, so that a face stays visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.marks import Marks
from gateway.pictures.regions import Pixels
from shared.faces import FloatArray

#: Blue, green, red: of faces that would be masked, of those that stay visible, of own boxes.
MASKED, KEPT, OWN = (64, 224, 255), (128, 255, 96), (255, 208, 96)
_DARK = (24, 24, 24)
_OPAQUE = (255, 255, 255)
#: Of the picture's longer side, in parts: the line, and the least and most height of letters.
_LINE, _LETTERS_LEAST, _LETTERS_MOST = 400, 90, 40
#: Of the face's shorter side: most of the line, and of the letters.
_LINE_OF_FACE, _LETTERS_OF_FACE = 12, 4
#: No letter is readable below so many pixels.
_LETTERS_MIN = 9
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class _Label:
    """One box, x1 y1 x2 y2 in pixels, its words and its colour."""

    box: tuple[int, int, int, int]
    words: str
    color: tuple[int, int, int]


def annotate(pixels: Pixels, alpha: NDArray[np.uint8] | None, marks: Marks) -> None:
    """Draws into (H, W, 3) uint8 BGR, and into its (H, W) alpha, so that it is seen where nothing else is.

    Each face has its index in detect's answer and its score; own boxes have a plus.
    """
    labels = [_Label(_whole(box), words, color) for box, words, color in _told(marks)]
    longer = max(pixels.shape[:2])
    for label in reversed(labels):  # the best lie on top
        _draw(pixels, label, longer, label.color, _DARK)
        if alpha is not None:
            _draw(alpha, label, longer, _OPAQUE, _OPAQUE)


def _told(marks: Marks) -> list[tuple[FloatArray, str, tuple[int, int, int]]]:
    faces = marks.faces
    told = [
        (box, f"{index}: {score:.2f}", MASKED if hidden else KEPT)
        for index, (box, score, hidden) in enumerate(zip(faces.boxes, faces.scores, marks.hidden, strict=True))
    ]
    return [*told, *((box, "+", OWN) for box in marks.boxes[marks.masked :])]


def _whole(box: FloatArray) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    return x1, y1, x2, y2


def _draw(plane: NDArray[np.uint8], label: _Label, longer: int, light: tuple[int, ...], dark: tuple[int, ...]) -> None:
    x1, y1, x2, y2 = label.box
    shorter = max(1, min(x2 - x1, y2 - y1))
    line = max(1, min(round(longer / _LINE), shorter // _LINE_OF_FACE))
    for width, color in ((3 * line, dark), (line, light)):  # dark on both sides of the light one
        out = 2 * line
        cv2.rectangle(plane, (x1 - out, y1 - out), (x2 + out, y2 + out), color, width)
    letters = min(
        max(shorter / _LETTERS_OF_FACE, longer / _LETTERS_LEAST, _LETTERS_MIN),
        max(longer / _LETTERS_MOST, _LETTERS_MIN),
    )
    scale = letters / cv2.getTextSize("0", _FONT, 1.0, 1)[0][1]
    thick = max(1, round(letters / 9))
    (width, height), _ = cv2.getTextSize(label.words, _FONT, scale, thick)
    margin = max(2, round(letters / 3))
    left, bottom = _place(plane, (x1 - 3 * line, y1 - 3 * line), (width + 2 * margin, height + 2 * margin))
    cv2.rectangle(plane, (left, bottom - height - 2 * margin), (left + width + 2 * margin, bottom), dark, cv2.FILLED)
    cv2.putText(plane, label.words, (left + margin, bottom - margin), _FONT, scale, light, thick, cv2.LINE_AA)


def _place(plane: NDArray[np.uint8], corner: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Left and bottom of a plate of this size: above the corner, and inside the picture where it fits into it."""
    left = max(0, min(corner[0], plane.shape[1] - size[0]))
    bottom = min(plane.shape[0], max(corner[1], size[1]))
    return left, bottom
