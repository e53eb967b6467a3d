"""TIFF and BigTIFF: the facts of the main page, and whether every strip or tile of it is in the file.

TIFF 6.0, Adobe's supplement 2. Alone knows which kinds of TIFF are accepted and who reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gateway.pictures.headers import exif
from gateway.pictures.headers.facts import Format, Header
from gateway.pictures.headers.tiff_directory import Directory, Numbers, main_page
from shared.errors import BadImage
from shared.settings import DecodingSettings

FORMAT: Format = "tiff"

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 277, 278, 279
LARGEST, PLANAR, PREDICTOR, COLORMAP = 281, 284, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
INK_SET, EXTRA, SAMPLE_FORMAT, SUBSAMPLING, XMP, PROFILE = 332, 338, 339, 530, 700, 34675

WHITE_IS_ZERO, BLACK_IS_ZERO, TRUE_COLOUR, INDEXED, INKS, LUMA, CIE_LAB, ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
#: How many samples a pixel has before any extra ones.
BASE = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, TRUE_COLOUR: 3, INDEXED: 1, INKS: 4, LUMA: 3, CIE_LAB: 3, ICC_LAB: 3}
_DEPTHS = {
    **dict.fromkeys((WHITE_IS_ZERO, BLACK_IS_ZERO), (1, 2, 4, 8, 12, 16)),
    **dict.fromkeys((TRUE_COLOUR, INKS, CIE_LAB, ICC_LAB), (8, 12, 16)),
    INDEXED: (1, 2, 4, 8),
    LUMA: (8,),
}
NONE, LZW, JPEG, ADOBE_DEFLATE, DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
_FAX = (2, 3, 4)
#: Those that give back the bytes which were packed, so that any samples can be read out of them.
LOSSLESS = frozenset({NONE, LZW, ADOBE_DEFLATE, DEFLATE, PACKBITS})
PREDICTED = frozenset({LZW, ADOBE_DEFLATE, DEFLATE})
_HORIZONTAL = 2
_UNSIGNED, _SIGNED, _UNDEFINED = 1, 2, 4
_ALPHAS = (1, 2)  # multiplied into the colours, or not
_PLANES_APART = 2


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How the samples of a page lie. planes: 1, or one for each sample. piece: width and height of a strip or tile."""

    page: Directory
    width: int
    height: int
    samples: int
    bits: int
    compression: int
    photometric: int
    planes: int
    tiled: bool
    piece: tuple[int, int]

    @property
    def extra(self) -> tuple[int, ...]:
        """What each sample beyond the colours is: 0 anything, 1 and 2 alpha."""
        told = [int(value) for value in self.page.values(EXTRA, 64)]
        count = max(0, self.samples - BASE.get(self.photometric, self.samples))
        return tuple([*told, *[0] * count][:count])

    @property
    def alpha(self) -> int | None:
        """Which sample is the alpha."""
        places = (index for index, kind in enumerate(self.extra) if kind in _ALPHAS)
        return next((self.samples - len(self.extra) + place for place in places), None)

    @property
    def differences(self) -> bool:
        """Whether each sample is stored as its difference to the one on its left."""
        return self.compression in PREDICTED and self.page.value(PREDICTOR, 1) == _HORIZONTAL

    @property
    def signed(self) -> bool:
        """Whether its samples may be below zero. Of 8 bits none are: every reader takes them as unsigned."""
        return self.bits > 8 and _SIGNED in _formats(self)

    def row_bytes(self, width: int) -> int:
        """Bytes of one row of one plane, `width` pixels wide."""
        return (width * self.bits * (self.samples // self.planes) + 7) // 8

    def pieces(self) -> int:
        """How many strips or tiles one plane has."""
        return -(-self.width // self.piece[0]) * -(-self.height // self.piece[1])

    def unpacked(self) -> Numbers:
        """(pieces,) uint64: how many bytes each strip or tile of one plane has when unpacked."""
        across, down = self.piece
        rows = np.full(self.pieces(), down, np.uint64)
        if not self.tiled:
            rows[-1] = self.height - (len(rows) - 1) * down
        if self.photometric == LUMA and self.planes == 1 and self.compression != JPEG:
            return self._unpacked_luma(across, rows)
        return rows * np.uint64(self.row_bytes(across))

    def _unpacked_luma(self, across: int, rows: Numbers) -> Numbers:
        """Blocks of several lumas that share two chromas, whole at the right and the lower edge."""
        horizontal, vertical = ([int(value) for value in self.page.values(SUBSAMPLING, 2)] + [2, 2])[:2]
        if horizontal not in (1, 2, 4) or vertical not in (1, 2, 4):
            raise BadImage("The TIFF file is corrupt: its colours are subsampled in no known way")
        blocks = -(-across // horizontal) * (horizontal * vertical + 2)
        return -(-rows.astype(np.int64) // vertical).astype(np.uint64) * np.uint64(blocks)


def read(data: memoryview) -> Header:
    """Facts from the main page, pages from the chain."""
    page, pages = main_page(data)
    layout = _layout(page)
    orientation, disputed = exif.settled([exif.claim_at(data, page.order, page.start, big=page.big)], page.raw(XMP))
    lab = layout.photometric in (CIE_LAB, ICC_LAB)
    profile = page.entries.get(PROFILE)
    return Header(
        FORMAT,
        layout.width,
        layout.height,
        orientation,
        pages,
        samples=layout.samples,
        bits=layout.bits,
        alpha=layout.alpha is not None,
        icc=0 if profile is None or lab else max(1, profile.count),  # Lab says itself what its colours are
        cmyk=layout.photometric == INKS,
        decoder=_decoder(layout),
        disputed=disputed,
        raster_bytes=_raster_bytes(layout),
    )


def layout_of(data: memoryview) -> TiffLayout:
    """How the main page's samples lie. Raises BadImage."""
    return _layout(main_page(data)[0])


def _layout(page: Directory) -> TiffLayout:
    width, height, samples = page.value(WIDTH, 0), page.value(HEIGHT, 0), page.value(SAMPLES, 1)
    depths = {int(bits) for bits in page.values(BITS, max(1, min(samples, 64)))} or {1}
    if not width or not height or not 1 <= samples <= 64 or not 1 <= min(depths) <= max(depths) <= 64:
        raise BadImage(f"The TIFF directory is wrong ({width}×{height}, {samples} samples of {max(depths)} bits)")
    if len(depths) > 1:
        raise BadImage("TIFF whose samples have different sizes is not accepted; save it with 8 or 16 bits a sample")
    tiled = TILE_WIDTH in page.entries or TILE_OFFSETS in page.entries
    if tiled:
        piece = (page.value(TILE_WIDTH, 0), page.value(TILE_HEIGHT, 0))
    else:
        piece = (width, min(page.value(ROWS_PER_STRIP, height), height))
    if not all(piece):
        raise BadImage(f"The TIFF file is corrupt: its {'tiles' if tiled else 'strips'} have no size")
    layout = TiffLayout(
        page,
        width,
        height,
        samples,
        depths.pop(),
        page.value(COMPRESSION, NONE),
        _photometric(page),
        samples if page.value(PLANAR, 1) == _PLANES_APART else 1,
        tiled,
        piece,
    )
    if layout.planes > 1 and layout.extra and layout.alpha is None:  # planes that nobody looks at need not be there
        base = BASE[layout.photometric]
        return replace(layout, samples=base, planes=base)
    return layout


def _photometric(page: Directory) -> int:
    if PHOTOMETRIC not in page.entries:
        raise BadImage("The TIFF file does not say what its values mean; save it again as RGB")
    return page.value(PHOTOMETRIC, 0)


def _decoder(layout: TiffLayout) -> Literal["opencv", "pillow", "samples"]:
    """Who reads it rightly. Raises BadImage, with what to do, when nobody does.

    OpenCV 5.0 reads what programs write every day. It multiplies colours with their alpha, refuses raw tiles of some
    sizes, inks with more channels, 2, 4 and 12 bits, and gets Lab wrong; those are put together from their samples.
    """
    _refuse_strange(layout)
    common = layout.photometric not in (CIE_LAB, ICC_LAB) and not (layout.tiled or layout.alpha is not None)
    if layout.compression not in LOSSLESS:
        return "opencv" if common and layout.bits in (1, 8) else "pillow"
    if layout.photometric == LUMA or (layout.tiled and layout.bits < 8):
        return "opencv" if layout.photometric == LUMA else "pillow"
    return "opencv" if common and layout.bits in (1, 8) and not layout.extra else "samples"


def _refuse_strange(layout: TiffLayout) -> None:
    """Raises BadImage for what no two readers show alike."""
    if layout.compression not in LOSSLESS | {JPEG, *_FAX}:
        words = f"TIFF compression {layout.compression} is not accepted; save it uncompressed or with LZW or Deflate"
        raise BadImage(words)
    if layout.photometric not in BASE:
        raise BadImage("TIFF of a rare kind (raw sensor data, a mask, a colour space) is not accepted; save it as RGB")
    if _formats(layout) - {_UNSIGNED, _SIGNED, _UNDEFINED}:
        raise BadImage("TIFF of floating-point or complex samples is not accepted; save it with 8 or 16 bits")
    if layout.compression in PREDICTED and layout.page.value(PREDICTOR, 1) not in (1, _HORIZONTAL):
        raise BadImage("TIFF with this predictor is not accepted; save it uncompressed or with LZW or Deflate")
    if layout.samples < BASE[layout.photometric]:
        raise BadImage("The TIFF file is corrupt: it has fewer samples than its colours need")
    if layout.photometric == INKS and (layout.page.value(INK_SET, 1) != 1 or layout.alpha is not None):
        raise BadImage("TIFF of inks other than CMYK, or with a channel for alpha, is not accepted; save it as RGB")
    if layout.compression == JPEG and (layout.bits != 8 or layout.photometric == ICC_LAB):
        raise BadImage("This kind of JPEG in a TIFF is not accepted; save it uncompressed or with LZW or Deflate")


def _formats(layout: TiffLayout) -> set[int]:
    return {int(value) for value in layout.page.values(SAMPLE_FORMAT, 64)}


def _raster_bytes(layout: TiffLayout) -> int:
    """Bytes of all strips or tiles when unpacked: a tile may be far larger than the picture it covers."""
    across, down = layout.piece
    rows = -(-layout.height // down) * down if layout.tiled else layout.height
    columns = -(-layout.width // across) * across
    return columns * rows * layout.samples * layout.bits // 8


def profile(data: memoryview) -> bytes | None:
    """The colour profile of the main page."""
    page, _pages = main_page(data)
    return page.raw(PROFILE) if PROFILE in page.entries else None


def check_complete(data: memoryview, header: Header, settings: DecodingSettings) -> None:
    """Raises BadImage when a strip or tile of the main page is not whole, or its samples have a size nobody reads."""
    del settings
    assert header.format == FORMAT
    layout = layout_of(data)
    if layout.bits not in _DEPTHS[layout.photometric]:
        raise BadImage(f"TIFF of {layout.bits} bits a sample is not accepted; save it with 8 or 16")
    pieces_of(layout)


def pieces_of(layout: TiffLayout) -> tuple[Numbers, Numbers]:
    """(n,) offsets and (n,) bytes of every strip or tile, plane after plane. Raises BadImage when one is not whole.

    Of raw samples the bytes follow from the picture, whatever the file counts; where it counts fewer, the next thing
    in the file must leave them room. Packed ones without a count end where the next thing begins.
    """
    page, needed = layout.page, layout.pieces() * layout.planes
    offsets = page.values(TILE_OFFSETS if layout.tiled and TILE_OFFSETS in page.entries else STRIP_OFFSETS)
    counts = page.values(TILE_COUNTS if layout.tiled and TILE_COUNTS in page.entries else STRIP_COUNTS)
    if len(offsets) < needed:
        raise BadImage("The TIFF file is corrupt: its table of strips is not whole")
    counted = np.zeros(needed, np.uint64)
    counted[: len(counts)] = counts[:needed]
    offsets = offsets[:needed]
    room, end = _room(layout, offsets), np.uint64(len(page.data))
    left = end - np.minimum(offsets, end)
    if layout.compression == NONE:
        sizes = np.tile(layout.unpacked(), layout.planes)
        left = np.where((counted > 0) & (counted < sizes), room, left)
    else:
        sizes = np.where(counted > 0, counted, room)
    if not sizes.all() or (offsets < 8).any() or (sizes > left).any():
        raise BadImage("The TIFF file is truncated: a strip lies outside the file")
    return offsets, sizes


def _room(layout: TiffLayout, offsets: Numbers) -> Numbers:
    """(n,) uint64: bytes from each offset to the next thing in the file: a strip, the directory, or the end."""
    end = np.uint64(len(layout.page.data))
    things = np.unique(np.concatenate([offsets, np.array([layout.page.start, end], np.uint64)]))
    following = np.searchsorted(things, offsets, side="right")
    return np.append(things, end)[following] - np.minimum(offsets, end)
