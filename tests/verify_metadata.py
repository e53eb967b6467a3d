"""`make verify`: what each choice of `metadata` leaves in the answer, for every file there is, wild ones among them.

Not collected by the ordinary suite, for its time: `python -m pytest tests/verify_metadata.py`.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

import pytest
from PIL import Image
from PIL.ExifTags import IFD

from gateway.pictures.exif_tags import METADATA, tags_of
from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture_work import mask_picture, open_picture
from shared.errors import BadImage, BadParameter, TooLarge
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile.corpus import files
from tests.service import SHARED
from tests.unit.pictures.test_metadata import answered, tags_in

#: Where a file tells of more than its picture.
DIRECTORIES = (IFD.Exif, IFD.GPSInfo, IFD.IFD1, IFD.Interop)
BESIDE = {"comment", "xmp", "XML:com.adobe.xmp", "photoshop"}
KEPT = {choice: {tag.name for tag in tags_of(choice)} for choice in METADATA}


def told(data: bytes) -> set[object]:
    """Every kind of tag that Pillow sees in a file; none where it cannot read it, however it fails."""
    whole = io.BytesIO(data)
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"), Image.open(whole) as picture:
        exif = picture.getexif()
        further = {(each, tag) for each in DIRECTORIES for tag in exif.get_ifd(each)}
        return {*exif, *further, *(BESIDE & {*picture.info})}
    return set()


def telling() -> Iterator[tuple[str, bytes, set[object]]]:
    """Files with anything beside their picture, and what."""
    ours = ((file.name, file.data) for file in files(heavy=False))
    others = sorted(path for path in SHARED.rglob("*") if path.is_file()) if SHARED.is_dir() else []
    for name, data in (*ours, *((str(path.relative_to(SHARED)), path.read_bytes()) for path in others)):
        if tags := told(data):
            yield name, data, tags


def kept_anew(data: bytes, choice: str) -> bytes:
    view = memoryview(data)
    header = read_header(view)
    opened = open_picture(view, header, (64,), Settings(), to_mask=True, kept=True, metadata=choice)  # type: ignore[arg-type]
    return bytes(mask_picture(opened, Marks.all_of(Faces.none()), MaskOptions(quality=KEEP), Settings()).data)


@pytest.fixture(scope="module")
def wild() -> list[tuple[str, bytes, set[object]]]:
    found = list(telling())
    print(f"{len(found)} files with {len(set().union(*(tags for _, _, tags in found)))} kinds of tags")
    return found


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_each_choice_leaves_what_it_says_and_nothing_else(wild: list, output: str) -> None:
    seen = 0
    for name, data, _ in wild:
        for choice in METADATA:
            try:
                found = tags_in(answered(data, choice, output))
            except (BadImage, TooLarge, BadParameter):
                break
            assert found.keys() <= KEPT[choice], (name, choice, found)
            seen += 1
    assert seen > 4 * len(METADATA)


def test_so_it_is_where_the_file_is_kept(wild: list) -> None:
    for name, data, _ in wild:
        for choice in METADATA if data.startswith(b"\xff\xd8\xff") else ():
            try:
                found = tags_in(kept_anew(data, choice), profile=True)
            except (BadImage, TooLarge, BadParameter):
                break
            assert found.keys() <= KEPT[choice] | {hex(0x0112)}, (name, choice, found)
