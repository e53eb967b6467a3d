"""What a child may take and know: memory, limits, and no secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gateway.pictures.child_libraries import KEPT_BYTES, for_libraries
from shared.errors import BadImage
from shared.settings import MEBIBYTE, Settings
from tests.hostile import make_jpeg
from tests.hostile.gallery import Gallery
from tests.unit.pictures.children import PHOTO, ROOT
from tests.waiting import wait_until


def test_a_child_may_not_grow_far_beyond_what_the_header_announced(lone: Gallery) -> None:
    limit = Path(f"/proc/{lone.pictures.crew.pids()[0]}/limits")
    lone.open(PHOTO).close()
    row = next(line for line in limit.read_text(encoding="ascii").splitlines() if line.startswith("Max address space"))
    assert int(row.split()[3]) < 3 * 1024 * MEBIBYTE
    core = next(line for line in limit.read_text(encoding="ascii").splitlines() if line.startswith("Max core"))
    assert core.split()[4] == "0"


def test_a_child_cannot_raise_its_limits() -> None:
    gallery = Gallery(decode_budget_bytes=64 * MEBIBYTE, max_pixels=1_000_000, max_decoded_bytes=8 * MEBIBYTE)
    try:
        gallery.mask(PHOTO, [[1, 1, 50, 50]])
        text = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/limits").read_text(encoding="ascii")
        hard = {line[:26].strip(): line[47:68].strip() for line in text.splitlines()}
        assert int(hard["Max address space"]) < 2 * 1024 * MEBIBYTE
        assert int(hard["Max file size"]) < 512 * MEBIBYTE
        assert int(hard["Max open files"]) < 64
    finally:
        gallery.close()


def test_decoders_know_the_pixel_limit_before_they_are_loaded() -> None:
    gallery = Gallery(max_pixels=5000)
    try:
        environment = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/environ").read_bytes().split(b"\0")
        assert b"OPENCV_IO_MAX_IMAGE_PIXELS=5000" in environment
    finally:
        gallery.close()


def test_a_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACE_API_REDIS_URL", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, "canary-of-the-test")
    gallery = Gallery(max_jpeg_scans=7)
    try:
        environment = Path(f"/proc/{gallery.pictures.crew.pids()[0]}/environ").read_bytes()
        assert b"canary-of-the-test" not in environment
        assert b"FACE_API_MAX_JPEG_SCANS=7" in environment
        with pytest.raises(BadImage, match="more than 7 scans"):
            gallery.open(make_jpeg.scan_bomb(64, 64, 20))
    finally:
        gallery.close()


def test_beyond_its_memory_limit_a_child_gets_an_error_not_the_memory() -> None:
    code = (
        "import numpy\n"
        "from gateway.pictures.picture_child import Growth\n"
        "Growth().limit(64 << 20)\n"
        "numpy.ones(8 << 20, numpy.uint8)\n"
        "try:\n"
        "    numpy.ones(256 << 20, numpy.uint8)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "refused"


def test_pages_of_a_large_picture_stay_for_the_next_one_and_go_back_when_told() -> None:
    code = (
        "import numpy, pathlib\n"
        "from shared.processes import give_memory_back\n"
        "resident = lambda: int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * 4096 >> 20\n"
        "before = resident()\n"
        "numpy.ones(72 << 20, numpy.uint8)\n"
        "kept = resident() - before\n"
        "give_memory_back(16 << 20)\n"
        "print(kept, resident() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=for_libraries(Settings()),
        capture_output=True,
        text=True,
        check=True,
    )
    kept, left = map(int, done.stdout.split())
    assert kept >= 68
    assert 12 <= left < 24  # the heap had some of it free before


def test_a_child_without_work_gives_back_what_large_pictures_left(lone: Gallery) -> None:
    large = make_jpeg.jpeg(np.zeros((3000, 4000, 3), np.uint8))
    for to_mask in (True, False):
        lone.open(large, to_mask=to_mask).close()
        wait_until(lambda: lone.resident_bytes() < lone.resident_at_start + 48 * MEBIBYTE)


def test_pictures_held_at_once_are_not_all_kept_when_they_are_closed(lone: Gallery) -> None:
    large = make_jpeg.jpeg(np.zeros((3000, 4000, 3), np.uint8))
    held = [lone.open(large, to_mask=True) for _ in range(6)]
    assert lone.resident_bytes() > lone.resident_at_start + 6 * 34 * MEBIBYTE
    for picture in held:
        picture.close()
    wait_until(lambda: lone.resident_bytes() < lone.resident_at_start + KEPT_BYTES + 24 * MEBIBYTE)
