"""Which EXIF tags are understood, so that they can be kept: a row each. Nothing else of a file is ever passed on.

EXIF 2.32. Left out on purpose: orientation, since the answer is upright; sizes, resolution and colour space, which are
of another picture; thumbnails, which show what is masked; maker notes and comments, which nobody can read to the end;
serial numbers and owners' names.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

#: What of a file's metadata the answer carries.
Metadata = Literal["none", "date", "gps", "all"]
METADATA: tuple[Metadata, ...] = get_args(Metadata)

#: Where a tag stands: the picture's own directory, the camera's, the place's.
Directory = Literal["image", "exif", "gps"]

#: Types of EXIF 4.6.2, as they are written.
BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
#: Bytes of one value of each.
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, SIGNED_RATIONAL: 8}

#: Bytes of a text: what a description needs, and no hiding place.
TEXT_MAX = 512

_TEXT = re.compile(r".+", re.DOTALL)
_TIME = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_DAY = re.compile(r"\d{4}:\d\d:\d\d")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")
_DIGITS = re.compile(r"\d{1,9}")


class Tag(NamedTuple):
    """kind: its type. values: how many numbers. form: of a text. kept: by which choice beside all."""

    directory: Directory
    number: int
    name: str
    kind: int = ASCII
    values: int = 1
    form: re.Pattern[str] = _TEXT
    kept: Metadata = "all"


def _letters(letters: str) -> re.Pattern[str]:
    return re.compile(f"[{letters}]")


TAGS: tuple[Tag, ...] = (
    Tag("image", 0x010E, "ImageDescription"),
    Tag("image", 0x010F, "Make"),
    Tag("image", 0x0110, "Model"),
    Tag("image", 0x0131, "Software"),
    Tag("image", 0x0132, "DateTime", form=_TIME, kept="date"),
    Tag("image", 0x013B, "Artist"),
    Tag("image", 0x8298, "Copyright"),
    Tag("exif", 0x829A, "ExposureTime", RATIONAL),
    Tag("exif", 0x829D, "FNumber", RATIONAL),
    Tag("exif", 0x8822, "ExposureProgram", SHORT),
    Tag("exif", 0x8827, "ISOSpeedRatings", SHORT),
    Tag("exif", 0x9003, "DateTimeOriginal", form=_TIME, kept="date"),
    Tag("exif", 0x9004, "DateTimeDigitized", form=_TIME, kept="date"),
    Tag("exif", 0x9010, "OffsetTime", form=_OFFSET, kept="date"),
    Tag("exif", 0x9011, "OffsetTimeOriginal", form=_OFFSET, kept="date"),
    Tag("exif", 0x9012, "OffsetTimeDigitized", form=_OFFSET, kept="date"),
    Tag("exif", 0x9201, "ShutterSpeedValue", SIGNED_RATIONAL),
    Tag("exif", 0x9202, "ApertureValue", RATIONAL),
    Tag("exif", 0x9203, "BrightnessValue", SIGNED_RATIONAL),
    Tag("exif", 0x9204, "ExposureBiasValue", SIGNED_RATIONAL),
    Tag("exif", 0x9205, "MaxApertureValue", RATIONAL),
    Tag("exif", 0x9206, "SubjectDistance", RATIONAL),
    Tag("exif", 0x9207, "MeteringMode", SHORT),
    Tag("exif", 0x9208, "LightSource", SHORT),
    Tag("exif", 0x9209, "Flash", SHORT),
    Tag("exif", 0x920A, "FocalLength", RATIONAL),
    Tag("exif", 0x9290, "SubsecTime", form=_DIGITS, kept="date"),
    Tag("exif", 0x9291, "SubsecTimeOriginal", form=_DIGITS, kept="date"),
    Tag("exif", 0x9292, "SubsecTimeDigitized", form=_DIGITS, kept="date"),
    Tag("exif", 0xA402, "ExposureMode", SHORT),
    Tag("exif", 0xA403, "WhiteBalance", SHORT),
    Tag("exif", 0xA404, "DigitalZoomRatio", RATIONAL),
    Tag("exif", 0xA405, "FocalLengthIn35mmFilm", SHORT),
    Tag("exif", 0xA406, "SceneCaptureType", SHORT),
    Tag("exif", 0xA432, "LensSpecification", RATIONAL, 4),
    Tag("exif", 0xA433, "LensMake"),
    Tag("exif", 0xA434, "LensModel"),
    Tag("gps", 0x0000, "GPSVersionID", BYTE, 4, kept="gps"),
    Tag("gps", 0x0001, "GPSLatitudeRef", form=_letters("NS"), kept="gps"),
    Tag("gps", 0x0002, "GPSLatitude", RATIONAL, 3, kept="gps"),
    Tag("gps", 0x0003, "GPSLongitudeRef", form=_letters("EW"), kept="gps"),
    Tag("gps", 0x0004, "GPSLongitude", RATIONAL, 3, kept="gps"),
    Tag("gps", 0x0005, "GPSAltitudeRef", BYTE, kept="gps"),
    Tag("gps", 0x0006, "GPSAltitude", RATIONAL, kept="gps"),
    Tag("gps", 0x0007, "GPSTimeStamp", RATIONAL, 3),
    Tag("gps", 0x0010, "GPSImgDirectionRef", form=_letters("TM"), kept="gps"),
    Tag("gps", 0x0011, "GPSImgDirection", RATIONAL, kept="gps"),
    Tag("gps", 0x0012, "GPSMapDatum", kept="gps"),
    Tag("gps", 0x001D, "GPSDateStamp", form=_DAY),
    Tag("gps", 0x001F, "GPSHPositioningError", RATIONAL, kept="gps"),
)


def tags_of(choice: Metadata) -> list[Tag]:
    """The rows that a choice keeps, in the order of their directories and numbers."""
    return [tag for tag in TAGS if choice == "all" or (choice == tag.kept != "none")]
