"""A TIFF as decoders are to see it: one page, one plain directory, and nothing that could mislead them.

The picture's own bytes stay where they are; only the header points to a new directory behind them. So a BigTIFF, a
directory out of order, counts that are missing or wrong, thumbnails before the picture and tags that no pixel needs
never reach a decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np

from gateway.pictures.headers import tiff
from gateway.pictures.headers.tiff import TiffLayout
from gateway.pictures.headers.tiff_directory import Numbers

_SHORT, _LONG, _UNDEFINED, _RATIONAL = 3, 4, 7, 5
_T4_OPTIONS, _T6_OPTIONS, _JPEG_TABLES, _COEFFICIENTS, _POSITIONING, _REFERENCE = 292, 293, 347, 529, 531, 532
#: What tells how the bytes become pixels, copied when it is there.
_NUMBERS = (tiff.FILL_ORDER, _T4_OPTIONS, _T6_OPTIONS, tiff.PREDICTOR, tiff.COLORMAP, tiff.SUBSAMPLING, _POSITIONING)
_BYTES = {_JPEG_TABLES: _UNDEFINED, _COEFFICIENTS: _RATIONAL, _REFERENCE: _RATIONAL}

Values = Sequence[int] | bytes


def plain(data: memoryview) -> memoryview:
    """The main page of a file that passed `tiff.check_complete`, not turned, with the samples it has."""
    layout = tiff.layout_of(data)
    page = layout.page
    tags: dict[int, tuple[int, Values]] = {
        tag: (_LONG if tag in (_T4_OPTIONS, _T6_OPTIONS) else _SHORT, page.values(tag).tolist())
        for tag in _NUMBERS
        if tag in page.entries
    }
    tags |= {tag: (kind, page.raw(tag)) for tag, kind in _BYTES.items() if tag in page.entries}
    if layout.extra:
        tags[tiff.EXTRA] = (_SHORT, layout.extra)
    offsets, sizes = tiff.pieces_of(layout)
    return _written(layout, layout.width, layout.photometric, layout.samples, layout.bits, offsets, sizes, tags)


def bytes_of(layout: TiffLayout, plane: int) -> memoryview:
    """A file whose grey pixels are the packed bytes of one plane: what unpacks it need not know what they mean."""
    offsets, sizes = tiff.pieces_of(layout)
    own = slice(plane * layout.pieces(), (plane + 1) * layout.pieces())
    fill = (_SHORT, [layout.page.value(tiff.FILL_ORDER, 1)])
    width = layout.row_bytes(layout.width)
    return _written(layout, width, tiff.BLACK_IS_ZERO, 1, 8, offsets[own], sizes[own], {tiff.FILL_ORDER: fill})


def _written(
    layout: TiffLayout,
    width: int,
    photometric: int,
    samples: int,
    bits: int,
    offsets: Numbers,
    sizes: Numbers,
    tags: Mapping[int, tuple[int, Values]],
) -> memoryview:
    where, counts = (tiff.TILE_OFFSETS, tiff.TILE_COUNTS) if layout.tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS)
    every: dict[int, tuple[int, Values]] = {
        tiff.WIDTH: (_LONG, [width]),
        tiff.HEIGHT: (_LONG, [layout.height]),
        tiff.BITS: (_SHORT, [bits] * samples),
        tiff.COMPRESSION: (_SHORT, [layout.compression]),
        tiff.PHOTOMETRIC: (_SHORT, [photometric]),
        tiff.SAMPLES: (_SHORT, [samples]),
        tiff.PLANAR: (_SHORT, [2 if layout.planes > 1 and samples > 1 else 1]),
        where: (_LONG, offsets.tolist()),
        counts: (_LONG, sizes.tolist()),
        **tags,
    }
    if layout.tiled:
        across = layout.piece[0] if width == layout.width else layout.row_bytes(layout.piece[0])
        every |= {tiff.TILE_WIDTH: (_LONG, [across]), tiff.TILE_HEIGHT: (_LONG, [layout.piece[1]])}
    else:
        every[tiff.ROWS_PER_STRIP] = (_LONG, [layout.piece[1]])
    return _file(layout.page.data, layout.page.order, every)


def _file(data: memoryview, order: str, tags: Mapping[int, tuple[int, Values]]) -> memoryview:
    """The bytes with a new header and, behind them, a directory of these tags in order."""
    start = len(data) + len(data) % 2
    after = start + 2 + len(tags) * 12 + 4
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag, (kind, content) in sorted(tags.items()):
        packed, count = _packed(order, kind, content)
        directory += struct.pack(order + "HHI", tag, kind, count)
        if len(packed) > 4:
            directory += struct.pack(order + "I", after + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            directory += packed.ljust(4, b"\0")
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, start)
    padding = b"\0" * (len(data) % 2)
    return memoryview(b"".join([head, data[8:], padding, directory, bytes(4), values]))


def _packed(order: str, kind: int, content: Values) -> tuple[bytes, int]:
    """The values' bytes, and their number."""
    if isinstance(content, bytes):
        return content, len(content) // (8 if kind == _RATIONAL else 1)
    dtype = np.dtype(order + ("u2" if kind == _SHORT else "u4"))
    return np.array(content, np.uint64).astype(dtype).tobytes(), len(content)
