"""Huffman codes of JPEG picture data, stepped over without making pixels. ITU T.81 annexes C, F and G."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

#: A number for each of the 65,536 ways in which 16 bits can go on.
Codes = list[int]
#: 24 bits from each byte on.
Words = memoryview
#: Takes one unit (a block, or a group of them) from its first bit to the bit behind it. IndexError behind the data.
Unit = Callable[[int], int]

_BITS = 16
_LAST = 64
#: What stands where no code begins: leads far behind any data.
_NO_CODE = 1 << 48


class Table:
    """One Huffman table as it is stored: how many codes there are of each length, and their symbols."""

    def __init__(self, counts: bytes, symbols: bytes) -> None:
        self._symbols = np.frombuffer(symbols, np.uint8).astype(np.int64)
        self._lengths = np.repeat(np.arange(1, _BITS + 1), np.frombuffer(counts, np.uint8))

    @cached_property
    def codes(self) -> Codes:
        """The length of a code × 256, and its symbol."""
        return self._spread(self._lengths << 8 | self._symbols)

    @cached_property
    def dc_steps(self) -> Codes:
        """The bits of a DC code and of the difference behind it."""
        return self._spread(self._lengths + self._symbols)

    @cached_property
    def ac_steps(self) -> Codes:
        """The bits of an AC code and of the value behind it × 256, and how many coefficients it covers."""
        zeros, size = self._symbols >> 4, self._symbols & 0xF
        covered = np.where((size > 0) | (zeros == 15), zeros + 1, _LAST)
        return self._spread(self._lengths + size << 8 | covered)

    def _spread(self, values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Codes:
        each = np.repeat(values, 1 << _BITS - self._lengths).tolist()
        return each + [_NO_CODE] * ((1 << _BITS) - len(each))


def words(plain: bytes) -> Words:
    """Data without stuffing, ready to be stepped over; some zeros follow."""
    spread = np.frombuffer(plain + bytes(10), np.uint8).astype(np.uint32)
    return (spread[:-2] << 16 | spread[1:-1] << 8 | spread[2:]).data


def sequential(data: Words, blocks: list[tuple[Codes, Codes]]) -> Unit:
    """A unit of whole blocks, each with the `dc_steps` and the `ac_steps` of its tables."""

    def unit(at: int) -> int:
        for dc, ac in blocks:
            at += dc[data[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            k = 1
            while k < _LAST:
                step = ac[data[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                at += step >> 8
                k += step & 0xFF
        return at

    return unit


def first_dc(data: Words, blocks: list[list[int]]) -> Unit:
    """A unit of the first DC scan, each block with its `dc_steps`."""

    def unit(at: int) -> int:
        for dc in blocks:
            at += dc[data[at >> 3] >> 8 - (at & 7) & 0xFFFF]
        return at

    return unit


def later_dc(blocks: int) -> Unit:
    """A unit of a DC scan that adds one bit to each block."""
    return lambda at: at + blocks


class Band:
    """Blocks of an AC scan from coefficient `begin` to `last`. seen: by block, a bit for each that is not 0 so far."""

    def __init__(self, data: Words, codes: Codes, begin: int, last: int, seen: list[int], index: int) -> None:
        self._data, self._codes = data, codes
        self._begin, self._last = begin, last
        self._seen, self._index = seen, index
        self._run = 0  # blocks to come without a code of their own

    def first(self, at: int) -> int:
        """A block of the first scan of these coefficients."""
        if self._run:
            return self._pass(at)
        data, codes, last, k, new = self._data, self._codes, self._last, self._begin, 0
        while k <= last:
            code = codes[data[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            at += code >> 8
            zeros, size = code >> 4 & 0xF, code & 0xF
            if not size and zeros < 15:
                at = self._begin_run(at, zeros)
                break
            k += zeros
            if size:
                new |= 1 << k
                at += size
            k += 1
        self._seen[self._index] |= new
        return self._pass(at)

    def later(self, at: int) -> int:
        """A block of a scan that adds one bit to coefficients that are not 0, and finds new ones."""
        data, codes, last, k, new = self._data, self._codes, self._last, self._begin, 0
        seen = self._seen[self._index]
        while not self._run and k <= last:
            code = codes[data[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            at += code >> 8
            zeros, size = code >> 4 & 0xF, code & 0xF
            if not size and zeros < 15:
                at = self._begin_run(at, zeros)
                break
            at += size > 0  # its sign
            while k <= last and (zeros or seen >> k & 1):
                known = seen >> k & 1
                at += known
                zeros -= 1 - known
                k += 1
            if size:
                new |= 1 << k
            k += 1
        if self._run and k <= last:
            at += (seen >> k & (1 << last + 1 - k) - 1).bit_count()
        self._seen[self._index] = seen | new
        return self._pass(at)

    def _begin_run(self, at: int, bits: int) -> int:
        more = self._data[at >> 3] >> 24 - (at & 7) - bits & (1 << bits) - 1
        self._run = (1 << bits) + more
        return at + bits

    def _pass(self, at: int) -> int:
        """To the next block."""
        self._index += 1
        if self._run:
            self._run -= 1
        return at
