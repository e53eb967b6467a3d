"""What FACE_API_TRIM_PADDING spares and what it changes: processor time and faces, whole inputs against trimmed.

`python -m loadtest.trim_padding FOLDER`: every photograph of the folder and the same turned by a quarter, as they are
and cut to wider shapes around their middle, through the worker's own pipeline.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np

from loadtest.bare import NMS_THRESHOLD
from models.ensure import ensure
from models.preparing.trimmed import PARTNER_CONFIDENCE, largest_change, strong
from models.proving.reference import Pixels, fitted, letterbox
from models.served.facts import load
from models.served.trim import part_of
from shared.faces import FloatArray
from shared.messages import CropHeader, Request
from shared.settings import Settings
from worker.detector import OnnxDetector
from worker.pipeline import Pipeline

#: Longer side to shorter one; 0 leaves a photograph as it is.
SHAPES = {"as they are": 0.0, "3:2": 3 / 2, "16:9": 16 / 9, "2:1": 2.0, "21:9": 21 / 9}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One shape: pictures of which a part is run, and of these the mean share of the square, the medians of processor
    milliseconds, the faces at CONFIDENCE, and the largest change of one that either way finds: of its score, and of a
    side of its box in pixels of the photograph. infinity: one way finds none.
    """

    shape: str
    trimmed: int
    share: float
    whole_ms: float
    trimmed_ms: float
    faces: int
    score_change: float
    box_change_px: float


def cut(picture: Pixels, ratio: float) -> Pixels:
    """Its middle at this ratio, lying or standing as it does; wider ones stay as they are."""
    height, width = picture.shape[:2]
    if height > width:
        return np.ascontiguousarray(cut(picture.transpose(1, 0, 2), ratio).transpose(1, 0, 2))
    rows = min(height, round(width / ratio)) if ratio else height
    top = (height - rows) // 2
    return np.ascontiguousarray(picture[top : top + rows])


def photographs(folder: Path) -> Iterator[Pixels]:
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.suffix.lower() in (".jpg", ".jpeg", ".png") else None
        if picture is not None:
            yield np.asarray(picture, np.uint8)
            yield np.asarray(cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE), np.uint8)


def seen(pipeline: Pipeline, crop: Pixels, side: int, scale: float) -> tuple[FloatArray, float]:
    """Packed faces down to PARTNER_CONFIDENCE in pixels of the photograph, and processor milliseconds."""
    rows, cols = crop.shape[:2]
    header = CropHeader(rows, cols, side, scale)
    request = Request(1, 60_000, PARTNER_CONFIDENCE, NMS_THRESHOLD, 0, cols, rows, (header,))
    begin = time.process_time()
    (found,) = pipeline.run([(request, [crop])])
    spent_ms = (time.process_time() - begin) * 1000
    assert found.faces is not None, found.error
    return found.faces.packed(), spent_ms


def measure(whole: Pipeline, trimmed: Pipeline, pictures: list[Pixels], shape: str, side: int) -> Row:
    """Every photograph in one shape, both ways in turn."""
    faces, shares, scores, boxes = 0, [0.0], [0.0], [0.0]
    spent: tuple[list[float], list[float]] = [], []
    for picture in (cut(picture, SHAPES[shape]) for picture in pictures):
        rows, cols = fitted(picture, side)
        height, width = part_of(rows, cols, side, trimmed.trimming)
        if (height, width) == (side, side):
            continue
        canvas, scale = letterbox(picture, side)
        crop = canvas[:rows, :cols]
        if not spent[0]:  # what a first run allocates is not counted
            seen(whole, crop, side, scale)
            seen(trimmed, crop, side, scale)
        full, full_ms = seen(whole, crop, side, scale)
        other, trimmed_ms = seen(trimmed, crop, side, scale)
        spent[0].append(full_ms)
        spent[1].append(trimmed_ms)
        shares.append(height * width / side**2)
        faces += len(strong(full))
        for score, box in (largest_change(strong(full), other), largest_change(strong(other), full)):
            scores.append(score)
            boxes.append(box)
    return Row(
        shape=shape,
        trimmed=len(spent[0]),
        share=round(statistics.mean(shares[1:] or [1.0]), 3),
        whole_ms=round(statistics.median(spent[0] or [float("nan")]), 2),
        trimmed_ms=round(statistics.median(spent[1] or [float("nan")]), 2),
        faces=faces,
        score_change=round(max(scores), 5),
        box_change_px=round(max(boxes), 3),
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| shape | trimmed pictures | run | whole ms | trimmed ms | faces | largest change |",
        "| --- |" + " --- |" * 6,
    ]
    lines += [
        f"| {row.shape} | {row.trimmed} | {row.share:.0%} | {row.whole_ms:.1f} | {row.trimmed_ms:.1f} "
        f"| {row.faces} | {row.score_change:.4f}, {row.box_change_px:.2f} px |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.trim_padding", description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs with faces")
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    parser.add_argument("--model-dir", default="", help="as FACE_API_MODEL_DIR")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "int8"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    settings = Settings(
        model=options.model, model_dir=options.model_dir, precision=options.precision, accelerator="cpu"
    )
    model = load(ensure(settings, lambda words: print(words, file=sys.stderr)).path)
    trimming, side = model.info.trimming, model.info.input_side
    if trimming is None:
        raise SystemExit(f"{model.info.name} is always run whole")
    detector = OnnxDetector(model.path, 1, trimming)
    whole, trimmed = (Pipeline(detector, 1, lambda _: None, trimming=how) for how in (None, trimming))
    pictures = list(photographs(options.folder))
    rows = [measure(whole, trimmed, pictures, shape, side) for shape in SHAPES]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
