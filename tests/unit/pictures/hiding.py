"""Does a mask hide? Photographs go through detection, masking and encoding, and are looked at again.

Detection is the reference's own pipeline on a published model, independent of gateway and worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.regions import Region, regions
from models.preparing.export import read_export, serving_form
from models.proving.reference import Reference, candidates, kept, letterbox
from shared.canary import canary_picture
from shared.faces import Faces
from tests.hostile.gallery import Gallery

SHARED = Path(__file__).resolve().parents[4] / "shared"
OPEN_MODEL = Path(__file__).resolve().parents[3] / "models" / "open" / "scrfd_500m_open.onnx"
SIDES = (640, 160)
CONFIDENCE, KNOWN_AT = 0.5, 0.3


class Detector:
    """A model's answer over both sides under one NMS, as mask asks for it."""

    def __init__(self, path: Path) -> None:
        self._reference = Reference(serving_form(read_export(path), 640, 1).SerializeToString(), 1)

    def faces(self, pixels: np.ndarray, confidence: float = CONFIDENCE, sides: tuple[int, ...] = SIDES) -> Faces:
        """In pixels of `pixels`, (H, W, 3) uint8 BGR."""
        rows = []
        for side in sides:
            canvas, scale = letterbox(pixels, side)
            rows.append(candidates(self._reference.heads(canvas), side, side, confidence, scale))
        joined = np.concatenate(rows)
        joined = joined[np.argsort(-joined[:, 4], kind="stable")]
        return Faces.unpacked(joined[list(kept(joined, 0.4))])


@dataclass(frozen=True, slots=True)
class Photograph:
    """One picture, and what the detector finds on it."""

    name: str
    data: bytes
    pixels: np.ndarray
    faces: Faces
    known: Faces


def detectors() -> dict[str, Detector]:
    """The published models where they are at hand, else the open one."""
    published = sorted((SHARED / "models").glob("*.onnx")) if (SHARED / "models").is_dir() else []
    return {path.stem: Detector(path) for path in published or [OPEN_MODEL]}


def photographs(detector: Detector, pattern: str = "*.*") -> Iterator[Photograph]:
    """Those of `../shared/photos`; the drawn canary picture where there are none."""
    folder = SHARED / "photos"
    if not folder.is_dir():
        yield photograph_of("canary", cv2.imencode(".png", canary_picture())[1].tobytes(), detector)
        return
    for path in sorted(folder.glob(pattern)):
        yield photograph_of(path.name, path.read_bytes(), detector)


def photograph_of(name: str, data: bytes, detector: Detector) -> Photograph:
    """What a file shows, and what the detector finds on it."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    found = np.asarray(pixels)
    return Photograph(name, data, found, detector.faces(found), detector.faces(found, KNOWN_AT))


def masked_pixels(gallery: Gallery, photograph: Photograph, options: MaskOptions) -> np.ndarray:
    """The service's answer, decoded, (H, W, 3) BGR."""
    picture = gallery.open(photograph.data, to_mask=True)
    try:
        answer = gallery.run(picture.mask(Marks.all_of(photograph.faces), options))
    finally:
        picture.close()
    pixels = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels)


def hidden_by(photograph: Photograph, options: MaskOptions) -> list[Region]:
    height, width = photograph.pixels.shape[:2]
    return regions(photograph.faces.boxes, options.padding, width, height)


def still_seen(photograph: Photograph, masked: np.ndarray, detector: Detector, options: MaskOptions) -> list[str]:
    """Faces that detect finds at 0.5 on the masked picture and should not: inside a mask, or not known at 0.3.

    One look at 640, as detect has it. On a far smaller copy a blurred face still looks like some face: with the
    second side as well, scores up to 0.63 remain on the largest portraits; solid and erase leave none.
    """
    hidden, wrong = hidden_by(photograph, options), []
    again = detector.faces(masked, sides=SIDES[:1])
    for box, score in zip(again.boxes, again.scores, strict=True):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        where = f"{photograph.name} at {x:.0f},{y:.0f}: {score:.2f}"
        if any(region.left <= x < region.right and region.top <= y < region.bottom for region in hidden):
            wrong.append(f"inside a mask: {where}")
        elif not any(k[0] <= x <= k[2] and k[1] <= y <= k[3] for k in photograph.known.boxes):
            wrong.append(f"not known before: {where}")
    return wrong


def changed_outside(photograph: Photograph, masked: np.ndarray, options: MaskOptions) -> int:
    """How many pixels outside all regions differ from the photograph."""
    differs = (masked != photograph.pixels).any(axis=2)
    for region in hidden_by(photograph, options):
        region.of(differs)[:] = False
    return int(differs.sum())
