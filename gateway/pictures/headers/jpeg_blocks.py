"""JPEG picture data counted block by block: do bytes that a decoder skipped belong to the picture?

When libjpeg has all the blocks it wants, it skips what stands before the next marker. Either somebody put bytes
there, and no pixel misses them; or data were damaged further up, the decoder lost its way and took too few bits, and
what is left over are blocks. ITU T.81 annexes A and B.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

import cv2
import numpy as np

from gateway.pictures.headers import jpeg, jpeg_codes
from gateway.pictures.headers.facts import Header
from gateway.pictures.headers.jpeg_codes import Band, Table, Unit, Words
from shared.errors import BadImage

#: Codes and blocks that may be counted in one file: about 0.3 µs each, and twice that in progressive scans.
STEPS_MAX = 6_000_000
_BITS_PER_STEP = 5
_PROGRESSIVE_STEPS = 2
#: Further blocks that are looked for in what is left over.
_FURTHER_MAX = 4096
#: With so many bits of filling behind the last block, all of them ones, nothing else need be asked.
_FILLING_PROVES = 3
#: So many zeros before zeros are no end of data.
_ZEROS_PROVE = 4
#: Blocks that are shorter on average end where bytes do by chance.
_BLOCK_BITS = 16

_STUFFED = re.compile(rb"\xff+\0")
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")


def without_left_over(data: memoryview, header: Header) -> memoryview:
    """A copy of the file in which each scan's data end where its last block does.

    Raises BadImage when a block is missing, when what is left over are blocks, and when there is too much to count.
    """
    try:
        return jpeg.essential(data, header, list(_scans(data, header)))
    except (IndexError, KeyError, ValueError, ZeroDivisionError, struct.error):
        raise damaged() from None


def damaged() -> BadImage:
    """The refusal of data that are not what was stored."""
    return BadImage("The picture is damaged: part of its data cannot be read")


def _scans(data: memoryview, header: Header) -> Iterator[bytes]:
    picture = _Picture(header)
    scan_header = b""
    for marker, _at, start, end in jpeg.pieces(data):
        payload = bytes(data[start:end])
        if marker in jpeg.FRAMES:
            picture.frame(payload)
        elif marker == jpeg.DHT:
            picture.huffman(payload)
        elif marker == jpeg.DRI:
            (picture.interval,) = struct.unpack_from(">H", payload)
        elif marker == jpeg.SOS:
            scan_header = payload
        elif marker == jpeg.DATA:
            yield picture.scan(scan_header, payload)


@dataclass(slots=True)
class _Component:
    """across, down: sampling factors. seen: by block, a bit for each coefficient that is not 0 so far."""

    across: int
    down: int
    seen: list[int] = field(default_factory=list)


#: Begins to step over data, from a block whose history (`_Component.seen`) stands at an index.
_Begin = Callable[[Words, list[int], int], Unit]


class _Picture:
    """What the segments so far say, and what all scans so far have shown of each block."""

    def __init__(self, header: Header) -> None:
        self.interval = 0
        self._size = (header.width, header.height)
        self._progressive = header.progressive
        self._components: dict[int, _Component] = {}
        self._tables = dict(_usual_tables())
        self._steps_left = STEPS_MAX

    def frame(self, payload: bytes) -> None:
        for at in range(6, 6 + 3 * payload[5], 3):
            self._components[payload[at]] = _Component(payload[at + 1] >> 4, payload[at + 1] & 0xF)

    def huffman(self, payload: bytes) -> None:
        self._tables |= _tables(payload)

    def scan(self, header: bytes, stored: bytes) -> bytes:
        """The data of one scan without what is left over before its restart markers and its end."""
        parts = [(self._components[header[1 + 2 * n]], header[2 + 2 * n]) for n in range(header[0])]
        count = self._units([component for component, _number in parts])
        self._spend((len(stored) * 8 // _BITS_PER_STEP + count) * (_PROGRESSIVE_STEPS if self._progressive else 1))
        seen = parts[0][0].seen
        seen += [0] * (count - len(seen))
        begin, rest, kept = self._steps(parts, header[-3:]), count, []
        for index, (data, marker) in enumerate(_intervals(stored)):
            if rest and marker and marker[-1] != 0xD0 + index % 8:
                raise damaged()
            wanted = min(self.interval or rest, rest)
            kept += [_taken(data, begin, seen, count - rest, wanted), marker]
            rest -= wanted
        if rest:
            raise damaged()
        return b"".join(kept)

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise damaged()

    def _units(self, components: list[_Component]) -> int:
        """Groups of blocks in a scan of several components, blocks in a scan of one."""
        across = max(each.across for each in self._components.values())
        down = max(each.down for each in self._components.values())
        width, height = self._size
        if len(components) > 1:
            return -(-width // (8 * across)) * -(-height // (8 * down))
        columns, rows = -(-width * components[0].across // across), -(-height * components[0].down // down)
        return -(-columns // 8) * -(-rows // 8)

    def _steps(self, parts: list[tuple[_Component, int]], spectrum: bytes) -> _Begin:
        """How the data of a scan are stepped over."""
        first, last, later = spectrum[0], spectrum[1], spectrum[2] >> 4
        numbers = [number for each, number in parts for _ in range(each.across * each.down if len(parts) > 1 else 1)]
        if not self._progressive:
            blocks = [(self._tables[n >> 4].dc_steps, self._tables[0x10 | n & 0xF].ac_steps) for n in numbers]
            return lambda data, _seen, _index: jpeg_codes.sequential(data, blocks)
        if first == 0 and later:
            return lambda _data, _seen, _index: jpeg_codes.later_dc(len(numbers))
        if first == 0:
            steps = [self._tables[n >> 4].dc_steps for n in numbers]
            return lambda data, _seen, _index: jpeg_codes.first_dc(data, steps)
        codes = self._tables[0x10 | numbers[0] & 0xF].codes
        step = Band.later if later else Band.first
        return lambda data, seen, index: partial(step, Band(data, codes, first, last, seen, index))


@cache
def _usual_tables() -> dict[int, Table]:
    """Those of T.81 annex K, which decoders take where a file has none, as frames of films do."""
    written = memoryview(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    tables: dict[int, Table] = {}
    for marker, _at, start, end in jpeg.pieces(written):
        if marker == jpeg.DHT:
            tables |= _tables(bytes(written[start:end]))
    return tables


def _tables(payload: bytes) -> dict[int, Table]:
    """The tables of one segment, by class and number as they are stored: 0x00..0x03 DC, 0x10..0x13 AC."""
    tables = {}
    while payload:
        end = 17 + sum(payload[1:17])
        tables[payload[0]] = Table(payload[1:17], payload[17:end])
        payload = payload[end:]
    return tables


def _intervals(stored: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The data up to each restart marker, and the marker; none behind the last."""
    position = 0
    for found in _RESTART.finditer(stored):
        yield stored[position : found.start()], b"\xff" + found[1]
        position = found.end()
    yield stored[position:], b""


def _taken(stored: bytes, begin: _Begin, seen: list[int], index: int, count: int) -> bytes:
    """The part of an interval's data that its `count` units take."""
    plain = _STUFFED.sub(b"\xff", stored.rstrip(b"\xff")) if count else b""
    data, at = jpeg_codes.words(plain), 0
    unit = begin(data, seen, index)
    for _ in range(count):
        at = unit(at)
    size = -(-at // 8)
    if size > len(plain) or (size < len(plain) and _is_picture(plain, at, begin)):
        raise damaged()
    return plain[:size].replace(b"\xff", b"\xff\0")


def _is_picture(plain: bytes, at: int, begin: _Begin) -> bool:
    """Whether what is left over from bit `at` on are blocks, as far as can be told.

    Where data end, ones fill their last byte. Where a decoder has lost its way it stops at any bit, and the blocks it
    has not reached go on exactly to the last byte and its filling.
    """
    filling = -at % 8
    size = (at + filling) // 8
    if not _ones(plain, at, at + filling):
        return True
    if filling >= _FILLING_PROVES:
        return False
    if not any(plain[size:]):  # zeros put behind the data, or in place of their last part
        return not filling and not any(plain[max(0, size - _ZEROS_PROVE) : size])
    return _goes_on(plain, at, begin)


def _goes_on(plain: bytes, start: int, begin: _Begin) -> bool:
    """Whether blocks fill what is left over exactly; blocks of a few bits do so by chance."""
    unit, at, end = begin(jpeg_codes.words(plain), [0] * _FURTHER_MAX, 0), start, len(plain) * 8
    with contextlib.suppress(IndexError):
        for blocks in range(1, _FURTHER_MAX):
            at = unit(at)
            if end - 8 < at <= end and _ones(plain, at, end):
                return at - start >= blocks * _BLOCK_BITS
    return False


def _ones(plain: bytes, start: int, stop: int) -> bool:
    """Whether all bits from `start` to `stop`, less than eight and in one byte, are ones."""
    mask = (1 << (stop - start)) - 1
    return start == stop or plain[start // 8] >> -stop % 8 & mask == mask
