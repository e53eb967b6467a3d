"""What FACE_API_TRIM_PADDING spares and what it changes: processor time and faces, whole inputs against trimmed.

`python -m loadtest.trim_padding FOLDER`: every photograph of the folder as it is, and cut to 16:9 around its middle,
through the worker's own pipeline; the faces are judged as the int8 gate judges.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np

from loadtest.bare import NMS_THRESHOLD
from models.gate import CONFIDENCE, PARTNER_CONFIDENCE, Accuracy, Tally, add_picture
from models.reference import Pixels, fitted, letterbox
from models.serving import ensure, load
from models.trim import part_of
from shared.faces import FloatArray
from shared.messages import CropHeader, Request
from shared.settings import Settings
from worker.detector import OnnxDetector
from worker.pipeline import Pipeline


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One shape: mean share of the input that is run, processor milliseconds a picture (medians), change of faces."""

    shape: str
    pictures: int
    share: float
    whole_ms: float
    trimmed_ms: float
    faces: Accuracy


def as_they_are(picture: Pixels) -> Pixels:
    return picture


def wide(picture: Pixels) -> Pixels:
    """Its middle at 16:9, lying or standing as it does; wider ones stay as they are."""
    height, width = picture.shape[:2]
    if height > width:
        return np.ascontiguousarray(wide(picture.transpose(1, 0, 2)).transpose(1, 0, 2))
    rows = min(height, width * 9 // 16)
    top = (height - rows) // 2
    return np.ascontiguousarray(picture[top : top + rows])


SHAPES: dict[str, Callable[[Pixels], Pixels]] = {"as they are": as_they_are, "16:9": wide}


def photographs(folder: Path) -> Iterator[Pixels]:
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.suffix.lower() in (".jpg", ".jpeg", ".png") else None
        if picture is not None:
            yield np.asarray(picture, np.uint8)


def seen(pipeline: Pipeline, crop: Pixels, side: int) -> tuple[FloatArray, float]:
    """Packed faces down to PARTNER_CONFIDENCE in pixels of the input, and processor milliseconds."""
    rows, cols = crop.shape[:2]
    header = CropHeader(rows, cols, side, 1.0)
    request = Request(1, 60_000, PARTNER_CONFIDENCE, NMS_THRESHOLD, 0, cols, rows, (header,))
    begin = time.process_time()
    (found,) = pipeline.run([(request, [crop])])
    spent_ms = (time.process_time() - begin) * 1000
    assert found.faces is not None, found.error
    return found.faces.packed(), spent_ms


def measure(whole: Pipeline, trimmed: Pipeline, pictures: list[Pixels], shape: str, side: int) -> Row:
    """Every photograph in one shape, both ways in turn."""
    tally, shares = Tally(), [0.0]
    spent: tuple[list[float], list[float]] = [0.0], [0.0]
    for picture in map(SHAPES[shape], pictures):
        rows, cols = fitted(picture, side)
        crop = letterbox(picture, side)[0][:rows, :cols]
        full, full_ms = seen(whole, crop, side)
        other, trimmed_ms = seen(trimmed, crop, side)
        spent[0].append(full_ms)
        spent[1].append(trimmed_ms)
        height, width = part_of(rows, cols, side)
        shares.append(height * width / side**2)
        add_picture(tally, full[full[:, 4] >= np.float32(CONFIDENCE)], other)
    return Row(
        shape=shape,
        pictures=tally.pictures,
        share=round(statistics.mean(shares[1:] or [1.0]), 3),
        whole_ms=round(statistics.median(spent[0][1:] or [float("nan")]), 2),
        trimmed_ms=round(statistics.median(spent[1][1:] or [float("nan")]), 2),
        faces=tally.accuracy(),
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| shape | pictures | run | whole ms | trimmed ms | faces | lost | gained | score drift p95 | box drift p95 |"
    ]
    lines.append("| --- |" + " --- |" * 9)
    for row in rows:
        faces = row.faces
        lines.append(
            f"| {row.shape} | {row.pictures} | {row.share:.0%} | {row.whole_ms:.1f} | {row.trimmed_ms:.1f} "
            f"| {faces.faces} | {faces.lost} | {faces.gained} | {faces.score_drift:.4f} "
            f"| {faces.box_drift_px:.2f} px, {faces.box_drift_share:.1%} |"
        )
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
    detector, side = OnnxDetector(model.path, 1), model.info.input_side
    whole, trimmed = (Pipeline(detector, 1, lambda _: None, trims=trims) for trims in (False, True))
    pictures = list(photographs(options.folder))
    rows = [measure(whole, trimmed, pictures, shape, side) for shape in SHAPES]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
