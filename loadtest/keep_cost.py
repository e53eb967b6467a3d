"""What `quality=keep` costs beside encoding anew and beside `jpegtran -drop`: the same boxes, one run.

`python -m loadtest.keep_cost PHOTOS` makes 12-megapixel JPEGs and masks them three ways: the service's picture
children with quality=95 and with quality=keep; and as scripts do it who have only a command line: decode, blur, encode
each box, and `jpegtran -drop` it onto the file (Debian: libjpeg-turbo-progs; left out where it is not there). With
`--faces own` it masks the JPEGs of the folder as they are, where the open model finds faces. CPU time over this process
and whatever it starts, means over pictures. The ways take turns, all pictures at a time after one that does not count:
a way leaves memory to the next as it needed it. Finding the faces is in none of them, fitting the picture for that is
in all. The service works as with the open model, which lets it decode smaller what is kept and leave in planes what is
not; with --exactly as official models want it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture import Pictures, open_pictures
from gateway.pictures.regions import Region
from loadtest.bare import Looker, Opener
from loadtest.pictures import SIZES, Kind, make
from models.ensure import ensure
from models.served.facts import load
from shared.faces import Faces
from shared.settings import Settings

SIZE = "12mp"
#: By name: columns and rows of faces, and the part of its cell's sides that a face takes.
CROWDS = {"few": (3, 1, 0.4, 0.25), "small": (3, 1, 0.12, 0.07), "many": (16, 9, 0.5, 0.5)}
#: Those that are there.
OWN = "own"
#: A cell of the coarsest grid that common subsamplings have.
_CELL = 16


@dataclass(frozen=True, slots=True)
class Job:
    """One file and the boxes (N, 4) to hide on it."""

    file: Path
    boxes: NDArray[np.float32]


Way = Callable[[Job], Awaitable[int]]


async def main() -> None:
    options, settings = _options(), Settings(decode_processes=1)
    pictures = await open_pictures(settings)
    reach = 0 if options.exactly else settings.input_side
    ways: dict[str, Way] = {
        "quality=95": lambda job: _by_service(pictures, job, MaskOptions(padding=0), planar=not options.exactly),
        "quality=keep": lambda job: _by_service(pictures, job, MaskOptions(padding=0, quality=KEEP), reach),
    }
    if shutil.which(options.jpegtran):
        ways["jpegtran -drop"] = lambda job: asyncio.to_thread(_by_jpegtran, options.jpegtran, job)
    else:
        print(f"without {options.jpegtran}, which is not there: apt install libjpeg-turbo-progs", file=sys.stderr)
    print(f"{'faces':7} {'way':15} {'pictures':>8} {'CPU ms':>8} {'of quality=95':>14} {'bytes':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for crowd in options.faces:
            await _compare(crowd, ways, _jobs(crowd, options.photos, Path(folder)), pictures, options.rounds)
    await pictures.aclose()


def _jobs(crowd: str, photos: Path | None, folder: Path) -> list[Job]:
    if crowd != OWN:
        files = make(Kind(SIZE, "many" if crowd == "many" else "few"), folder / crowd, photos)
        return [Job(file, _boxes(crowd)) for file in files]
    if photos is None:
        sys.exit("--faces own wants a folder of photographs")
    model = load(ensure(Settings(), lambda words: print(words, file=sys.stderr)).path)
    opener, looker = Opener(model.info.input_side), Looker(model, 1)
    jobs = []
    for file in sorted([*photos.rglob("*.jpg"), *photos.rglob("*.jpeg")]):
        fitted = opener.open(file.read_bytes())
        faces = looker.faces(looker.look(fitted.pixels), 0, fitted)
        jobs += [Job(file, faces.boxes)] * bool(len(faces))
    return jobs


async def _compare(crowd: str, ways: dict[str, Way], jobs: list[Job], pictures: Pictures, rounds: int) -> None:
    spent: dict[str, list[float]] = {name: [] for name in ways}
    sizes = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        for name, way in ways.items():
            await way(jobs[0])
            begin = _cpu(pictures)
            sizes[name] = sum([await way(job) for job in jobs]) // len(jobs)
            spent[name].append((_cpu(pictures) - begin) / len(jobs))
    first = statistics.fmean(next(iter(spent.values())))
    for name, seconds in spent.items():
        mean = statistics.fmean(seconds)
        counts = f"{len(jobs):8} {mean * 1000:8.1f} {mean / first:14.2f} {sizes[name]:11,}"
        print(f"{crowd:7} {name:15} {counts}", flush=True)


async def _by_service(
    pictures: Pictures, job: Job, options: MaskOptions, reach: int = 0, *, planar: bool = False
) -> int:
    data = job.file.read_bytes()
    picture = await pictures.open(data, sides=(640,), to_mask=True, kept=options.keeps, reach=reach, planar=planar)
    masked = await picture.mask(Marks.all_of(Faces(job.boxes, np.ones(len(job.boxes), np.float32), None)), options)
    picture.close()
    return len(masked.data)


def _by_jpegtran(jpegtran: str, job: Job) -> int:
    pixels = cv2.imread(str(job.file))
    assert pixels is not None
    cv2.resize(pixels, (640, 480))  # as the service fits it for detection
    hidden = [_on_grid(box, pixels.shape[1], pixels.shape[0]) for box in job.boxes.tolist()]
    options = MaskOptions()
    METHODS[options.method].paint(pixels, hidden, options.strength, options.bgr, 1)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        source, patch, target = job.file, Path(folder) / "patch.jpg", Path(folder) / "target.jpg"
        for region in hidden:
            assert cv2.imwrite(str(patch), region.of(pixels), [cv2.IMWRITE_JPEG_QUALITY, 90])  # type: ignore[arg-type]
            place = f"+{region.left}+{region.top}"
            subprocess.run([jpegtran, "-copy", "none", "-drop", place, patch, "-outfile", target, source], check=True)
            source = target.rename(Path(folder) / "source.jpg")
        return source.stat().st_size


def _on_grid(box: list[float], width: int, height: int) -> Region:
    left, top, right, bottom = map(int, box)
    return Region(
        left // _CELL * _CELL, top // _CELL * _CELL,
        min(width, -(-right // _CELL) * _CELL), min(height, -(-bottom // _CELL) * _CELL),
    )  # fmt: skip


def _boxes(crowd: str) -> NDArray[np.float32]:
    columns, rows, across, down = CROWDS[crowd]
    width, height = SIZES[SIZE][0] / columns, SIZES[SIZE][1] / rows
    corners = [((column + 0.3) * width, (row + 0.2) * height) for row in range(rows) for column in range(columns)]
    return np.array([(x, y, x + across * width, y + down * height) for x, y in corners], np.float32)


def _cpu(pictures: Pictures) -> float:
    """Seconds of this process, its picture children with their threads, and what it has waited for."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = sum(_ticks(pid) for pid in pictures.crew.pids()) / os.sysconf("SC_CLK_TCK")
    return time.process_time() + children + waited.ru_utime + waited.ru_stime


def _ticks(pid: int) -> int:
    """Of all threads of a process, ended ones among them; proc(5), utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="?", type=Path, help="a folder of photographs; drawn faces when left out")
    parser.add_argument("--faces", nargs="+", choices=[*CROWDS, OWN], default=["few", "small"])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--exactly", action="store_true", help="decode as official models want it: whole, and to pixels"
    )
    parser.add_argument("--jpegtran", default="jpegtran", help="the program")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
