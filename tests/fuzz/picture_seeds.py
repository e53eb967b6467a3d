"""Small files of every format, right and slightly wrong, from the builders of the hostile corpus."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from tests.hostile import make_bmp, make_heif, make_icc, make_jpeg, make_png, make_tiff, make_webp, rasters

_COLOURS = rasters.colours(16, 12)
_GREY = rasters.grey(16, 12)
_INDEXED, _PALETTE = rasters.indexed(16, 12)


def jpeg() -> Iterator[bytes]:
    right = make_jpeg.jpeg(_COLOURS, quality=60)
    yield right
    yield make_jpeg.jpeg(_COLOURS, progressive=True, quality=60)
    yield make_jpeg.jpeg(_GREY, quality=60)
    yield make_jpeg.jpeg(_COLOURS, subsampling=0, optimize=True, quality=60)
    yield make_jpeg.jpeg(_COLOURS, keep_rgb=True, quality=60)
    yield make_jpeg.jpeg(np.dstack([_COLOURS, _GREY]), "CMYK", quality=60)
    yield make_jpeg.jpeg(rasters.colours(16, 40), restart_marker_rows=1, quality=60)
    for order in "<>":
        yield make_jpeg.with_segments(right, (make_jpeg.APP1, make_jpeg.exif(6, order)))
    yield make_jpeg.with_segments(right, (make_jpeg.APP2, b"ICC_PROFILE\0\1\1" + make_icc.swapped_rgb()))
    yield make_jpeg.with_segments(right, (make_jpeg.COM, b"a comment"), (make_jpeg.DRI, b"\0\1"))
    yield make_jpeg.scan_bomb(16, 16, 3)
    yield make_jpeg.sized(right, 640, 480)
    yield right[:-2]
    yield right[: len(right) // 2] + make_jpeg.EOI
    yield right + right


def png() -> Iterator[bytes]:
    yield make_png.png(_COLOURS)
    yield make_png.png(_COLOURS, interlaced=True, idat_bytes=50)
    yield make_png.png(_COLOURS.astype(np.uint16) * 257, bits=16)
    yield make_png.png(np.dstack([_COLOURS, _GREY]), make_png.RGBA)
    yield make_png.png(np.dstack([_GREY, _GREY]), make_png.GREY_ALPHA)
    yield make_png.png(_INDEXED, make_png.PALETTE, 4, before=make_png.palette(_PALETTE))
    for kind, payload in (
        (b"eXIf", make_jpeg.exif(8)[6:]),
        (b"tRNS", bytes(6)),
        (b"tEXt", b"a\0b"),
        (b"gAMA", bytes(4)),
    ):
        yield make_png.png(_COLOURS, before=make_png.chunk(kind, payload), after=make_png.chunk(b"zzZz", b""))
    yield make_png.animated([_COLOURS, 255 - _COLOURS])
    yield make_png.animated([_COLOURS, 255 - _COLOURS], hidden_default=True, count=1)
    yield make_png.png(_COLOURS)[:-12]
    yield make_png.png(_COLOURS)[:-1] + b"?"


def tiff() -> Iterator[bytes]:
    for order in "<>":
        for big in (False, True):
            yield make_tiff.tiff(_COLOURS, order=order, big=big)
            yield make_tiff.tiff(_COLOURS, order=order, big=big, tile=16)
    for compression in (make_tiff.ADOBE_DEFLATE, make_tiff.DEFLATE, make_tiff.PACKBITS):
        yield make_tiff.tiff(_COLOURS, compression=compression, rows=5)
    for compression in ("tiff_lzw", "jpeg"):
        yield make_tiff.by_pillow(_COLOURS, compression)
    yield make_tiff.tiff(np.dstack([_COLOURS, _GREY]), extra={make_tiff.EXTRA_SAMPLES: [2]})
    yield make_tiff.tiff(np.dstack([_COLOURS, _GREY]), make_tiff.CMYK)
    yield make_tiff.tiff(_COLOURS.astype(np.uint16) * 257)
    colormap = {make_tiff.COLORMAP: [257 * each for each in range(256)] * 3}
    yield make_tiff.tiff(_INDEXED, make_tiff.INDEXED, extra=colormap)
    yield make_tiff.tiff(_COLOURS, extra={make_tiff.ORIENTATION: [6]})
    yield make_tiff.tiff(_COLOURS, extra={make_tiff.PLANAR: [2]})
    page = make_tiff.page(_GREY, make_tiff.BLACK_IS_ZERO)
    yield make_tiff.File([page, page, page]).bytes()
    yield make_tiff.File([page, page], following={1: 8}).bytes()
    thumbnail = make_tiff.page(_GREY, make_tiff.BLACK_IS_ZERO, extra={make_tiff.SUBFILE: [1]})
    yield make_tiff.File([thumbnail, page]).bytes()
    yield make_tiff.File([page, thumbnail]).bytes()


def bmp() -> Iterator[bytes]:
    rows = make_bmp.rows(_COLOURS[:, :, ::-1], 24)
    yield make_bmp.bmp(16, 12, 24, rows)
    yield make_bmp.bmp(16, -12, 24, rows)
    for size in (12, 56, 108, 124):
        yield make_bmp.bmp(16, 12, 24, rows, header_bytes=size)
    for bits in (1, 4, 8):
        packed = make_bmp.rows(_INDEXED & ((1 << bits) - 1), bits)
        yield make_bmp.bmp(16, 12, bits, packed, palette=_PALETTE[: 1 << bits])
    yield make_bmp.bmp(16, 12, 16, make_bmp.rows565(_COLOURS), compression=3, masks=(0xF800, 0x7E0, 0x1F))
    wide = make_bmp.rows(np.dstack([_COLOURS, _GREY]), 32)
    yield make_bmp.bmp(16, 12, 32, wide)
    yield make_bmp.bmp(16, 12, 32, wide, compression=3, masks=(0xFF, 0xFF00, 0xFF0000), header_bytes=108)
    yield make_bmp.bmp(16, 12, 8, make_bmp.rle8(_INDEXED), compression=1, palette=_PALETTE)
    yield make_bmp.bmp(16, 12, 8, make_bmp.rle8_absolute(_INDEXED), compression=1, palette=_PALETTE)
    yield make_bmp.bmp(16, 12, 4, make_bmp.rle4(_INDEXED), compression=2, palette=_PALETTE)
    yield make_bmp.bmp(16, 12, 24, rows, offset=14)


def webp() -> Iterator[bytes]:
    lossy, lossless = make_webp.webp(_COLOURS, quality=60), make_webp.webp(_COLOURS, lossless=True)
    yield lossy
    yield lossless
    yield make_webp.webp(np.dstack([_COLOURS, _GREY]), quality=60)
    yield make_webp.webp(_COLOURS, lossless=True, icc_profile=make_icc.swapped_rgb())
    yield make_webp.webp(_COLOURS, quality=60, exif=make_jpeg.exif(5)[6:])
    yield make_webp.animated([_COLOURS, 255 - _COLOURS])
    canvas = make_webp.extended(0, 16, 12)
    (picture,) = make_webp.chunks(lossy)
    yield make_webp.riff([canvas, picture, (b"XMP ", b"<x/>")])
    yield make_webp.riff([make_webp.extended(make_webp.ANIMATION, 16, 12), (b"ANIM", bytes(6)),
                          make_webp.animation_frame(0, 0, 16, 12, picture)])  # fmt: skip
    yield make_webp.riff([picture], size=40)
    yield lossy + b"behind the end"


def heif() -> Iterator[bytes]:
    """HEIC and AVIF alike."""
    square = rasters.colours(64, 64)
    for encode in (make_heif.heic, make_heif.avif):
        still = make_heif.parts(encode(_COLOURS, quality=50))
        block = make_heif.Item(b"Exif", b"\0\0\0\6" + make_jpeg.exif(6), hidden=True)
        yield make_heif.still(still)
        yield make_heif.still(still.having(make_heif.turned(1), make_heif.mirrored(0), make_heif.numbers(12, 13)))
        yield make_heif.still(still.having(make_heif.cropped(12, 10)), block, references=((b"cdsc", 2, (1,)),))
        yield make_heif.still(still, still, behind=make_heif.box(b"moov"))
        yield encode(np.dstack([_COLOURS, _GREY]), quality=50)
        tile = make_heif.parts(encode(square, quality=30))
        whole = make_heif.Item(
            b"grid", struct.pack(">BBBBHH", 0, 0, 0, 1, 100, 60), (make_heif.size(100, 60),), inside=True
        )
        yield make_heif.still(whole, tile, tile, references=((b"dimg", 1, (2, 3)),))


def exif() -> Iterator[bytes]:
    for order in "<>":
        for kind in (1, 3, 4):
            block = make_jpeg.exif(6, order, kind, gps=True)
            yield block
            yield block[6:]
    yield b"II*\0\x08\0\0\0\xff\xff"
    yield b"MM\0*\xff\xff\xff\xff"
    yield b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 9, 0) + struct.pack("<I", 8)
