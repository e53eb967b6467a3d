"""Pictures that are laid over faces: the small drawings that ship, and a caller's own. What is beneath is gone first.

Alone knows how colours and alpha meet. Drawings have no colour beyond their edge, so they are ready as they are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.regions import Pixels, Region

#: Side of a drawing in pixels, and how much larger it is drawn, so that its edges are smooth.
_SIDE, _FINER = 256, 4
#: Rows laid at once: products of a whole picture would take several times its memory.
_BAND_ROWS = 64

_DARK, _YELLOW, _ORANGE, _WHITE = (40, 40, 48), (72, 208, 255), (48, 150, 245), (255, 255, 255)
_RED, _PINK, _GREEN = (72, 72, 232), (190, 150, 250), (96, 176, 88)

Canvas = NDArray[np.uint8]


def _dot(canvas: Canvas, x: float, y: float, across: float, down: float, color: tuple[int, int, int]) -> None:
    """A filled ellipse; all in parts of the side."""
    side = canvas.shape[0]
    middle, half = (round(x * side), round(y * side)), (round(across * side), round(down * side))
    cv2.ellipse(canvas, middle, half, 0, 0, 360, (*color, 255), cv2.FILLED)


def _arc(canvas: Canvas, y: float, half: tuple[float, float], ends: tuple[int, int], width: float) -> None:
    """A line along an ellipse around the middle column."""
    side = canvas.shape[0]
    axes = (round(half[0] * side), round(half[1] * side))
    cv2.ellipse(canvas, (side // 2, round(y * side)), axes, 0, *ends, (*_DARK, 255), round(width * side), cv2.LINE_AA)


def _smile(canvas: Canvas) -> None:
    _dot(canvas, 0.5, 0.5, 0.49, 0.49, _ORANGE)
    _dot(canvas, 0.5, 0.5, 0.465, 0.465, _YELLOW)
    for x in (0.34, 0.66):
        _dot(canvas, x, 0.4, 0.055, 0.085, _DARK)
    _arc(canvas, 0.5, (0.27, 0.25), (20, 160), 0.045)


def _cool(canvas: Canvas) -> None:
    _dot(canvas, 0.5, 0.5, 0.49, 0.49, _ORANGE)
    _dot(canvas, 0.5, 0.5, 0.465, 0.465, _YELLOW)
    for x in (0.31, 0.69):
        _dot(canvas, x, 0.42, 0.165, 0.125, _DARK)
    side = canvas.shape[0]
    cv2.rectangle(
        canvas,
        (round(0.06 * side), round(0.33 * side)),
        (round(0.94 * side), round(0.39 * side)),
        (*_DARK, 255),
        cv2.FILLED,
    )
    _arc(canvas, 0.56, (0.2, 0.18), (25, 155), 0.04)


def _flower(canvas: Canvas) -> None:
    for angle in np.arange(8) * np.pi / 4:
        _dot(canvas, 0.5 + 0.3 * np.cos(angle), 0.5 + 0.3 * np.sin(angle), 0.19, 0.19, _PINK)
    _dot(canvas, 0.5, 0.5, 0.2, 0.2, _YELLOW)


def _star(canvas: Canvas) -> None:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    reach = np.where(np.arange(10) % 2, 0.24, 0.5)
    corners = np.stack([0.5 + reach * np.cos(angles), 0.52 + reach * np.sin(angles)], axis=1) * canvas.shape[0]
    cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], (*_YELLOW, 255))


#: By the names callers know them by.
OVERLAYS: dict[str, Callable[[Canvas], None]] = {"smile": _smile, "cool": _cool, "flower": _flower, "star": _star}


@lru_cache(maxsize=len(OVERLAYS))
def drawn(name: str) -> Pixels:
    """One of OVERLAYS, (256, 256, 4) uint8, ready to be laid."""
    canvas = np.zeros((_SIDE * _FINER, _SIDE * _FINER, 4), np.uint8)
    OVERLAYS[name](canvas)
    return cast("Pixels", cv2.resize(canvas, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))


def ready_to_lay(overlay: Pixels) -> Pixels:
    """(H, W, 4) uint8 BGRA with its colours multiplied by its alpha: what lies beyond an edge then colours nothing."""
    weight = overlay[:, :, 3:].astype(np.uint16)
    return np.dstack((((overlay[:, :, :3] * weight + 127) // 255).astype(np.uint8), overlay[:, :, 3]))


def lay(pixels: Pixels, region: Region, ready: Pixels) -> None:
    """As large as it fits into the region, in its middle, turned as the face is; cut at the region's edge."""
    window, (height, width) = region.of(pixels), ready.shape[:2]
    scale = min(region.width / width, region.height / height)
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        smaller = cv2.resize(ready, (width, height), interpolation=cv2.INTER_AREA)
        ready = np.asarray(smaller, np.uint8).reshape(height, width, 4)
        scale = 1.0
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -region.tilt, scale)
    turn[:, 2] += ((region.width - width) / 2, (region.height - height) / 2)
    for top in range(0, region.height, _BAND_ROWS):
        band = window[top : top + _BAND_ROWS]
        over = cv2.warpAffine(ready, turn - [[0, 0, 0], [0, 0, top]], (region.width, band.shape[0]))
        left = 255 - over[:, :, 3:].astype(np.uint16)
        band[:] = np.minimum(over[:, :, :3] + (band * left + 127) // 255, 255)
