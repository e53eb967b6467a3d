"""Small files all the way: opened, masked and encoded in this process. Only declared errors come out of Python.

A decoder that ends the process is what picture children are for (`gateway/pictures/child_process.py`); what must not
happen is an exception of a kind that nobody expects, which would end a child as well, as a mistake of ours.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from unittest import mock

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures import image_decode, picture_work
from gateway.pictures.encode import OUTPUTS
from gateway.pictures.exif_tags import METADATA
from gateway.pictures.headers.facts import Header
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_planes import read_planes
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture_work import mask_picture, open_picture
from shared.errors import BadImage, BadParameter, TooLarge
from shared.faces import Faces
from shared.settings import Settings
from tests import in_rows
from tests.fuzz import picture_seeds
from tests.fuzz.pictures import accepted
from tests.fuzz.target import check_words
from tests.hostile import make_icc, make_jpeg, make_png, make_webp, rasters

_SETTINGS = Settings()
#: Larger ones take long and show nothing more.
_PIXELS_MAX = 128 * 128
_DECODED_BYTES_MAX = 1 << 20
_SIDE = 64
_METHODS, _OUTPUTS = tuple(METHODS), tuple(OUTPUTS)
_FACE = Faces(np.float32([[3, 2, 9, 8]]), np.float32([0.9]), None)


def check_whole(data: bytes) -> None:
    """A picture as its header says and a masked one, or a refusal with words; some rows of a JPEG as in the whole."""
    header = accepted(data)
    if header is None or header.width * header.height > _PIXELS_MAX or header.decoded_bytes > _DECODED_BYTES_MAX:
        return
    if header.format == "jpeg":
        check_kept(data, header)
        check_planes(data)
        in_rows.check(memoryview(data), header, next(in_rows.patterns(header.height, zlib.crc32(data))))
    try:
        serve(data, header)
    except (BadImage, TooLarge, BadParameter) as error:
        check_words(error)


def check_kept(data: bytes, header: Header) -> None:
    """Where only the rows with masks of a JPEG are read and written, it is the picture that the whole way writes."""
    choice = zlib.crc32(data)
    reach = max(header.width, header.height) // (1, 2, 4)[choice % 3]
    kept = partial(_kept, data, header, ("solid", "pixelate", "erase")[choice // 3 % 3])
    try:
        in_rows_alone = kept(reach)
        with mock.patch.object(picture_work, "cut", side_effect=LibjpegError):
            whole = kept(0)
    except (BadImage, TooLarge, BadParameter) as error:
        check_words(error)
        return
    for one, other in zip(_numbers(in_rows_alone), _numbers(whole), strict=True):
        assert np.array_equal(one, other)


def check_planes(data: bytes) -> None:
    """Where a file is read in planes, OpenCV decodes it to the same brightness."""
    try:
        y, _cb, _cr = read_planes(data).of_picture()
    except LibjpegError:
        return
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    assert np.array_equal(y, grey)


def _kept(data: bytes, header: Header, method: str, reach: int) -> bytes:
    opened = open_picture(memoryview(data), header, (_SIDE,), _SETTINGS, to_mask=True, kept=True, reach=reach)
    options = MaskOptions(method=method, format="jpeg", quality=KEEP, strength=9)
    return bytes(mask_picture(opened, Marks.all_of(_FACE), options, _SETTINGS).data)


def _numbers(data: bytes) -> list[NDArray[np.int16]]:
    """Of each component."""
    file = StoredJpeg(data)
    return [file.plane(index).copy() for index in range(len(file.components))]


def serve(data: bytes, header: Header) -> None:
    """Opens, masks and encodes; how is chosen by the bytes. Raises what the pipeline raises."""
    choice = zlib.crc32(data)
    options = MaskOptions(
        method=_METHODS[choice % len(_METHODS)],
        format=_OUTPUTS[choice // 8 % len(_OUTPUTS)],
        strength=99 if choice & 1024 else 9,
    )
    if header.format == "jpeg" and not header.cmyk and choice & 4:
        options = msgspec.structs.replace(options, format="jpeg", quality=KEEP)
    told, planar = METADATA[choice // 64 % len(METADATA)], options.writes_planes and bool(choice & 512)
    with mock.patch.object(image_decode, "_PLANES_PIXELS_MIN", 1):
        opened = open_picture(
            memoryview(data), header, (_SIDE,), _SETTINGS,
            to_mask=True, kept=options.keeps, metadata=told, planar=planar,
        )  # fmt: skip
    width, height = header.upright_size
    if opened.planes is None:
        assert opened.pixels.shape == (height, width, 3)
        assert opened.pixels.dtype == np.uint8
    else:
        assert (opened.planes.width, opened.planes.height) == (width, height)
    assert all(crop.side == _SIDE and max(crop.pixels.shape[:2]) <= _SIDE for crop in opened.crops)
    assert len(mask_picture(opened, Marks.all_of(_FACE), options, _SETTINGS).data) > 0


def check_profile(data: bytes) -> None:
    """The first byte chooses the kind of file, the rest is its profile; none makes a picture unreadable."""
    file = _PROFILED[data[0] % len(_PROFILED)](data[1:]) if data else _PROFILED[0](b"")
    header = accepted(file)
    assert header is not None, "refused for its profile"
    serve(file, header)


_COLOURS, _GREY = rasters.colours(16, 12), rasters.grey(16, 12)
_JPEG = make_jpeg.jpeg(_COLOURS)
_INKS = make_jpeg.jpeg(np.dstack([_COLOURS, _GREY]), "CMYK")
(_WEBP,) = make_webp.chunks(make_webp.webp(_COLOURS))


def _in_png(pixels: NDArray[np.uint8], colour: int, profile: bytes) -> bytes:
    return make_png.png(pixels, colour, before=make_png.chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)))


def _in_jpeg(file: bytes, profile: bytes) -> bytes:
    return make_jpeg.with_segments(file, (make_jpeg.APP2, b"ICC_PROFILE\0\1\1" + profile))


def _in_webp(profile: bytes) -> bytes:
    return make_webp.riff([make_webp.extended(make_webp.ICC, 16, 12), (b"ICCP", profile), _WEBP])


def _in_tiff(profile: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_COLOURS).save(file, "TIFF", icc_profile=profile or b"\0")
    return file.getvalue()


_PROFILED: tuple[Callable[[bytes], bytes], ...] = (
    partial(_in_png, _COLOURS, make_png.RGB),
    partial(_in_png, _GREY, make_png.GREY),
    partial(_in_jpeg, _JPEG),
    partial(_in_jpeg, _INKS),
    _in_webp,
    _in_tiff,
)


def whole_seeds() -> Iterator[bytes]:
    for seeds in (
        picture_seeds.jpeg,
        picture_seeds.png,
        picture_seeds.tiff,
        picture_seeds.bmp,
        picture_seeds.webp,
        picture_seeds.heif,
    ):
        yield from seeds()
    yield from (
        b"GIF89a" + bytes(20),
        b"\0\0\0\x18ftypheic" + bytes(12),
        b"%PDF-1.7",
        b"<html>",
        b"\x1f\x8b\x08",
        b"/9j/4AAQSk",
        b"",
    )


def profile_seeds() -> Iterator[bytes]:
    for profile in (make_icc.swapped_rgb(), make_icc.dark_grey(), make_icc.red_cyan(), b"", bytes(200)):
        for stored in range(len(_PROFILED)):
            yield bytes([stored]) + profile
