"""Pictures whose faces are known, for the beacon network: every answer can be checked against its own picture."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.networks import beacon_faces, beacon_network, beacon_picture

#: The network's input, and the pictures': places are exact then.
SIDE = 192
CELL = 32
BOX_TOLERANCE_PX, SCORE_TOLERANCE = 1.0, 0.01


@dataclass(frozen=True)
class Known:
    """A picture file and its faces: ([x1, y1, x2, y2], score), best first."""

    file: bytes
    faces: list[tuple[list[float], float]]

    def wrong(self, answer: dict[str, Any]) -> str:
        """What is wrong with an answer's faces; empty when they are this picture's."""
        found = answer["detections"]
        if len(found) != len(self.faces):
            return f"{len(found)} faces instead of {len(self.faces)}"
        for detection, (box, score) in zip(found, self.faces, strict=True):
            corners = [detection["bbox"][name] for name in ("x1", "y1", "x2", "y2")]
            if max(abs(a - b) for a, b in zip(corners, box, strict=True)) > BOX_TOLERANCE_PX:
                return f"a face at {corners} instead of {box}"
            if abs(detection["confidence"] - score) > SCORE_TOLERANCE:
                return f"a score of {detection['confidence']} instead of {score}"
        return ""


def gallery(count: int, seed: int = 0, noise_bytes: int = 0) -> list[Known]:
    """Different pictures of one to five faces. noise_bytes: the files are made about this much larger."""
    numbers = random.Random(seed)
    return [_picture(numbers, noise_bytes) for _ in range(count)]


def _picture(numbers: random.Random, noise_bytes: int) -> Known:
    cells = numbers.sample([(x, y) for x in range(5) for y in range(5)], numbers.randint(1, 5))
    scores = numbers.sample(range(55, 95, 4), len(cells))
    faces = [
        (x * CELL + 20.0, y * CELL + 20.0, float(numbers.randint(12, 40)), score / 100)
        for (x, y), score in zip(cells, scores, strict=True)
    ]
    encoded, file = cv2.imencode(".png", beacon_picture(faces, SIDE, SIDE, SIDE))
    assert encoded
    return Known(_heavier(file.tobytes(), noise_bytes), beacon_faces(faces, SIDE, SIDE, SIDE))


def _heavier(file: bytes, count: int) -> bytes:
    """The same PNG with a private chunk of random bytes before its end: as long as a photograph, as quick to decode."""
    if not count:
        return file
    import zlib

    kind, data = b"noSe", np.random.default_rng(len(file)).bytes(count)
    chunk = len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    return file[:-12] + chunk + file[-12:]


def network(folder: Path) -> Path:
    return beacon_network(folder / "beacon.onnx", side=SIDE)


def settings(folder: Path, **more: object) -> dict[str, object]:
    """A service with the beacon network, access control off."""
    path = folder / "beacon.onnx"
    return {
        "model": path if path.exists() else network(folder),
        "input_side": SIDE,
        "mask_second_side": 0,
        "log_level": "warning",
    } | more
