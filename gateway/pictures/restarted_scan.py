"""The data of a JPEG's only scan where a restart marker stands behind each row of MCUs, as iPhones write it.

Such a row means what it says whatever stands before it, and begins with a byte: rows are cut and joined as they are
stored, but for the numbers of their markers, 0 to 7 again and again. ITU T.81 annexes B and E.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.jpeg_data import Stored, file_of, head_and_data, size_of
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_rows import ReadScan

_RST0, _NUMBERS = 0xD0, 8


@dataclass(frozen=True, slots=True)
class RestartedScan:
    """A file's head and the data of its scan.

    begins: (rows + 1,) the byte at which each row of MCUs begins, and at which the data end. factors: of each
    component, across and down. height: pixels of the picture. mcu_height: pixels of a row.
    """

    head: bytes
    data: Stored
    begins: NDArray[np.int64]
    factors: tuple[tuple[int, int], ...]
    height: int
    mcu_height: int

    @property
    def rows(self) -> int:
        return len(self.begins) - 1

    @staticmethod
    def flat_rows(_top: int) -> int:
        """A part has none above its own."""
        return 0

    def part(self, top: int, bottom: int) -> bytes:
        """A file of the rows `top` to `bottom` - 1, as wide as the picture."""
        begin, end = (int(self.begins[row]) for row in (top, bottom))
        own = _numbered(self.data[begin : end - 2 * (bottom < self.rows)], self.begins[top + 1 : bottom] - begin, 0)
        height = min(bottom * self.mcu_height, self.height) - top * self.mcu_height
        return file_of(self.head, height, own.data)

    def piece(self, top: int, bottom: int) -> Stored:
        """Rows with the markers behind them."""
        return self.data[int(self.begins[top]) : int(self.begins[bottom])]

    def written(self, part: Bytes, top: int, *, ends_in_a_number: bool) -> tuple[bytes, Stored]:  # noqa: ARG002
        """The head of a part that libjpeg has written, which begins with row `top`, and its rows."""
        head, data = head_and_data(part)
        behind = restarts_in(data) + 2
        bottom = top + len(behind) + 1
        data = _numbered(data, behind, top)
        return head, data if bottom == self.rows else np.append(data, _marker(bottom - 1))

    def whole(self, head: bytes, top: int, parts: Sequence[Stored]) -> bytes:
        """A file as high as this one: its own rows before `top`, then parts. head: of another, up to its data."""
        return file_of(head, self.height, *(each.data for each in (self.piece(0, top), *parts)))


def restarted_of(data: Bytes, read: ReadScan) -> RestartedScan:
    """data: the file that was read. Raises LibjpegError where a row has no marker of its own."""
    head, stored = head_and_data(data)
    height, _width = size_of(head)
    mcu_height = 8 * max(down for _across, down in read.factors)
    begins = np.array([0, *(restarts_in(stored) + 2), len(stored)], np.int64)
    if len(begins) - 1 != -(-height // mcu_height):
        raise LibjpegError("restarts that are not rows")
    return RestartedScan(head, stored.copy(), begins, read.factors, height, mcu_height)


def restarts_in(data: Stored) -> NDArray[np.intp]:
    """Where markers stand in the data of a scan. Raises LibjpegError where one is another than the next restart."""
    marks: NDArray[np.intp] = np.flatnonzero(data[:-1] == 0xFF)
    marks = marks[data[marks + 1] != 0]
    if (data[marks + 1] != _RST0 + np.arange(len(marks)) % _NUMBERS).any():
        raise LibjpegError("restarts that do not follow one another")
    return marks


def _numbered(data: Stored, behind: NDArray[np.int64], first: int) -> Stored:
    """A copy whose markers tell the ends of row `first` and of those that follow it. behind: where these end."""
    data = data.copy()
    data[behind - 1] = _RST0 + (first + np.arange(len(behind))) % _NUMBERS
    return data


def _marker(row: int) -> Stored:
    return np.array((0xFF, _RST0 + row % _NUMBERS), np.uint8)
