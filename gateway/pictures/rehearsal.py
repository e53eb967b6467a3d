"""Everything a picture child needs, used once before its door closes: afterwards no module, codec or library loads."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import linecache
import traceback
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageCms

from gateway.pictures import heif_rewrite
from gateway.pictures.encode import OUTPUTS
from gateway.pictures.headers.coded_pictures import coded_by_hevc
from gateway.pictures.headers.heif import Layout
from gateway.pictures.headers.heif_boxes import Item, Property
from gateway.pictures.image_decode import decode_rows
from gateway.pictures.image_header import read_header
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_planes import read_planes, write_planes
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture_work import mask_picture, open_picture
from shared.errors import BadImage, BadParameter
from shared.faces import Faces
from shared.settings import DecodingSettings

_SIDE = 64
#: A grey picture of this size by x265, and the parameters it is decoded with.
_HEVC = bytes.fromhex("0000000e2801af0418fc1dd73fff382dc718")
_HEVC_SET_UP = bytes.fromhex(
    "0103700000009000000000001ef000fcfdf8f800000f03600001001840010c01ffff03700000030090000003000003001eba024061000100"
    "2b42010103700000030090000003000003001ea020810596ea4929ae6e021a0c0800000300c800000300084062000100074401c172b02240"
)
#: What texts in picture files are stored in; Python finds a codec when it is first asked for.
_CODECS = ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp437", "mac-roman")
#: What Python loads to tell of an exception.
TELLING = (traceback, linecache)


def rehearse(settings: DecodingSettings) -> None:
    """Decodes a small picture of every kind, hides a face in every way or annotates it, and encodes to every format."""
    Image.preinit()
    for name in _CODECS:
        codecs.lookup(name)
    for file, method, output in zip(_files(), itertools.cycle(METHODS), itertools.cycle(OUTPUTS), strict=False):
        _through(memoryview(file), MaskOptions(method=method, format=output), settings)
    _keep(settings)
    _rows_and_planes()
    _through(memoryview(file), MaskOptions(annotate=True), settings)
    srgb = ImageCms.createProfile("sRGB")
    ImageCms.applyTransform(Image.new("RGB", (1, 1)), ImageCms.buildTransform(srgb, srgb, "RGB", "RGB"))


def _rows_and_planes() -> None:
    """Some rows of a file, and its planes; where libjpeg cannot be called, every file is decoded whole."""
    data = memoryview(next(_files()))
    with contextlib.suppress(LibjpegError):
        decode_rows(data, read_header(data), np.arange(_SIDE) % 4 == 0)
        write_planes(read_planes(data), 90, [])


def _keep(settings: DecodingSettings) -> None:
    """A file that is kept but for its masks, whole and in rows, and one that cannot be.

    Where libjpeg cannot be called, none can.
    """
    file = memoryview(next(_files()))
    for data, reach in ((file, 0), (file, _SIDE // 2), (file[: len(file) // 2], 0)):
        with contextlib.suppress(BadParameter, BadImage):
            _through(data, MaskOptions(quality=KEEP), settings, reach)


def _through(data: memoryview, options: MaskOptions, settings: DecodingSettings, reach: int = 0) -> None:
    sides = (_SIDE // 2,)
    opened = open_picture(
        data, read_header(data), sides, settings, to_mask=True, kept=options.keeps, metadata="all", reach=reach
    )
    boxes = np.array([[8, 8, 40, 40]], np.float32)
    mask_picture(opened, Marks.all_of(Faces(boxes, np.ones(1, np.float32), None)), options, settings)


def _files() -> Iterator[bytes]:
    """Of every format, and by both decoders; with inks and transparency."""
    for name in INPUTS:
        yield (
            _heic()
            if name == "heic"
            else cv2.imencode(f".{name}", np.full((_SIDE, _SIDE, 3), 99, np.uint8))[1].tobytes()
        )
    for mode, format_name in (("RGBA", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "PNG")):
        file = io.BytesIO()
        Image.new(mode, (_SIDE, _SIDE)).save(file, format_name)
        yield file.getvalue()


def _heic() -> bytes:
    """Nothing here encodes it: one grey picture that is its own alpha."""
    item = Item(b"hvc1", extents=[(0, len(_HEVC))], properties=[Property(b"hvcC", memoryview(_HEVC_SET_UP), True)])
    layout = Layout(_SIDE, _SIDE, 1, 1, (item,), coded_by_hevc(_HEVC_SET_UP))
    return heif_rewrite.plain(memoryview(_HEVC), replace(layout, alpha=layout))
