"""`quality=keep`: a JPEG in which only the blocks under the masks change; every other keeps its numbers.

A mask grows to whole blocks of all planes, so that none holds both what is hidden and what is kept. What is written
is a new file: the coefficients, the tables of steps, the EXIF it is given and a colour profile; nothing else of the
old one, and nothing in it that depends on what was under the masks but the masks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import upright
from gateway.pictures.libjpeg import Component, Segment, StoredJpeg
from gateway.pictures.libjpeg_layout import GRAYSCALE, RGB
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.stored_frame import BACK, StoredFrame

_SIDE = 8
_SAMPLES = _SIDE * _SIDE
#: What a block of zeros would have as its first coefficient: samples are stored less 128.
_MIDDLE = 128 * _SIDE
#: Magnitudes that every Huffman table for 8 bits has room for.
_LARGEST = 1023
#: Rows of pixels that become blocks at once, for the memory that takes.
STRIP_ROWS = 128
_APP1, _APP2 = 0xE1, 0xE2
#: Bytes of a profile in one segment; 255 of them have room for any that is used (`headers.facts.PROFILE_BYTES_MAX`).
_PROFILE_PART = 65_519


def _cosines() -> NDArray[np.float64]:
    """(64, 64): a block's samples, row by row, times it are its coefficients. ITU T.81 A.3.3."""
    frequency, place = np.mgrid[:_SIDE, :_SIDE]
    line = np.cos((2 * place + 1) * frequency * np.pi / (2 * _SIDE)) / 2
    line[0] /= np.sqrt(2)
    return np.kron(line, line).T


_COSINES = _cosines()


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What is held of a JPEG to change only blocks of it: the file, and the profile its colours need."""

    data: bytes
    profile: bytes


class KeptJpeg:
    """A file that is masked block by block."""

    def __init__(self, file: KeptFile, header: Header, exif: bytes) -> None:
        """file: decoded without complaints before. exif: the block that is to be written. Raises LibjpegError."""
        self._stored = StoredJpeg(file.data)
        self._frame = StoredFrame(header.width, header.height, header.orientation)
        self._segments = [*_exif(exif), *_profile(file.profile)]
        components = self._stored.components
        self._across = max(each.across for each in components)
        self._down = max(each.down for each in components)
        self._cell = (
            _SIDE * max(self._across // each.across for each in components),
            _SIDE * max(self._down // each.down for each in components),
        )

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """Regions of the upright picture, each as large as the blocks of all planes that it touches."""
        return [
            replace(self._frame.on_grid(region, *self._cell), whole=region.whole, tilt=region.tilt)
            for region in regions
        ]

    def write(self, pixels: Pixels, regions: Sequence[Region]) -> memoryview:
        """The file with these regions, whole blocks, as `pixels`, (H, W, 3) uint8 BGR upright, shows them.

        Raises LibjpegError.
        """
        for region in regions:
            window = upright(region.of(pixels), BACK[self._frame.orientation])
            self._replace(self._frame.of(region), window)
        return self._stored.write(self._segments)

    def _replace(self, place: Region, window: Pixels) -> None:
        """The blocks of one stored region, from its pixels (rows, columns, 3) BGR."""
        across, down = self._cell
        rows = STRIP_ROWS // down * down
        for top in range(0, place.height, rows):
            strip = window[top : top + rows]
            below, beside = -strip.shape[0] % down, -strip.shape[1] % across
            whole = cv2.copyMakeBorder(strip, 0, below, 0, beside, cv2.BORDER_REPLICATE)
            for index, plane in enumerate(self._planes(whole)):
                self._replace_in(index, plane, place.left, place.top + top)

    def _planes(self, strip: cv2.typing.MatLike) -> Iterator[cv2.typing.MatLike]:
        """What each component stores of a strip of whole cells, at its own size."""
        if self._stored.space == GRAYSCALE:
            yield cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
            return
        samples, order = (strip, (2, 1, 0)) if self._stored.space == RGB else (_ycc(strip), (0, 2, 1))
        for channel, component in zip(order, self._stored.components, strict=True):
            plane = cv2.extractChannel(samples, channel)
            across, down = self._pixels_of(component)
            size = (plane.shape[1] // across, plane.shape[0] // down)
            yield cv2.resize(plane, size, interpolation=cv2.INTER_AREA) if across * down > 1 else plane

    def _replace_in(self, index: int, plane: cv2.typing.MatLike, left: int, top: int) -> None:
        component = self._stored.components[index]
        across, down = self._pixels_of(component)
        column, row = left // across // _SIDE, top // down // _SIDE
        for blocks in _coefficients(plane, component)[: component.rows - row]:
            taken = blocks[: component.columns - column]
            self._stored.row(index, row)[column : column + len(taken)] = taken
            row += 1

    def _pixels_of(self, component: Component) -> tuple[int, int]:
        """Columns and rows of pixels for one sample of a component."""
        return self._across // component.across, self._down // component.down


def _ycc(strip: cv2.typing.MatLike) -> cv2.typing.MatLike:
    return cv2.cvtColor(strip, cv2.COLOR_BGR2YCrCb)


def _coefficients(plane: cv2.typing.MatLike, component: Component) -> NDArray[np.int16]:
    """(8·r, 8·c) samples → (r, c, 64) quantised coefficients."""
    rows, columns = plane.shape[0] // _SIDE, plane.shape[1] // _SIDE
    samples = plane.reshape(rows, _SIDE, columns, _SIDE).swapaxes(1, 2).reshape(-1, _SAMPLES).astype(np.float32)
    values = samples @ (_COSINES / component.steps).astype(np.float32)
    values[:, 0] -= _MIDDLE / component.steps[0]
    np.clip(np.rint(values, out=values), -_LARGEST, _LARGEST, out=values)
    return values.astype(np.int16).reshape(rows, columns, _SAMPLES)


def _exif(block: bytes) -> Iterator[Segment]:
    """CIPA DC-008, 4.7.2."""
    if block:
        yield _APP1, b"Exif\0\0" + block


def _profile(profile: bytes) -> Iterator[Segment]:
    """In as many segments as it takes. ICC.1:2022, B.4."""
    parts = [profile[at : at + _PROFILE_PART] for at in range(0, len(profile), _PROFILE_PART)]
    for number, part in enumerate(parts, 1):
        yield _APP2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part
