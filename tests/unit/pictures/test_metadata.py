"""What of a file's metadata the answer carries: by choice, made anew from tags that are understood, and nothing else."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import IFDRational

from gateway.pictures.exif_tags import METADATA, TAGS, Metadata
from gateway.pictures.image_header import read_header
from gateway.pictures.marks import Marks
from gateway.pictures.masking import MaskOptions
from gateway.pictures.metadata import kept_metadata
from gateway.pictures.picture_work import mask_picture, open_picture
from shared.faces import Faces
from shared.settings import Settings

SECRETS = (b"thumbnail of a face", b"maker's own", b"what somebody said", b"serial 4711", b"photoshop:City")
DATES = {"DateTime": "2026:11:28 12:00:01", "DateTimeOriginal": "2026:11:27 08:30:00", "OffsetTime": "+01:00"}
PLACE = {
    "GPSLatitudeRef": "N",
    "GPSLatitude": (52.0, 30.0, 15.5),
    "GPSLongitudeRef": "E",
    "GPSLongitude": (13.0, 24.0, 0.25),
}
REST = {
    "Make": "Kamera & Co",
    "ExposureTime": IFDRational(1, 250),
    "ISOSpeedRatings": 200,
    "LensSpecification": (IFDRational(24), IFDRational(70), IFDRational(28, 10), IFDRational(4)),
}
NUMBERS = {tag.name: tag for tag in TAGS}


def stored(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for directory, values in (("image", DATES | REST), ("exif", DATES | REST), ("gps", PLACE)):
        into = {"image": exif, "exif": exif.get_ifd(IFD.Exif), "gps": exif.get_ifd(IFD.GPSInfo)}[directory]
        for name, value in values.items():
            if NUMBERS[name].directory == directory:
                into[NUMBERS[name].number] = value
    camera = exif.get_ifd(IFD.Exif)
    camera[0x927C], camera[0x9286], camera[0xA431] = SECRETS[1], b"ASCII\0\0\0" + SECRETS[2], SECRETS[3].decode()
    return exif


def file_of(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    more = (
        {"comment": SECRETS[2], "xmp": SECRETS[4]} if kind == "JPEG" else {"xmp": SECRETS[4]} if kind == "WEBP" else {}
    )
    Image.new("RGB", size, "teal").save(file, kind, exif=stored(), **more)
    return file.getvalue()


def answered(data: bytes, choice: Metadata, output: str) -> bytes:
    view = memoryview(data)
    opened = open_picture(view, read_header(view), (64,), Settings(), to_mask=True, metadata=choice)
    return bytes(mask_picture(opened, Marks.all_of(Faces.none()), MaskOptions(format=output), Settings()).data)


def tags_in(data: bytes, *, profile: bool = False) -> dict[str, Any]:
    """Every tag of the file by its name or its number, in whatever directory. profile: whether it may have one."""
    with Image.open(io.BytesIO(data)) as picture:
        exif = picture.getexif()
        directories = {"image": dict(exif), "exif": exif.get_ifd(IFD.Exif), "gps": exif.get_ifd(IFD.GPSInfo)}
        assert not exif.get_ifd(IFD.IFD1)
        beside = {"comment", "xmp", "icc_profile", "photoshop"} & picture.info.keys()
        assert not beside - ({"icc_profile"} if profile else set())
    for pointer in (IFD.Exif, IFD.GPSInfo):
        directories["image"].pop(pointer, None)
    names = {(tag.directory, tag.number): tag.name for tag in TAGS}
    return {
        names.get((where, number), hex(number)): value
        for where, each in directories.items()
        for number, value in each.items()
    }


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_each_choice_carries_what_it_says_from_every_format_into_every_format(kind: str, output: str) -> None:
    wanted: dict[Metadata, dict[str, Any]] = {"none": {}, "date": DATES, "gps": PLACE, "all": DATES | PLACE | REST}
    data = file_of(kind)
    written = [name for name in NUMBERS if kind != "TIFF" or NUMBERS[name].directory == "image"]  # by Pillow
    for choice, all_of_them in wanted.items():
        tags = {name: value for name, value in all_of_them.items() if name in written}
        answer = answered(data, choice, output)
        found = tags_in(answer)
        assert found.keys() == tags.keys(), (choice, found)
        for name, value in tags.items():
            assert found[name] == pytest.approx(value) if not isinstance(value, str) else found[name] == value
        assert not [secret for secret in SECRETS if secret in answer]


@pytest.mark.parametrize("output", ["jpeg", "png", "webp", "avif"])
def test_the_answer_is_upright_and_no_viewer_turns_it_again(output: str) -> None:
    with Image.open(io.BytesIO(answered(file_of("JPEG"), "all", output))) as picture:
        assert picture.size == (30, 40)
        assert 0x0112 not in picture.getexif()


def test_without_a_word_the_answer_is_the_same_to_the_byte_with_metadata_and_without() -> None:
    bare = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(bare, "PNG")
    turned = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(turned, "PNG", exif=stored(orientation=1))
    assert answered(bare.getvalue(), "none", "png") == answered(turned.getvalue(), "none", "png")


def block(directory: int, entries: list[tuple[int, int, int, bytes]], order: str = "<") -> bytes:
    """An EXIF block; entries of the picture's directory, or of the one that it names."""
    rows = b"".join(struct.pack(order + "HHI", *each[:3]) + each[3].ljust(4, b"\0")[:4] for each in entries)
    whole = struct.pack(order + "H", len(entries)) + rows + bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    if not directory:
        return head + whole
    pointer = struct.pack(order + "HHHII", 1, directory, 4, 1, 26) + bytes(4)
    return head + pointer + whole


@pytest.mark.parametrize(
    ("directory", "entry"),
    [
        (0, (0x0132, 2, 20, b"\xff\xff\xff\x7f")),  # a value beyond the file
        (0, (0x0132, 2, 4, b"now\0")),
        (0, (0x0132, 2, 0xFFFFFFFF, b"\x1a\0\0\0")),
        (0, (0x010F, 2, 4, b"a\x1b[3")),  # no terminal is steered by it
        (0, (0x010F, 2, 4, b"\xff\xfe\xfd\0")),
        (0, (0x010F, 2, 1, b"\0")),
        (0, (0x010F, 3, 1, b"\1\0")),
        (0x8769, (0x8827, 3, 2, b"\1\0\2\0")),
        (0x8769, (0x8827, 4, 1, b"\0\0\1\0")),
        (0x8769, (0x829A, 5, 1, struct.pack("<I", 36))),  # of which the lower half is 0
        (0x8825, (0x0001, 2, 2, b"X\0")),
        (0x8825, (0x0005, 1, 2, b"\0\0")),
        (0, (0x8769, 4, 1, b"\x08\0\0\0")),  # a directory that names itself
        (0, (0x8769, 4, 1, b"\xff\xff\xff\xff")),
        (0, (0x927C, 7, 4, b"maker"[:4])),
    ],
)
def test_what_is_not_what_its_tag_should_hold_is_left_out(directory: int, entry: tuple) -> None:
    assert kept_metadata(block(directory, [entry]), "all") == b""


def test_both_byte_orders_and_the_prefix_are_read_and_one_form_is_written() -> None:
    little = block(0x8769, [(0x8827, 3, 1, struct.pack("<H", 200))])
    big = block(0x8769, [(0x8827, 4, 1, struct.pack(">I", 200))], ">")
    assert kept_metadata(little, "all") == kept_metadata(b"Exif\0\0" + big, "all") != b""


def test_a_number_of_a_place_without_its_letter_is_left_out() -> None:
    exif = Image.Exif()
    exif.get_ifd(IFD.GPSInfo).update({2: (52.0, 30.0, 15.5), 1: "N", 4: (13.0, 24.0, 0.25)})
    kept = Image.Exif()
    kept.load(kept_metadata(exif.tobytes(), "gps"))
    assert kept.get_ifd(IFD.GPSInfo).keys() == {1, 2}


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from(METADATA))
def test_any_bytes_are_read_without_a_fault_and_give_a_sound_block(noise: bytes, at: int, choice: Metadata) -> None:
    good = bytearray(stored().tobytes())
    good[at : at + len(noise)] = noise
    for data in (noise, bytes(good)):
        made = kept_metadata(data, choice)
        assert len(made) < 8192
        assert made == kept_metadata(made, choice)  # what is written is understood, whole


def test_no_tag_has_two_rows() -> None:
    assert len({(tag.directory, tag.number) for tag in TAGS}) == len({tag.name for tag in TAGS}) == len(TAGS)
