"""`make verify`: 64 of the worst legal pictures at once stay inside the documented memory, and all are answered.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_memory.py`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from shared.faces import Faces
from shared.settings import MEBIBYTE
from tests.hostile import make_jpeg, make_png, rasters
from tests.hostile.gallery import Gallery
from tests.hostile.process_watch import SHARED, Watch
from tests.hostile.replay_client import Sender
from tests.networks import beacon_network
from tests.service import running_service

BUDGET = 1024 * MEBIBYTE
CHILDREN = 2
#: What gateway/MEMORY.md promises for one child beside the budget: Python and the decoders, freed memory kept, the slab.
PER_CHILD = (100 + 128 + 8) * MEBIBYTE
#: And for a gateway process with its master, beside the bodies it holds.
GATEWAY = 160 * MEBIBYTE
#: Of answers that are made and sent and read at once: two copies for every child, of 30 Mpx of noise as JPEG.
ANSWERS = 2 * CHILDREN * 32 * MEBIBYTE
PICTURES = 64


def resident(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.fixture(scope="module")
def worst() -> list[bytes]:
    """Legal in every number, and as large and as hard as legal pictures are."""
    large = rasters.colours(5400, 5400)
    return [
        make_png.zeros(5477, 5477, make_png.RGBA, 16),
        make_jpeg.jpeg(large, progressive=True, subsampling=0),
        make_jpeg.with_segments(make_jpeg.jpeg(large), (make_jpeg.APP1, make_jpeg.exif(6))),
        make_png.zeros(5477, 5477, make_png.RGB, 8),
    ]


def test_sixty_four_of_the_worst_legal_pictures_stay_inside_the_documented_memory(worst: list[bytes]) -> None:
    gallery = Gallery(decode_processes=CHILDREN, decode_budget_bytes=BUDGET)
    own_before, peak = resident("self"), [0, 0]

    async def one(data: bytes, *, planar: bool) -> int:
        picture = await gallery.pictures.open(data, sides=(640, 160), to_mask=True, planar=planar)
        try:
            face = Faces(np.array([[1000, 1000, 4000, 4000]], np.float32), np.ones(1, np.float32), None)
            options = MaskOptions(method="elliptical" if planar else "gaussian")
            return len((await picture.mask(Marks.all_of(face), options)).data)
        finally:
            picture.close()

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], sum(resident(pid) for pid in gallery.pictures.crew.pids()))
            peak[1] = max(peak[1], resident("self") - own_before)
            await asyncio.sleep(0.02)

    async def all_at_once() -> list[int]:
        watching = asyncio.ensure_future(watch())
        sizes = await asyncio.gather(
            *(one(worst[index % len(worst)], planar=bool(index // len(worst) % 2)) for index in range(PICTURES))
        )
        watching.cancel()
        return sizes

    try:
        assert all(size > 100_000 for size in gallery.run(all_at_once()))
        assert gallery.nothing_is_counted()
    finally:
        gallery.close()
    print(f"peak of the children {peak[0] / MEBIBYTE:.0f} MiB, of the gateway {peak[1] / MEBIBYTE:.0f} MiB more")
    assert peak[0] < BUDGET + CHILDREN * PER_CHILD
    assert peak[1] < 64 * MEBIBYTE


def test_a_whole_service_stays_inside_the_documented_memory(worst: list[bytes], tmp_path: Path) -> None:
    """Sixty-four clients mask them at once over HTTP, and read their answers as they come."""
    settings = {
        "model": beacon_network(tmp_path / "beacon.onnx", side=64), "input_side": 64, "workers": 1,
        "gateway_processes": 1, "decode_processes": CHILDREN, "decode_budget_bytes": BUDGET,
        "request_timeout": 600, "queue_share": 1.0,
    }  # fmt: skip
    with running_service(tmp_path / "data", **settings) as service:
        watch = Watch(service.process.pid)
        watch.start()

        def one(index: int) -> tuple[int, str]:
            sender = Sender(service.url)
            sent = sender.send("mask", str(index), b"worst", worst[index % len(worst)])
            sender.close()
            return sent.status, sent.words

        with ThreadPoolExecutor(PICTURES) as clients:
            answers = list(clients.map(one, range(PICTURES)))
        watch.stop()
    assert answers == [(200, "")] * PICTURES
    bodies = sum(len(worst[index % len(worst)]) for index in range(PICTURES))
    peaks = {part: memory.peak for part, memory in watch.memory.items()}
    print(f"bodies {bodies / MEBIBYTE:.0f} MiB", {part: f"{peak / MEBIBYTE:.0f} MiB" for part, peak in peaks.items()})
    assert not any(watch.ended.values())
    assert peaks["picture children"] < BUDGET + CHILDREN * PER_CHILD
    # What lies in shared memory is told to no process before it is touched: answers, and files on their way to a child.
    shared = watch.memory[SHARED].peak - watch.memory[SHARED].begin
    assert peaks["gateway processes"] + shared < GATEWAY + bodies + ANSWERS
