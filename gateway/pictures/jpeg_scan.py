"""The data of a JPEG's only scan, as bits: cut between its rows of MCUs, and joined again.

Rows can be looked at by themselves, as a file of their own, and what is put in their place is joined with what stays:
those bits are copied, whatever they say. ITU T.81 annexes B and F.

A row's first blocks are told from the last ones of the row before it. So a part begins with a flat row that ends where
that row did, and what follows it means what it meant in the file. The first row needs none, and must have none: colours
are smoothed over rows, but not over the picture's edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.anonymous_memory import Bytes
from gateway.pictures.jpeg_data import Stored, file_of, head_and_data, size_of
from gateway.pictures.libjpeg_calls import Codes, LibjpegError, usual_codes
from gateway.pictures.libjpeg_rows import ReadScan, read_scan

#: (N,) uint8 that hold bits, the first one highest; and from which to which of them.
Plain = NDArray[np.uint8]
Piece = tuple[Plain, int, int]
#: What is looked at of a file that was written: where its rows begin, for which the smallest picture will do.
_SMALLEST = 8

_END_OF_BLOCK = 0
_LENGTHS = 16
_STUFFED, _STUFFING = b"\xff", b"\xff\0"


@dataclass(frozen=True, slots=True)
class JpegScan:
    """A file's head and the data of its scan.

    stuffing: (N,) which bytes of the data are that. begins: (rows + 1,) the bit at which each row of MCUs begins, and
    at which the last one ends, stuffing not counted. first, factors, codes: as in `ReadScan`. mcus: in a row. height:
    pixels of the picture. mcu_height: pixels of a row.
    """

    head: bytes
    data: Stored
    stuffing: NDArray[np.intp]
    begins: NDArray[np.int64]
    first: NDArray[np.int64]
    factors: tuple[tuple[int, int], ...]
    codes: tuple[int, ...]
    mcus: int
    height: int
    mcu_height: int

    @property
    def rows(self) -> int:
        return len(self.begins) - 1

    @staticmethod
    def flat_rows(top: int) -> int:
        """Rows of MCUs in a part before those it is of, which begin with row `top` of the picture."""
        return min(top, 1)

    def part(self, top: int, bottom: int) -> bytes:
        """A file of the rows `top` to `bottom` - 1, as wide as the picture, with `flat_rows` above them.

        Raises LibjpegError where these cannot be coded.
        """
        height = min(bottom * self.mcu_height, self.height) + (self.flat_rows(top) - top) * self.mcu_height
        return file_of(self.head, height, _stuffed([*self._above(top), self.piece(top, bottom)]))

    def lead(self, top: int) -> int:
        """The bits before row `top` in a part that begins with it, or in one that was read and written again."""
        return sum(end - begin for _plain, begin, end in self._above(top))

    def written(self, part: Bytes, top: int, *, ends_in_a_number: bool) -> tuple[bytes, Piece]:
        """The head of a part that libjpeg has written, which begins with row `top`, and the bits of its rows.

        ends_in_a_number: see `StoredJpeg`; where its bits end is then seen by reading it once more.
        """
        if not ends_in_a_number:
            return tail_of(part, self.lead(top))
        fresh = scan_of(part, read_scan(part, _SMALLEST))
        return fresh.head, fresh.piece(self.flat_rows(top), fresh.rows)

    def _above(self, top: int) -> list[Piece]:
        return [self._flat_row(self.first[top].tolist())] * self.flat_rows(top)

    def _flat_row(self, first: list[int]) -> Piece:
        """A row of MCUs in which nothing changes. first: (components,) the first coefficients of all its blocks."""
        begun, same = "", ""
        for value, (across, down), number in zip(first, self.factors, self.codes, strict=True):
            dc, ac = _usual_words(number)
            size = abs(value).bit_length()
            if size not in dc:
                raise LibjpegError("coefficients out of range")
            told = f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""
            flat = dc[0] + ac[_END_OF_BLOCK]
            begun += dc[size] + told + ac[_END_OF_BLOCK] + flat * (across * down - 1)
            same += flat * across * down
        bits = np.frombuffer((begun + same * (self.mcus - 1)).encode(), np.uint8) - ord("0")
        return np.packbits(bits), 0, len(bits)

    def piece(self, top: int, bottom: int) -> Piece:
        """The bits of rows."""
        return self._bits(int(self.begins[top]), int(self.begins[bottom]))

    def whole(self, head: bytes, top: int, parts: Sequence[Piece]) -> bytes:
        """A file as high as this one: its own rows before `top`, then parts. head: of another, up to its data."""
        end = int(self.begins[top])
        full = end // 8  # bytes that are copied as they are stored
        begun = self.data[: self._stored_at(full)].data
        return file_of(head, self.height, begun, _stuffed([self._bits(full * 8, end), *parts]))

    def _bits(self, begin: int, end: int) -> Piece:
        first = begin // 8
        start, stop = self._stored_at(first), self._stored_at(-(-end // 8))
        inside = slice(*np.searchsorted(self.stuffing, (start, stop)))
        return _unstuffed(self.data[start:stop], self.stuffing[inside] - start), begin - first * 8, end - first * 8

    def _stored_at(self, plain: int) -> int:
        """Where a byte is stored, were no stuffing counted until it."""
        return plain + int(np.searchsorted(self.stuffing - np.arange(len(self.stuffing)), plain, side="right"))


def scan_of(data: Bytes, read: ReadScan) -> JpegScan:
    """data: the file that was read. Raises LibjpegError where its data are not one piece with stuffing alone."""
    whole = memoryview(data)
    stored = np.frombuffer(whole, np.uint8)[read.start :]
    marks = np.flatnonzero(stored[:-1] == 0xFF)
    stuffed = stored[marks + 1] == 0
    ends = np.flatnonzero(~stuffed)
    if not len(ends):
        raise LibjpegError("data without an end")
    size, stuffing = int(marks[ends[0]]), marks[: ends[0]] + 1
    taken = np.minimum(read.taken - read.start, size)  # by then libjpeg may have taken the marker behind the data
    begins = (taken - np.searchsorted(stuffing, taken)) * 8 - read.unused
    if begins[0] or (np.diff(begins) <= 0).any() or not 0 <= (size - len(stuffing)) * 8 - begins[-1] < 8:
        raise LibjpegError("rows that do not follow one another")
    head = bytes(whole[: read.start])
    height, width = size_of(head)
    across, down = (8 * max(each[axis] for each in read.factors) for axis in (0, 1))
    return JpegScan(
        head, stored[:size].copy(), stuffing, begins, read.first, read.factors, read.codes,
        mcus=-(-width // across), height=height, mcu_height=down,
    )  # fmt: skip


def tail_of(written: Bytes, begin: int) -> tuple[bytes, Piece]:
    """The head of a file that libjpeg has written, and its bits from `begin` on.

    Only where its last block ends by a code that says so: that ends in a zero, and what fills the last byte are ones.
    """
    head, stored = head_and_data(written)
    plain = _unstuffed(stored, np.flatnonzero(stored == 0xFF) + 1)
    filling = (~int(plain[-1]) & -~int(plain[-1])).bit_length() - 1
    return head, (plain, begin, len(plain) * 8 - filling)


def _unstuffed(stored: Stored, stuffing: NDArray[np.intp]) -> Plain:
    return np.delete(stored, stuffing)


def _stuffed(parts: Sequence[Piece]) -> bytes:
    return joined(parts).tobytes().replace(_STUFFED, _STUFFING)


def joined(parts: Sequence[Piece]) -> Plain:
    """The bits of all, one after the other; ones fill the last byte."""
    total = sum(end - begin for _plain, begin, end in parts)
    whole = np.zeros(-(-total // 8), np.uint8)
    at = 0
    for plain, begin, end in parts:
        if begin < end:
            moved = _moved(plain, begin, end, at % 8)
            whole[at // 8] |= moved[0]
            whole[at // 8 + 1 : at // 8 + len(moved)] = moved[1:]
            at += end - begin
    if total % 8:
        whole[-1] |= 0xFF >> total % 8
    return whole


def _moved(plain: Plain, begin: int, end: int, lead: int) -> Plain:
    """Some bits behind `lead` zeros, 0..7; zeros fill the last byte."""
    window, by = plain[begin // 8 : -(-end // 8)], (lead - begin) % 8
    moved = np.empty(len(window) + 1, np.uint8)
    np.right_shift(window, by, out=moved[:-1])
    moved[-1] = 0
    if by:
        moved[1:] |= window << (8 - by)
    bits = lead + end - begin
    moved = moved[int(lead < begin % 8) :][: -(-bits // 8)]
    moved[0] &= 0xFF >> lead
    moved[-1] &= 0xFF << (-bits % 8) & 0xFF
    return moved


@cache
def _usual_words(number: int) -> tuple[dict[int, str], ...]:
    """For DC and AC; see `usual_codes`."""
    return tuple(_words(codes) for codes in usual_codes()[number])


def _words(codes: Codes) -> dict[int, str]:
    """Symbol → its code, in zeros and ones. T.81 annex C."""
    lengths, symbols = codes
    told, code, at = {}, 0, 0
    for length, count in zip(range(1, _LENGTHS + 1), lengths, strict=True):
        for symbol in symbols[at : at + count]:
            told[symbol] = f"{code:0{length}b}"
            code += 1
        code, at = code << 1, at + count
    return told
