"""`quality=keep`: a JPEG in which only the blocks under the masks change; every other keeps its numbers.

A mask grows to whole blocks of all planes, so that none holds both what is hidden and what is kept. What is written
is a new file: the coefficients, the tables of steps, the EXIF it is given and a colour profile; nothing else of the
old one, and nothing in it that depends on what was under the masks but the masks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.pictures.headers.facts import Header
from gateway.pictures.jpeg_grid import Grid, Window
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import Segment
from gateway.pictures.regions import Region

_APP1, _APP2 = 0xE1, 0xE2
#: Bytes of a profile in one segment; 255 of them have room for any that is used (`headers.facts.PROFILE_BYTES_MAX`).
_PROFILE_PART = 65_519
#: For each region what it is to show.
Shown = Sequence[Window]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What is held of a JPEG to change only blocks of it: the file, and the profile its colours need."""

    data: bytes
    profile: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


class KeptJpeg:
    """A file that is masked block by block, and written anew as a whole."""

    def __init__(self, file: KeptFile, header: Header, exif: bytes) -> None:
        """file: decoded without complaints before. exif: the block that is to be written. Raises LibjpegError."""
        self._stored = StoredJpeg(file.data)
        self._segments = segments(exif, file.profile)
        self._grid = Grid(header, [(each.across, each.down) for each in self._stored.components])

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """See `Grid`."""
        return self._grid.grown(regions)

    def write(self, shown: Shown, regions: Sequence[Region]) -> memoryview:
        """The file with these regions, whole blocks, as they are to be shown. Raises LibjpegError."""
        self._grid.show(zip(regions, shown, strict=True), self._stored)
        return self._stored.write(self._segments)


def segments(exif: bytes, profile: bytes) -> list[Segment]:
    """What is written beside the picture. exif: a block, or nothing. profile: of its colours, or nothing."""
    return [*_exif(exif), *_profile(profile)]


def _exif(block: bytes) -> Iterator[Segment]:
    """CIPA DC-008, 4.7.2."""
    if block:
        yield _APP1, b"Exif\0\0" + block


def _profile(profile: bytes) -> Iterator[Segment]:
    """In as many segments as it takes. ICC.1:2022, B.4."""
    parts = [profile[at : at + _PROFILE_PART] for at in range(0, len(profile), _PROFILE_PART)]
    for number, part in enumerate(parts, 1):
        yield _APP2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part
