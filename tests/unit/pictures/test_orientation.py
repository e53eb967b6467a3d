"""Which way up a picture is: one clear claim turns it; where readers differ, mask refuses. Pillow and OpenCV testify."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from shared.errors import BadImage
from tests.hostile import make_jpeg, make_png, make_tiff, make_webp, rasters
from tests.hostile.gallery import Gallery
from tests.hostile.make_exif import (
    ASCII,
    BYTE,
    DOUBLE,
    EXIF_IFD,
    FLOAT,
    IFD,
    LONG,
    MAKE,
    ORIENTATION,
    PREFIX,
    RATIONAL,
    SBYTE,
    SHORT,
    SLONG,
    SSHORT,
    UNDEFINED,
    XMP_PREFIX,
    block,
    directory,
    oriented,
    xmp,
)  # fmt: skip
from tests.unit.pictures.reading import header_of, read, seen_upright

RGB = rasters.colours(40, 20)
TURNED, STORED = (20, 40), (40, 20)
TYPES = {"BYTE": BYTE, "SHORT": SHORT, "LONG": LONG, "SBYTE": SBYTE, "SSHORT": SSHORT, "SLONG": SLONG, "IFD": IFD}
RIGHT = make_jpeg.jpeg(RGB)
SIDEWAYS, UPRIGHT, SILENT = oriented(6), oriented(1), block((MAKE, ASCII, b"a camera\0"))


def jpeg(*blocks: bytes, prefix: bytes = PREFIX) -> bytes:
    return make_jpeg.with_segments(RIGHT, *((make_jpeg.APP1, prefix + each) for each in blocks))


def png(*chunks: bytes, behind: bytes = b"") -> bytes:
    return make_png.png(RGB, before=b"".join(chunks), after=behind)


def e_xif(data: bytes, crc: int | None = None) -> bytes:
    return make_png.chunk(b"eXIf", data, crc)


def raw(name: str, kind: bytes, data: bytes = PREFIX + SIDEWAYS) -> bytes:
    """EXIF as the text that ImageMagick makes of it."""
    key, text = f"Raw profile type {name}\0".encode(), f"\n{name}\n{len(data):8d}\n{data.hex()}\n".encode()
    body = {b"tEXt": text, b"zTXt": b"\0" + zlib.compress(text), b"iTXt": b"\0\0\0\0" + text}[kind]
    return make_png.chunk(kind, key + body)


def in_text(packet: bytes, *, packed: bool = False) -> bytes:
    body = b"\1\0\0\0" + zlib.compress(packet) if packed else b"\0\0\0\0" + packet
    return make_png.chunk(b"iTXt", b"XML:com.adobe.xmp\0" + body)


def webp(*chunks: make_webp.Chunk, flags: int = make_webp.EXIF | make_webp.XMP) -> bytes:
    picture = make_webp.chunks(make_webp.webp(RGB, lossless=True))[0]
    return make_webp.riff([make_webp.extended(flags, 40, 20), picture, *chunks])


def tiff(values: list[int], kind: int = SHORT, order: str = "<", *, big: bool = False) -> bytes:
    page = make_tiff.page(RGB, order=order, extra={make_tiff.ORIENTATION: values})
    page.kinds[make_tiff.ORIENTATION] = kind
    return make_tiff.File([page], order, big).bytes()


def twice(first: int, second: int, kind: int = SHORT) -> bytes:
    return block((ORIENTATION, kind, [first]), (ORIENTATION, SHORT, [second]))


def in_second_directory() -> bytes:
    whole = block((MAKE, ASCII, b"abc"), following=26)
    return whole + directory([(ORIENTATION, SHORT, [6])], "<", 26)


def in_exif_directory() -> bytes:
    return block((EXIF_IFD, LONG, [26])) + directory([(ORIENTATION, SHORT, [6])], "<", 26)


#: Stored lying on its side, and said in one clear way: turned for everyone.
CLEAR = {
    **{f"{name} {order}": jpeg(oriented(6, order, kind)) for name, kind in TYPES.items() for order in "<>"},
    "after other entries": jpeg(block((MAKE, ASCII, b"abc"), (ORIENTATION, SHORT, [6]))),
    "before other entries": jpeg(block((0x0131, ASCII, b"abc"), (ORIENTATION, SHORT, [6]), (0x0100, LONG, [40]))),
    "directory further behind": jpeg(block((ORIENTATION, SHORT, [6]), start=40)),
    "fewer entries than told": jpeg(SIDEWAYS[:8] + b"\xff\0" + SIDEWAYS[10:]),
    "something in the other half": jpeg(SIDEWAYS[:-6] + b"\xab\xcd" + SIDEWAYS[-4:]),
    "two alike": jpeg(twice(6, 6)),
    "two values alike": jpeg(block((ORIENTATION, SHORT, [6, 6]))),
    "the first of two": jpeg(twice(6, 1)),
    "the first of two segments": jpeg(SIDEWAYS, UPRIGHT),
    "segments alike": jpeg(SIDEWAYS, SIDEWAYS),
    "behind an empty segment": jpeg(b"", SIDEWAYS),
    "XMP differs": make_jpeg.with_segments(
        RIGHT, (make_jpeg.APP1, XMP_PREFIX + xmp(1)), (make_jpeg.APP1, PREFIX + SIDEWAYS)
    ),
    "png": png(e_xif(SIDEWAYS)),
    "png LONG": png(e_xif(oriented(6, ">", LONG))),
    "png prefixed": png(e_xif(PREFIX + SIDEWAYS)),
    "png behind the picture": png(behind=e_xif(SIDEWAYS)),
    "png twice alike": png(e_xif(SIDEWAYS), behind=e_xif(SIDEWAYS)),
    "webp": webp((b"EXIF", SIDEWAYS)),
    "webp BYTE": webp((b"EXIF", oriented(6, ">", BYTE))),
    "webp prefixed": webp((b"EXIF", PREFIX + SIDEWAYS)),
    "webp the first of two": webp((b"EXIF", SIDEWAYS), (b"EXIF", UPRIGHT)),
    "tiff": tiff([6]),
    "tiff LONG": tiff([6], LONG, ">"),
    "bigtiff": tiff([6], big=True),
}
#: Some readers turn it, others do not.
DISPUTED = {
    **{name: jpeg(block((ORIENTATION, kind, [6]))) for name, kind in
       {"RATIONAL": RATIONAL, "FLOAT": FLOAT, "DOUBLE": DOUBLE, "UNDEFINED": UNDEFINED, "type 99": 99, "type 0": 0}.items()},
    "two values": jpeg(block((ORIENTATION, SHORT, [6, 1]))),
    "three values": jpeg(block((ORIENTATION, SHORT, [6, 6, 6]))),
    "two LONG": jpeg(block((ORIENTATION, LONG, [6, 6]))),
    "no values": jpeg(block((ORIENTATION, SHORT, [6], 0))),
    "LONG with more bits": jpeg(oriented(65_542, "<", LONG)),
    "LONG and SHORT differ": jpeg(twice(6, 1, LONG)),
    "in the Exif directory": jpeg(in_exif_directory()),
    "behind a silent segment": jpeg(SILENT, SIDEWAYS),
    "cut into two segments": jpeg(SIDEWAYS[:14], SIDEWAYS[14:]),
    "padded with FF": jpeg(SIDEWAYS, prefix=b"Exif\0\xff"),
    "number of a BigTIFF": jpeg(block((ORIENTATION, SHORT, [6]), order=">", magic=43)),
    "XMP alone": jpeg(xmp(6), prefix=XMP_PREFIX),
    "XMP element alone": jpeg(xmp(6, element=True), prefix=XMP_PREFIX),
    "XMP in other quotes": jpeg(xmp(6, quote="'"), prefix=XMP_PREFIX),
    "XMP by another name": jpeg(xmp(6).replace(b"tiff:", b"t:").replace(b":tiff=", b":t="), prefix=XMP_PREFIX),
    "XMP and silent EXIF": make_jpeg.with_segments(
        RIGHT, (make_jpeg.APP1, PREFIX + SILENT), (make_jpeg.APP1, XMP_PREFIX + xmp(6))
    ),
    "png first and last differ": png(e_xif(SIDEWAYS), behind=e_xif(UPRIGHT)),
    "png last and first differ": png(e_xif(UPRIGHT), behind=e_xif(SIDEWAYS)),
    "png wrong checksum": png(e_xif(SIDEWAYS, crc=5)),
    **{f"png {kind.decode()} {name}": png(raw(name, kind)) for kind in (b"tEXt", b"zTXt", b"iTXt") for name in ("exif", "APP1")},
    "png XMP": png(in_text(xmp(6))),
    "png XMP element": png(in_text(xmp(6, element=True))),
    "png packed XMP": png(in_text(xmp(6), packed=True)),
    "webp XMP": webp((b"XMP ", xmp(6))),
    "webp two values": webp((b"EXIF", block((ORIENTATION, SHORT, [6, 1])))),
    "tiff two values": tiff([6, 1]),
    "tiff three values": tiff([6, 1, 1]),
    "tiff XMP": make_tiff.tiff(RGB, extra={700: struct.unpack("<81I", xmp(6).ljust(324))}),
}  # fmt: skip
#: Everyone shows it as it is stored.
AS_STORED = {
    **{f"value {value}": jpeg(oriented(value)) for value in (0, 1, 9, 255, 65_535)},
    "ASCII": jpeg(block((ORIENTATION, ASCII, b"6"))),
    "four BYTE": jpeg(block((ORIENTATION, BYTE, [6, 6, 6, 6]))),
    "two values, the first upright": jpeg(block((ORIENTATION, SHORT, [1, 6]))),
    "two entries, the first upright": jpeg(twice(1, 6)),
    "two segments, the first upright": jpeg(UPRIGHT, SIDEWAYS),
    "of the thumbnail": jpeg(in_second_directory()),
    "number of nothing": jpeg(block((ORIENTATION, SHORT, [6]), magic=41)),
    "without padding": jpeg(SIDEWAYS, prefix=b"Exif\0"),
    "in capitals": jpeg(SIDEWAYS, prefix=b"EXIF\0\0"),
    "behind the end": RIGHT + make_jpeg.segment(make_jpeg.APP1, PREFIX + SIDEWAYS),
    "XMP differs": make_jpeg.with_segments(
        RIGHT, (make_jpeg.APP1, PREFIX + UPRIGHT), (make_jpeg.APP1, XMP_PREFIX + xmp(6))
    ),
    "png text differs": png(e_xif(UPRIGHT), raw("exif", b"zTXt")),
    "png text that is not packed": png(make_png.chunk(b"zTXt", b"Raw profile type exif\0\0nothing")),
    "webp without its flag": webp((b"EXIF", SIDEWAYS), flags=0),
    "webp the first upright": webp((b"EXIF", UPRIGHT), (b"EXIF", SIDEWAYS)),
    "tiff value 0": tiff([0]),
    "tiff value 9": tiff([9]),
}


@pytest.mark.parametrize("name", CLEAR)
def test_one_clear_claim_turns_the_picture_however_it_is_stored(name: str) -> None:
    header = header_of(CLEAR[name])
    assert (header.upright_size, header.disputed) == (TURNED, False)


@pytest.mark.parametrize("name", DISPUTED)
def test_where_readers_differ_the_header_says_so(name: str) -> None:
    assert header_of(DISPUTED[name]).disputed


@pytest.mark.parametrize("name", AS_STORED)
def test_what_nobody_takes_for_an_orientation_turns_nothing(name: str) -> None:
    header = header_of(AS_STORED[name])
    assert (header.upright_size, header.disputed) == (STORED, False)


#: Of these Pillow testifies nothing, and why.
NO_WITNESS = {"png wrong checksum": UnidentifiedImageError, "tiff XMP": TypeError}


def witnesses(name: str, data: bytes) -> list[tuple[int, int]]:
    """The sizes that Pillow and OpenCV show, of those that read the file."""

    def by_pillow() -> tuple[int, int]:
        with warnings.catch_warnings(action="ignore"):
            return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size

    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    sizes = [] if seen is None else [seen.shape[1::-1]]
    if (error := NO_WITNESS.get(name)) is None:
        return [*sizes, by_pillow()]
    with pytest.raises(error):
        by_pillow()
    return sizes


def test_where_witnesses_agree_we_agree_with_them_or_turn_a_clear_claim_or_refuse_to_mask() -> None:
    for name, data in (CLEAR | DISPUTED | AS_STORED).items():
        header, sizes = header_of(data), set(witnesses(name, data))
        assert len(sizes) != 1 or sizes == {header.upright_size} or name in CLEAR or header.disputed, name
        assert len(sizes) != 2 or header.upright_size == TURNED or header.disputed, name


def test_mask_refuses_what_is_disputed_with_words_and_detect_takes_the_claim(gallery: Gallery) -> None:
    data = DISPUTED["XMP alone"]
    with pytest.raises(BadImage, match="turn it upright and save it again without an orientation"):
        gallery.open(data, to_mask=True)
    picture = gallery.open(data)
    assert (picture.facts.width, picture.facts.height) == TURNED
    picture.close()


@pytest.mark.parametrize("name", ["LONG >", "BYTE >", "png LONG", "webp BYTE"])
def test_a_turned_picture_has_the_pixels_of_its_upright_twin(name: str) -> None:
    pixels, _alpha = read(CLEAR[name])
    assert np.abs(pixels.astype(int) - seen_upright(RGB, 6)).mean() < 12
