"""What a picture coded by HEVC or AV1 says of itself before it is decoded: size, bits, subsampling; and its outer form.

ITU-T H.265 7.3.1, 7.3.2.2 and ISO/IEC 14496-15 8.3; AV1 bitstream 5.3 to 5.5 and AV1-ISOBMFF 2.3. Alone knows
which bytes a coded picture cannot have when it is whole: HEVC escapes runs of zeros, so that a stretch lost to zeros
shows.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gateway.pictures.headers.facts import PARTS_MAX
from shared.errors import BadImage

_SPS, _SLICES = 33, range(32)
_NEVER = re.compile(rb"\0\0[\0-\2]")
_ESCAPED = b"\0\0\3"
#: Of parameters; encoders write a hundred.
_PARAMETER_BYTES_MAX = 4096
_SEQUENCE, _FRAMES = 1, frozenset({3, 4, 6})


@dataclass(frozen=True, slots=True)
class Coded:
    """width, height: in pixels. samples: 1 without colours, else 3. bits: of each. shrunk: the colours, x and y.

    kind: of the box with the decoder's configuration. configuration: its payload. length_bytes: before each NAL unit.
    """

    kind: bytes
    configuration: bytes
    width: int
    height: int
    samples: int
    bits: int
    shrunk: tuple[int, int]
    length_bytes: int = 0

    @property
    def planes_bytes(self) -> int:
        """Bytes of a decoded picture's planes."""
        across, down = self.shrunk
        colours = 2 * -(-self.width // across) * -(-self.height // down) if self.samples > 1 else 0
        return (self.width * self.height + colours) * (2 if self.bits > 8 else 1)


class Bits:
    """Reads bits from the left. Raises IndexError behind the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), len(data) * 8

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise IndexError("the bits are at their end")
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """The next number in as many bits as it needs (H.265 9.2)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError("a number of too many bits")
        return (1 << zeros) - 1 + self.take(zeros)


@lru_cache(maxsize=16)
def coded_by_hevc(configuration: bytes) -> Coded:
    """From the payload of `hvcC`, which holds the sequence's parameters. Raises BadImage, struct.error, IndexError.

    Tiles share theirs, and are many.
    """
    if len(configuration) > _PARAMETER_BYTES_MAX:
        raise BadImage("The file is corrupt: the parameters of its picture are too long")
    units = [unit for unit in _parameter_units(configuration) if unit[0] >> 1 & 63 == _SPS]
    if len(units) != 1:
        raise BadImage(
            "The file is corrupt: its picture is coded without parameters, or with more than one kind of them"
        )
    bits = Bits(units[0].replace(_ESCAPED, b"\0\0")[2:])
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 96)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.exp_golomb()
    chroma = bits.exp_golomb()
    if chroma > 3 or (chroma == 3 and bits.take(1)):
        raise BadImage("The file is corrupt: its colours are subsampled in no known way")
    width, height = bits.exp_golomb(), bits.exp_golomb()
    shrunk = {1: (2, 2), 2: (2, 1)}.get(chroma, (1, 1))
    if bits.take(1):
        left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
        width, height = width - (left + right) * shrunk[0], height - (top + bottom) * shrunk[1]
    luma, colours = 8 + bits.exp_golomb(), 8 + bits.exp_golomb()
    samples = 3 if chroma else 1
    depth = max(luma, colours) if chroma else luma
    return Coded(b"hvcC", configuration, width, height, samples, depth, shrunk, (configuration[21] & 3) + 1)


def _parameter_units(configuration: bytes) -> Iterator[bytes]:
    place = 23
    for _ in range(configuration[22]):
        (count,) = struct.unpack_from(">H", configuration, place + 1)
        place += 3
        for _ in range(min(count, 64)):
            (length,) = struct.unpack_from(">H", configuration, place)
            if length < 3 or place + 2 + length > len(configuration):
                raise BadImage("The file is corrupt: the parameters of its picture are not whole")
            yield configuration[place + 2 : place + 2 + length]
            place += 2 + length


def coded_by_av1(configuration: bytes, data: bytes) -> Coded:
    """From the payload of `av1C` and the first of the coded bytes, where the sequence's header is."""
    profile, told = configuration[1] >> 5, configuration[2]
    sequence = next((body for kind, body in _open_units(data) if kind == _SEQUENCE), b"")
    width, height = _av1_size(Bits(sequence[:_PARAMETER_BYTES_MAX]))
    bits = (12 if profile == 2 and told & 0x20 else 10) if told & 0x40 else 8
    shrunk = (2 if told & 0x08 else 1, 2 if told & 0x04 else 1)
    return Coded(b"av1C", configuration[:4], width, height, 1 if told & 0x10 else 3, bits, shrunk)


def _av1_size(bits: Bits) -> tuple[int, int]:
    """Most width and height of a frame (5.5.1)."""
    bits.take(3 + 1)
    if bits.take(1):
        bits.take(5)
    else:
        _skip_timing(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(across) + 1, bits.take(down) + 1


def _skip_timing(bits: Bits) -> None:
    delay = 0
    if bits.take(1):
        bits.take(32 + 32)
        if bits.take(1):
            bits.exp_golomb()
        if bits.take(1):
            delay = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay and bits.take(1):
            bits.take(2 * delay + 1)
        if display and bits.take(1):
            bits.take(4)


def _open_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each OBU, which must fill the item; only the last may be without a size."""
    place = 0
    for _ in range(PARTS_MAX):
        if place >= len(data):
            return
        head = data[place]
        place += 2 if head & 4 else 1
        size = len(data) - place
        if head & 2:
            size, place = _leb128(data, place)
        if head & 0x80 or place + size > len(data):
            raise BadImage("The file is corrupt: its coded picture is not whole")
        yield head >> 3 & 15, data[place : place + size]
        place += size
    raise BadImage("The coded picture has too many parts")


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        value |= (data[place + index] & 0x7F) << 7 * index
        if not data[place + index] & 0x80:
            return value, place + index + 1
    raise BadImage("The file is corrupt: a length in its coded picture has no end")


def check_whole(coded: Coded, data: bytes) -> None:
    """Raises BadImage when the parts of a coded picture do not fill its bytes, or hold what no encoder writes."""
    if coded.kind == b"av1C":
        if not _FRAMES & {kind for kind, _body in _open_units(data)}:
            raise BadImage("The file holds no coded picture")
        return
    place, slices = 0, 0
    for _ in range(PARTS_MAX):
        if place >= len(data):
            break
        length = int.from_bytes(data[place : place + coded.length_bytes], "big")
        start, place = place + coded.length_bytes, place + coded.length_bytes + length
        if length < 3 or place > len(data):
            raise BadImage("The file is corrupt: its coded picture is not whole")
        if _NEVER.search(data, start, place) or not data[place - 1]:
            raise BadImage("The picture is damaged: part of its data is zeros")
        slices += data[start] >> 1 & 63 in _SLICES
    if not slices or place < len(data):
        raise BadImage("The file holds no coded picture, or one of too many parts")
