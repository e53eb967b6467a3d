"""What FACE_API_SCALED_JPEG spares and what it changes: processor time and faces, whole decoding against smaller.

`python -m loadtest.scaled_jpeg FOLDER`: every photograph of the folder as a JPEG of 720p, 1080p, 5 and 12 MP, enlarged
where it is smaller; the faces are those of the chosen model in fp32, judged as the int8 gate judges. Where the folder
has labels.json, as `make eval` reads it, the development half of its photographs is judged by what is true, too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
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
from models.training.judge import sets
from models.training.judge.measure import judge
from models.training.judge.sets import Photograph
from shared.faces import FloatArray
from shared.settings import Settings
from worker.scrfd import Question, View, detect

#: Longer sides by name; the picture keeps its aspect.
SIZES = {"720p": 1280, "1080p": 1920, "5 MP": 2592, "12 MP": 4000}
#: A labelled face of fewer pixels, root of the area in the network's input, is not asked for.
SMALLEST_PX = 16


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One size decoded one way: median processor milliseconds of decoding and fitting, and what became of the faces.

    accuracy: against whole decoding. labelled, found: true faces, 0 without labels; false: findings that are none.
    """

    size: str
    scaled_jpeg: str
    pictures: int
    cpu_ms: float
    accuracy: Accuracy
    labelled: int
    found: int
    false: int


@dataclass(slots=True)
class Count:
    """What came of one way so far."""

    tally: Tally = field(default_factory=Tally)
    spent_ms: list[float] = field(default_factory=list)
    labelled: int = 0
    found: int = 0
    false: int = 0


def enlarged(path: Path, longest: int) -> tuple[bytes, float] | None:
    """The photograph as a JPEG file with this longer side, and its pixels for one of the photograph's."""
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        return None
    factor = longest / max(stored.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(stored, None, fx=factor, fy=factor, interpolation=way)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes(), factor


def seen(looker: Looker, data: bytes, side: int, reach: int) -> tuple[FloatArray, float, float]:
    """Packed faces down to PARTNER_CONFIDENCE in pixels of the network's input, its pixels for one of the file's, and
    milliseconds until the crop.
    """
    begin = time.process_time()
    view = memoryview(data)
    opened = open_picture(view, read_header(view), (side,), Settings(), to_mask=False, reach=reach)
    spent_ms = (time.process_time() - begin) * 1000
    (crop,) = opened.crops
    rows, columns = crop.pixels.shape[:2]
    question = Question(PARTNER_CONFIDENCE, NMS_THRESHOLD, 0, columns, rows)
    faces = detect([(looker.look(crop.pixels), 0, View(rows, columns, 1.0))], question).packed()
    return faces, crop.scale, spent_ms


def measure(looker: Looker, photographs: Iterable[Photograph], size: str, side: int) -> list[Row]:
    """Every photograph at one size, all ways in turn."""
    counts: dict[str, Count] = defaultdict(Count)
    for one in photographs:
        if (made := enlarged(one.path, SIZES[size])) is None:
            continue
        data, factor = made
        whole: FloatArray | None = None
        for way, reach in (("false", 0), ("true", side)):
            faces, scale, spent_ms = seen(looker, data, side, reach)
            sure = faces[faces[:, 4] >= np.float32(CONFIDENCE)]
            whole = sure if whole is None else whole
            counts[way].spent_ms.append(spent_ms)
            add_picture(counts[way].tally, whole, faces)
            _judge(counts[way], one, sure, factor * scale)
    return [_row(size, way, count) for way, count in counts.items()]


def _judge(count: Count, one: Photograph, found: FloatArray, scale: float) -> None:
    """scale: pixels of the network's input for one of the photograph's."""
    verdict = judge(found[:, :4] / np.float32(scale), one.faces, one.loose, scale)
    wanted = verdict.sizes >= SMALLEST_PX
    count.labelled += int(wanted.sum())
    count.found += int(verdict.found[wanted].sum())
    count.false += int(verdict.false.sum())


def _row(size: str, way: str, count: Count) -> Row:
    return Row(
        size=size,
        scaled_jpeg=way,
        pictures=count.tally.pictures,
        cpu_ms=round(statistics.median(count.spent_ms), 2),
        accuracy=count.tally.accuracy(),
        labelled=count.labelled,
        found=count.found,
        false=count.false,
    )


def table(rows: list[Row]) -> str:
    """Markdown."""
    names = "size | scaled_jpeg | pictures | CPU ms | faces | lost | gained | score drift p95 | box drift p95 | true"
    lines = [f"| {names} | false |", "|" + " --- |" * 11]
    for row in rows:
        faces = row.accuracy
        true, false = (f"{row.found} of {row.labelled}", str(row.false)) if row.labelled else ("", "")
        lines.append(
            f"| {row.size} | {row.scaled_jpeg} | {row.pictures} | {row.cpu_ms:.1f} | {faces.faces} | {faces.lost} "
            f"| {faces.gained} | {faces.score_drift:.3f} | {faces.box_drift_px:.2f} px, {faces.box_drift_share:.1%} "
            f"| {true} | {false} |"
        )
    return "\n".join(lines)


def photographs_of(folder: Path) -> list[Photograph]:
    """The development half of those with labels; where there are none, all in the folder, of which nothing is true."""
    if labelled := [one for one in sets.everyday(folder) if not one.release]:
        return labelled
    return sets.without_people(sets.pictures_in(folder))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.scaled_jpeg", description=__doc__)
    parser.add_argument("folder", type=Path, help="photographs with faces")
    parser.add_argument("--model", default="auto", help="as FACE_API_MODEL")
    parser.add_argument("--model-dir", default="", help="as FACE_API_MODEL_DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    settings = Settings(model=options.model, model_dir=options.model_dir, precision="fp32")
    model = load(ensure(settings, lambda words: print(words, file=sys.stderr)).path)
    photographs = photographs_of(options.folder)
    cv2.setNumThreads(1)
    looker = Looker(model, 1)
    rows = [row for size in SIZES for row in measure(looker, photographs, size, model.info.input_side)]
    print(msgspec.json.encode(rows).decode() if options.json else table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
