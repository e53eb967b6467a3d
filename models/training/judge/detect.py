"""Runs an ONNX detector on a photograph: alone knows both forms of export.

The serving form (uint8 batch,H,W,3) and InsightFace's (float 1x3x640x640, nine
outputs); letterbox, decoding and NMS follow insightface/model_zoo/scrfd.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.served.anchors import STRIDES, anchor_centres

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
SIDE = 640
OVERLAP = 0.4  # IoU above which NMS drops the weaker box


@dataclass(frozen=True)
class Found:
    """boxes (N, 4), scores (N,), points (N, 5, 2): float32, pixels of the photograph.

    scale: canvas pixels to one photograph pixel.
    """

    boxes: Floats
    scores: Floats
    points: Floats
    scale: float

    def at(self, confidence: float) -> Found:
        """Those with at least this score."""
        keep = self.scores >= np.float32(confidence)
        return Found(self.boxes[keep], self.scores[keep], self.points[keep], self.scale)


def letterbox(picture: Picture, side: int = SIDE) -> tuple[Picture, float]:
    """(side, side, 3) uint8 canvas with the picture at its top left, and the scale."""
    height, width = picture.shape[:2]
    ratio = height / width
    new_height, new_width = (side, int(side / ratio)) if ratio > 1 else (int(side * ratio), side)
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[:new_height, :new_width] = cv2.resize(picture, (new_width, new_height))
    return canvas, new_height / height


def suppress(boxes: Floats, scores: Floats, overlap: float = OVERLAP) -> list[int]:
    """Greedy NMS over (N, 4) boxes, areas with +1: indices kept, best first."""
    order = np.argsort(-scores, kind="stable")
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.prod(np.clip(high - low + 1, 0, None), axis=1)
        order = rest[shared / (area[first] + area[rest] - shared) <= overlap]
    return kept


class OnnxDetector:
    """One model file on the CPU."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.name = path.stem
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.serving = self.input.type == "tensor(uint8)"

    def heads(self, canvas: Picture) -> list[Floats]:
        """Nine arrays (anchors, 1|4|10): scores, boxes and landmarks by stride."""
        if self.serving:
            fed = canvas[None]
        else:
            rgb = canvas[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
            fed = np.ascontiguousarray((rgb - 127.5) / 128)
        outputs = self.session.run(None, {self.input.name: fed})
        return [np.asarray(out, np.float32).reshape(-1, out.shape[-1]) for out in outputs]

    def detect(self, picture: Picture, confidence: float) -> Found:
        """Faces of a (H, W, 3) uint8 BGR photograph with at least this score, best first."""
        canvas, scale = letterbox(picture)
        boxes, scores, points = decode(self.heads(canvas), canvas.shape[0], confidence)
        boxes, points = boxes / np.float32(scale), points / np.float32(scale)
        kept = suppress(boxes, scores)
        return Found(boxes[kept], scores[kept], points[kept], scale)


def decode(heads: list[Floats], side: int, confidence: float) -> tuple[Floats, Floats, Floats]:
    """Nine heads of one canvas -> boxes (N, 4), scores (N,), points (N, 5, 2) in its pixels."""
    boxes, scores, points = [], [], []
    for place, stride in enumerate(STRIDES):
        score = heads[place][:, 0]
        keep = score >= np.float32(confidence)
        centre = anchor_centres((side, side), stride)[keep]
        reach = heads[3 + place][keep] * stride
        offset = heads[6 + place][keep].reshape(-1, 5, 2) * stride
        boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1))
        scores.append(score[keep])
        points.append(centre[:, None] + offset)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
