"""`make verify`: `quality=keep` over every JPEG there is, wild and hostile ones among them, seen whole and smaller: no
block outside a mask changes, what cannot be kept is refused with words, and no child ends.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_kept.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from gateway.pictures.image_header import read_header
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP
from gateway.pictures.regions import Region
from gateway.pictures.stored_frame import StoredFrame
from shared.errors import BadImage, BadParameter, TooLarge
from tests.hostile.corpus import files
from tests.hostile.gallery import Gallery
from tests.unit.pictures.test_kept_jpeg import outside, stored

#: Photographs and wild files, where there are any beside the project.
SHARED = Path(__file__).resolve().parents[2] / "shared"
JPEG = b"\xff\xd8\xff"


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    gallery = Gallery(decode_processes=2)
    yield gallery
    gallery.close()


def jpegs() -> Iterator[tuple[str, bytes]]:
    yield from ((file.name, file.data) for file in files(heavy=False) if file.data[:3] == JPEG)
    for path in sorted(SHARED.rglob("*")) if SHARED.is_dir() else []:
        if path.is_file() and (data := path.read_bytes())[:3] == JPEG:
            yield str(path.relative_to(SHARED)), data


def test_no_block_outside_a_mask_changes_in_any_jpeg_there_is(gallery: Gallery) -> None:
    told: dict[str, list[str]] = {"kept": [], "changed": [], "refused": [], "not to be kept": []}
    pids = gallery.pictures.crew.pids()
    for name, data in jpegs():
        try:
            told["kept" if _kept(gallery, data) else "changed"].append(name)
        except (BadImage, TooLarge):
            told["refused"].append(name)
        except BadParameter as words:
            told["not to be kept"].append(f"{name}: {words}")
    print({what: len(names) for what, names in told.items()}, *told["not to be kept"], sep="\n")
    assert not told["changed"]
    assert gallery.pictures.crew.pids() == pids
    assert gallery.nothing_is_counted()
    assert len(told["kept"]) > 50


def _kept(gallery: Gallery, data: bytes) -> bool:
    """Masks a box somewhere and compares the rest. Raises what the service raises, for which the plain way stands."""
    header = read_header(memoryview(data))
    width, height = header.upright_size
    left, top = crc32(data) % max(1, width // 2), crc32(data[::-1]) % max(1, height // 2)
    region = Region(left, top, min(width, left + width // 3 + 1), min(height, top + height // 3 + 1))
    box = [float(region.left), float(region.top), float(region.right), float(region.bottom)]
    method = list(METHODS)[crc32(data) % len(METHODS)]
    reach = (0, max(width, height) // 4, 64)[crc32(data) % 3]
    answer = gallery.mask(data, [box], reach, quality=KEEP, method=method, padding=0).data
    place = StoredFrame(header.width, header.height, header.orientation).of(region)
    kept = outside(bytes(answer), (place.left, place.top, place.right, place.bottom))
    before, after = stored(_whole(data)), stored(answer)
    return all((old[same] == new[same]).all() for old, new, same in zip(before, after, kept, strict=True))


def _whole(data: bytes) -> bytes:
    """With an end, which libjpeg would complain about otherwise."""
    return data if data.endswith(b"\xff\xd9") else data + b"\xff\xd9"
