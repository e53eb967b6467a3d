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
from models.served.trim import Trimming, part_of
from shared.cells import CLOSER_SHEETS, Cut, SheetLayout
from shared.choice import suppressed
from shared.doubts import TELLING, agreed, convincing_from, doubted_from, parted
from shared.faces import Faces

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


@dataclass(frozen=True)
class Canvas:
    """A photograph fitted to a square of side × side. pixels: (rows, columns, 3) uint8 BGR, without the black beside.

    scale: canvas pixels to one photograph pixel.
    """

    pixels: Picture
    scale: float
    side: int

    def shown(self, height: int, width: int) -> Picture:
        """(height, width, 3): the top left of the square, black beside the photograph."""
        part = np.zeros((height, width, 3), np.uint8)
        rows, columns = self.pixels.shape[:2]
        part[:rows, :columns] = self.pixels
        return part


def letterbox(picture: Picture, side: int = SIDE) -> Canvas:
    """The picture as large as the square allows."""
    height, width = picture.shape[:2]
    ratio = height / width
    new_height, new_width = (side, int(side / ratio)) if ratio > 1 else (int(side * ratio), side)
    fitted = np.asarray(cv2.resize(picture, (max(1, new_width), max(1, new_height))), np.uint8)
    return Canvas(fitted, fitted.shape[0] / height, side)


def sheet(layout: SheetLayout, picture: Picture) -> Picture:
    """Doubted finds side by side, as gateway/dispatching/sheets.py paints them for a closer network."""
    side = CLOSER_SHEETS.cell
    pixels = np.zeros((layout.rows, layout.side, 3), np.uint8)
    for (x, y), cut in zip(layout.corners, layout.cuts, strict=True):
        pixels[y : y + side, x : x + side] = cell(cut, picture, side)
    return pixels


def cell(cut: Cut, picture: Picture, side: int) -> Picture:
    """(side, side, 3): what is shown of one find."""
    pixels = np.zeros((side, side, 3), np.uint8)
    part, place = picture[cut.rows, cut.cols], pixels[cut.down, cut.across]
    blended = cv2.INTER_LINEAR if cut.nearer else cv2.INTER_AREA
    cv2.resize(part, place.shape[1::-1], dst=place, interpolation=blended)
    return pixels


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
    """One model file on the CPU. trimming: of what it is shown, as a worker shows it; None for the whole square.

    source: sum of the file that it was made of, where it was made of another. closer: what looks closer for it, as for
    detect; None to look once.
    """

    closer: OnnxDetector | None = None

    def __init__(self, path: Path, threads: int = 2, trimming: Trimming | None = None, side: int = SIDE) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = path.stem
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.serving = self.input.type == "tensor(uint8)"
        self.trimming, self.side, self.source = trimming, side, ""

    def heads(self, shown: Picture) -> list[Floats]:
        """Nine arrays (anchors, 1|4|10): scores, boxes and landmarks by stride."""
        if self.serving:
            fed = shown[None]
        else:
            rgb = shown[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
            fed = np.ascontiguousarray((rgb - 127.5) / 128)
        outputs = self.session.run(None, {self.input.name: fed})
        return [np.asarray(out, np.float32).reshape(-1, out.shape[-1]) for out in outputs]

    def part(self, canvas: Canvas) -> Picture:
        """What the network is shown of a canvas."""
        rows, columns = canvas.pixels.shape[:2]
        return canvas.shown(*part_of(rows, columns, canvas.side, self.trimming))

    def look(self, canvas: Canvas, confidence: float) -> Found:
        """Faces of a canvas with at least this score, best first, in pixels of its photograph."""
        shown = self.part(canvas)
        faces = self._found(shown, doubted_from(confidence, TELLING) if self.closer else confidence)
        if self.closer:
            faces = self._told(faces, canvas, confidence, self.closer)
        assert faces.landmarks is not None
        scale = np.float32(canvas.scale)
        return Found(faces.boxes / scale, faces.scores, faces.landmarks / scale, canvas.scale)

    def _found(self, shown: Picture, confidence: float) -> Faces:
        boxes, scores, points = decode(self.heads(shown), (shown.shape[0], shown.shape[1]), confidence)
        return Faces(boxes, scores, points).taken(np.array(suppress(boxes, scores), np.intp))

    def _told(self, faces: Faces, canvas: Canvas, confidence: float, closer: OnnxDetector) -> Faces:
        """Those that both looks tell to be faces."""
        sure, doubted = parted(faces, confidence, CLOSER_SHEETS.most_of(canvas.side), TELLING, scale=1.0)
        if not len(doubted):
            return sure
        rows, columns = canvas.pixels.shape[:2]
        layouts = CLOSER_SHEETS.laid_out(doubted.boxes, (columns, rows), canvas.side)
        seen = Faces.joined([closer._seen_in(layout, canvas.pixels, confidence) for layout in layouts])
        places = np.concatenate([layout.boxes for layout in layouts])
        return suppressed(Faces.joined([sure, agreed(doubted, places, seen, confidence, TELLING)]), OVERLAP)

    def _seen_in(self, layout: SheetLayout, picture: Picture, confidence: float) -> Faces:
        """What may convince, in pixels of the row of sheets."""
        seen = self._found(sheet(layout, picture), convincing_from(confidence, TELLING))
        return Faces(seen.boxes + np.array([layout.x, 0] * 2, np.float32), seen.scores, seen.landmarks)

    def detect(self, picture: Picture, confidence: float) -> Found:
        """Faces of a (H, W, 3) uint8 BGR photograph with at least this score, best first."""
        return self.look(letterbox(picture, self.side), confidence)


def decode(heads: list[Floats], size: tuple[int, int], confidence: float) -> tuple[Floats, Floats, Floats]:
    """Nine heads of what was shown, (height, width) -> boxes (N, 4), scores (N,), points (N, 5, 2) in its pixels."""
    boxes, scores, points = [], [], []
    for place, stride in enumerate(STRIDES):
        score = heads[place][:, 0]
        keep = score >= np.float32(confidence)
        centre = anchor_centres(size, stride)[keep]
        reach = heads[3 + place][keep] * stride
        offset = heads[6 + place][keep].reshape(-1, 5, 2) * stride
        boxes.append(np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1))
        scores.append(score[keep])
        points.append(centre[:, None] + offset)
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
