"""What FACE_API_SCALED_JPEG spares and what it changes: processor time and faces, full decoding against scaled.

`python -m loadtest.scaled_jpeg FOLDER`: every photograph of the folder as a JPEG of 1080p and of 12 MP, enlarged
where it is smaller; the faces are those of the chosen model in fp32, judged as the int8 gate judges.
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

from gateway.pictures.image_header import read_header
from gateway.pictures.picture_work import open_picture
from loadtest.bare import NMS_THRESHOLD, Looker
from loadtest.pictures import JPEG_QUALITY
from models.ensure import ensure
from models.proving.gate import CONFIDENCE, PARTNER_CONFIDENCE, Accuracy, Tally, add_picture
from models.served.facts import load
from shared.faces import FloatArray
from shared.settings import Settings
from worker.scrfd import Question, View, detect

#: Longer sides by name; the picture keeps its aspect.
SIZES = {"1080p": 1920, "12 MP": 4000}
WAYS = {False: Settings(), True: Settings(scaled_jpeg=True)}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One size: processor milliseconds a picture for decoding and fitting, medians; and the change of faces."""

    size: str
    pictures: int
    full_ms: float
    scaled_ms: float
    faces: Accuracy


def enlarged(paths: list[Path], longest: int) -> Iterator[bytes]:
    """The photographs as JPEG files with this longer side."""
    for path in paths:
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if stored is None:
            continue
        factor = longest / max(stored.shape[:2])
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(stored, None, fx=factor, fy=factor, interpolation=way)
        yield cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def seen(looker: Looker, data: bytes, side: int, *, scaled: bool) -> tuple[FloatArray, float]:
    """Packed faces down to PARTNER_CONFIDENCE in pixels of the network's input, and milliseconds until the crop."""
    begin = time.process_time()
    opened = open_picture(memoryview(data), read_header(memoryview(data)), (side,), WAYS[scaled], to_mask=False)
    spent_ms = (time.process_time() - begin) * 1000
    (crop,) = opened.crops
    rows, columns = crop.pixels.shape[:2]
    question = Question(PARTNER_CONFIDENCE, NMS_THRESHOLD, 0, columns, rows)
    return detect([(looker.look([crop.pixels]), 0, View(rows, columns, 1.0))], question).packed(), spent_ms


def measure(looker: Looker, paths: list[Path], size: str, side: int) -> Row:
    """Every photograph at one size, both ways in turn."""
    tally, spent = Tally(), {False: [0.0], True: [0.0]}
    for data in enlarged(paths, SIZES[size]):
        full, full_ms = seen(looker, data, side, scaled=False)
        other, scaled_ms = seen(looker, data, side, scaled=True)
        spent[False].append(full_ms)
        spent[True].append(scaled_ms)
        add_picture(tally, full[full[:, 4] >= np.float32(CONFIDENCE)], other)
    full_median, scaled_median = (statistics.median(spent[way][1:] or [float("nan")]) for way in (False, True))
    return Row(
        size=size,
        pictures=tally.pictures,
        full_ms=round(full_median, 2),
        scaled_ms=round(scaled_median, 2),
        faces=tally.accuracy(),
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| size | pictures | full ms | scaled ms | faces | lost | gained | score drift p95 | box drift p95 |"]
    lines.append("| --- |" + " --- |" * 8)
    for row in rows:
        faces = row.faces
        lines.append(
            f"| {row.size} | {row.pictures} | {row.full_ms:.1f} | {row.scaled_ms:.1f} | {faces.faces} | {faces.lost} "
            f"| {faces.gained} | {faces.score_drift:.3f} | {faces.box_drift_px:.2f} px, {faces.box_drift_share:.1%} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.scaled_jpeg", description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs with faces")
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    parser.add_argument("--model-dir", default="", help="as FACE_API_MODEL_DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    settings = Settings(model=options.model, model_dir=options.model_dir, precision="fp32")
    model = load(ensure(settings, lambda words: print(words, file=sys.stderr)).path)
    paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    cv2.setNumThreads(1)
    looker = Looker(model, 1)
    rows = [measure(looker, paths, size, model.info.input_side) for size in SIZES]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
