"""The reference's pipeline on one picture with an untouched export, written for clarity: the oracle.

Proof, canary and tests compare with it; nothing serves with it. Every step follows InsightFace
`python-package/insightface/model_zoo/scrfd.py` (one pass, input size pinned), July 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.proving.runtime import open_session
from models.served.anchors import ANCHORS_PER_CELL, BOX_COLUMNS, LANDMARK_COLUMNS, SCORE_COLUMNS, STRIDES
from shared.errors import ConfigurationError
from shared.faces import Faces, FloatArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Heads:
    """Raw answers for one input, by level 8, 16, 32; A = 2·(height/stride)·(width/stride) anchors.

    scores: (A, 1), boxes: (A, 4), landmarks: (A, 10) or None; float32; distances in units of the stride.
    """

    scores: tuple[FloatArray, ...]
    boxes: tuple[FloatArray, ...]
    landmarks: tuple[FloatArray, ...] | None


class Reference:
    """An untouched SCRFD export (a file or its bytes), run alone on the CPU."""

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        self._session = open_session(model, threads)
        first = self._session.get_inputs()[0]
        self._input, self._normalises = first.name, first.type == "tensor(uint8)"

    def outputs(self, pixels: Pixels) -> list[FloatArray]:
        """The export's own answer to (height, width, 3) uint8 BGR, as it gives it.

        A network published in serving form takes the pixels as they are.
        """
        fed = pixels[None] if self._normalises else blob(pixels)
        answer: list[FloatArray] = self._session.run(None, {self._input: fed})
        return answer

    def heads(self, pixels: Pixels) -> Heads:
        """The answer sorted into levels; rank 2 and rank 3 exports alike (batch is one)."""
        height, width = pixels.shape[:2]
        return sort_heads(self.outputs(pixels), height, width)

    def detect(
        self, picture: Pixels, side: int, confidence: float = 0.5, nms_threshold: float = 0.4, max_faces: int = 0
    ) -> Faces:
        """The reference's answer for a picture (height, width, 3) uint8 BGR, in its own pixels."""
        canvas, scale = letterbox(picture, side)
        rows = candidates(self.heads(canvas), side, side, confidence, scale)
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        rows = rows[list(kept(rows, nms_threshold))]
        height, width = picture.shape[:2]
        return Faces.unpacked(most_central(rows, max_faces, width, height))


def letterbox(picture: Pixels, side: int) -> tuple[Pixels, float]:
    """The picture fitted to the top left of a black square, and the reference's det_scale."""
    rows, cols = fitted(picture, side)
    canvas = np.zeros((side, side, 3), dtype=np.uint8)
    canvas[:rows, :cols] = cv2.resize(picture, (cols, rows))
    return canvas, float(rows) / picture.shape[0]


def fitted(picture: Pixels, side: int) -> tuple[int, int]:
    """Rows and columns of the picture once it fills a square of `side` one way."""
    height, width = picture.shape[:2]
    ratio = float(height) / width
    rows, cols = (side, int(side / ratio)) if ratio > 1.0 else (int(side * ratio), side)
    return max(1, rows), max(1, cols)


def blob(pixels: Pixels) -> FloatArray:
    """(height, width, 3) uint8 BGR → (1, 3, height, width) float32 RGB, (x − 127.5) / 128: blobFromImage."""
    normalised = (pixels.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)
    return np.ascontiguousarray(normalised[:, :, ::-1].transpose(2, 0, 1)[None])


def head_order(shapes: list[tuple[int, ...]], height: int, width: int) -> list[int]:
    """Where the outputs scores 8 16 32, boxes 8 16 32 (and landmarks) stand among an export's outputs.

    Told apart by shape, (anchors, columns) or (1, anchors, columns), so that neither name nor order matters.
    Raises ConfigurationError when they are not exactly these six or nine.
    """
    kinds = (SCORE_COLUMNS, BOX_COLUMNS, LANDMARK_COLUMNS)[: len(shapes) // 3]
    anchors = [ANCHORS_PER_CELL * (height // stride) * (width // stride) for stride in STRIDES]
    wanted = [(count, columns) for columns in kinds for count in anchors]
    found = [tuple(shape[-2:]) if shape[:-2] in ((), (1,)) else () for shape in shapes]
    if len(shapes) not in (6, 9) or sorted(found) != sorted(wanted):
        words = ", ".join("×".join(map(str, shape)) for shape in shapes)
        raise ConfigurationError(
            f"not an SCRFD export: for {width}×{height} pixels it answers {len(shapes)} outputs of shapes {words}; "
            f"expected are scores, boxes and perhaps landmarks at strides 8, 16 and 32 with two anchors per cell"
        )
    return [found.index(shape) for shape in wanted]


def sort_heads(outputs: list[FloatArray], height: int, width: int) -> Heads:
    """An export's outputs for one input → levels."""
    order = head_order([output.shape for output in outputs], height, width)
    flat = [outputs[index].reshape(outputs[index].shape[-2:]) for index in order]
    return Heads(tuple(flat[:3]), tuple(flat[3:6]), tuple(flat[6:9]) if len(flat) == 9 else None)


def anchor_centres(height: int, width: int, stride: int) -> FloatArray:
    """(A, 2) float32 x y in input pixels: row by row, each centre twice; no half-cell offset."""
    rows, columns = np.mgrid[: height // stride, : width // stride]
    centres = np.stack([columns, rows], axis=-1).astype(np.float32).reshape(-1, 2) * stride
    return np.repeat(centres, ANCHORS_PER_CELL, axis=0)


def candidates(heads: Heads, height: int, width: int, confidence: float, scale: float) -> FloatArray:
    """Packed rows (`shared/faces.py`) of every anchor at or over the confidence, in picture pixels, not sorted."""
    rows = []
    for level, stride in enumerate(STRIDES):
        centres = anchor_centres(height, width, stride)
        distances = heads.boxes[level] * np.float32(stride)
        parts = [centres - distances[:, :2], centres + distances[:, 2:], heads.scores[level]]
        if heads.landmarks is not None:
            offsets = (heads.landmarks[level] * np.float32(stride)).reshape(-1, 5, 2)
            parts.append((centres[:, None, :] + offsets).reshape(-1, 10))
        found = heads.scores[level][:, 0] >= np.float32(confidence)
        rows.append(np.concatenate(parts, axis=1, dtype=np.float32)[found])
    joined = np.concatenate(rows)
    score = joined[:, 4].copy()
    joined /= np.float32(scale)
    joined[:, 4] = score
    return joined


def kept(rows: FloatArray, nms_threshold: float) -> Iterator[int]:
    """Indices that NMS keeps of rows in score order; sides and areas with the reference's + 1, all float32."""
    x1, y1, x2, y2 = rows[:, :4].T
    one = np.float32(1)
    areas = (x2 - x1 + one) * (y2 - y1 + one)
    order = np.arange(len(rows))
    while order.size:
        best, rest = order[0], order[1:]
        yield int(best)
        wide = np.maximum(np.float32(0), np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + one)
        high = np.maximum(np.float32(0), np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + one)
        shared = wide * high
        overlap = shared / (areas[best] + areas[rest] - shared)
        order = rest[overlap <= np.float32(nms_threshold)]


def most_central(rows: FloatArray, max_faces: int, width: int, height: int) -> FloatArray:
    """At most max_faces rows (0: all), largest area − 2·distance² to the centre first; only then reordered."""
    if max_faces == 0 or len(rows) <= max_faces:
        return rows
    x1, y1, x2, y2 = rows[:, :4].T
    area = (x2 - x1) * (y2 - y1)
    across = (x1 + x2) / 2 - width // 2
    down = (y1 + y2) / 2 - height // 2
    value = area - 2 * (across**2 + down**2)
    return rows[np.argsort(-value, kind="stable")[:max_faces]]
