"""What it costs to shut decoders in: CPU time and throughput of two ways, side by side in one interleaved run.

`python -m loadtest.decode_cost [PHOTO]` compares child processes with Landlock and seccomp around them and without.
Every round opens the same pictures both ways, in turn; medians over rounds, and of the rounds' differences. CPU time is
counted over this process and its children, so other work on the machine matters little.

`--rows` compares, in this process and for detection alone, JPEGs of which some rows are decoded with whole ones: the
decoding and the fit, with an allocator that is told what a child's is.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from gateway.pictures.child_libraries import KEPT_BYTES
from gateway.pictures.image_decode import decode, decode_rows
from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.picture import Pictures, open_pictures
from gateway.pictures.views import rows_looked_at, shown
from shared.faces import Faces
from shared.settings import Settings

SIZES = {"640×360": (640, 360), "1080p": (1920, 1080), "12 MP": (4000, 3000)}
#: Of these some rows are decoded.
LARGE = {"5 MP": (2592, 1944), "8 MP": (3264, 2448), "12 MP": (4000, 3000)}
SUBSAMPLINGS = {"4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}
#: CPU of one whole request in the bare loop (decode, fit, SCRFD-500M fp32, NMS, JSON).
REQUEST_MS = {"640×360": 27.0, "1080p": 36.0, "12 MP": 110.0}
#: malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4

#: The cheaper way first.
WAYS = {"open": Settings(decode_sandbox="off"), "shut in": Settings(decode_sandbox="required")}


@dataclass(slots=True)
class Figures:
    """Per round: CPU milliseconds a picture, pictures a second."""

    cpu_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)


async def main() -> None:
    options = _options()
    if options.rows:
        _compare_rows(options)
        return
    ways = {name: await open_pictures(settings) for name, settings in WAYS.items()}
    named = "".join(f"{name + ' ms':>12}" for name in ways)
    print(f"{'picture':8} {'work':7}{named}  more ms (quarters)   of it  of a request   pictures/s")
    for name in options.sizes:
        data = _jpeg(options.photo, *SIZES[name])
        for work in (_detect, _mask):
            figures = await _interleaved(ways, work, data, options)
            _report(name, work.__name__.strip("_"), figures)
    for pictures in ways.values():
        await pictures.aclose()


async def _interleaved(
    ways: dict[str, Pictures], work: Work, data: bytes, options: argparse.Namespace
) -> dict[str, Figures]:
    figures = {way: Figures() for way in ways}
    for turn in range(options.rounds + 1):
        for way, pictures in list(ways.items())[:: 1 if turn % 2 else -1]:  # neither is always the second
            cpu, wall = await _round(pictures, work, data, options)
            if turn:  # the first one warms up
                figures[way].cpu_ms.append(cpu / options.pictures * 1000)
                figures[way].per_second.append(options.pictures / wall)
    return figures


Work = Callable[[Pictures, bytes], Awaitable[None]]


async def _round(pictures: Pictures, work: Work, data: bytes, options: argparse.Namespace) -> tuple[float, float]:
    """CPU seconds and wall seconds of one round."""
    places = asyncio.Semaphore(options.at_once)

    async def one() -> None:
        async with places:
            await work(pictures, data)

    cpu, wall = _cpu_seconds(pictures), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(options.pictures)))
    return _cpu_seconds(pictures) - cpu, time.perf_counter() - wall


async def _detect(pictures: Pictures, data: bytes) -> None:
    picture = await pictures.open(data, sides=(640,), to_mask=False)
    picture.close()


async def _mask(pictures: Pictures, data: bytes) -> None:
    picture = await pictures.open(data, sides=(640, 256), to_mask=True)
    across, down = picture.facts.width / 10, picture.facts.height / 10
    box = np.array([[across * 4, down * 3, across * 6, down * 7]], np.float32)
    await picture.mask(Marks.all_of(Faces(box, np.ones(1, np.float32), None)), MaskOptions())
    picture.close()


def _compare_rows(options: argparse.Namespace) -> None:
    allocator = ctypes.CDLL(None)
    allocator.mallopt(_M_MMAP_MAX, 0)
    allocator.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    cv2.setNumThreads(1)
    print(f"{'picture':8} {'whole ms':>10} {'in rows ms':>11}  less ms (quarters)")
    for (name, size), (sampled, factors) in itertools.product(LARGE.items(), SUBSAMPLINGS.items()):
        data = memoryview(_jpeg(options.photo, *size, factors))
        spent: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(options.rounds * options.pictures + 1):
            for in_rows in (False, True) if turn % 2 else (True, False):
                begin = time.process_time()
                _seen(data, in_rows=in_rows)
                if turn:
                    spent[in_rows].append((time.process_time() - begin) * 1000)
        low, less, high = statistics.quantiles([a - b for a, b in zip(*spent.values(), strict=True)], n=4)
        whole, rows = map(statistics.median, spent.values())
        print(f"{name} {sampled} {whole:8.1f} {rows:11.1f}  {less:.1f} ({low:.1f} to {high:.1f})", flush=True)


def _seen(data: memoryview, *, in_rows: bool) -> None:
    """Decodes and fits a JPEG as for detection."""
    header = read_header(data)
    shape = header.width, header.height, (640,), 0
    shown(decode_rows(data, header, rows_looked_at(*shape)) if in_rows else decode(data, header)[0], *shape)


def _cpu_seconds(pictures: Pictures) -> float:
    return time.process_time() + sum(_on_cpu(pid) for pid in pictures.crew.pids())


def _on_cpu(pid: int) -> float:
    """Seconds a process ran; /proc counts them in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def _jpeg(photo: Path | None, width: int, height: int, subsampling: int = SUBSAMPLINGS["4:2:0"]) -> bytes:
    """The photograph (or drawn noise of a photograph's detail) at this size, as JPEG 90."""
    if photo is None:
        noise = np.random.default_rng(7).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
        pixels = cv2.GaussianBlur(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)
    else:
        stored = cv2.imread(str(photo))
        assert stored is not None, f"{photo} is no picture"
        pixels = cv2.resize(stored, (width, height), interpolation=cv2.INTER_AREA)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, subsampling]
    return cv2.imencode(".jpg", pixels, parameters)[1].tobytes()


def _report(name: str, work: str, figures: dict[str, Figures]) -> None:
    cheap, dear = figures.values()
    before, after = statistics.median(cheap.cpu_ms), statistics.median(dear.cpu_ms)
    low, more, high = statistics.quantiles([b - a for a, b in zip(cheap.cpu_ms, dear.cpu_ms, strict=True)], n=4)
    rates = " / ".join(f"{statistics.median(one.per_second):.0f}" for one in (cheap, dear))
    spread, shares = f"({low:.3f} to {high:.3f})", f"{more / before:7.2%} {more / REQUEST_MS[name]:13.2%}"
    print(f"{name:8} {work:7}{before:12.3f}{after:12.3f} {more:8.3f} {spread} {shares}   {rates}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?", type=Path, help="a photograph to scale; drawn when left out")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rows", action="store_true", help="JPEGs decoded in some rows and whole, in this process")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=24, help="per round")
    parser.add_argument("--at-once", type=int, default=4)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
