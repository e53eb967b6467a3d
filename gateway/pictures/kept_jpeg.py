"""`quality=keep`: a JPEG in which only the blocks under the masks change; every other keeps its numbers.

A mask grows to whole blocks of all planes, so that none holds both what is hidden and what is kept. What is written
is a new file: the coefficients, the tables of steps, the EXIF it is given and a colour profile; nothing else of the
old one, and nothing in it that depends on what was under the masks but the masks themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import upright
from gateway.pictures.libjpeg import Segment, StoredJpeg
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.stored_frame import BACK, StoredFrame

_SIDE = 8
#: Rows of pixels that become blocks at once, for the memory that takes.
STRIP_ROWS = 512
_APP1, _APP2 = 0xE1, 0xE2
#: Bytes of a profile in one segment; 255 of them have room for any that is used (`headers.facts.PROFILE_BYTES_MAX`).
_PROFILE_PART = 65_519
#: For each region what gives its pixels, (rows, columns, 3) uint8 BGR upright: they are not all there at once.
Shown = Sequence[Callable[[], Pixels]]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What is held of a JPEG to change only blocks of it: the file, and the profile its colours need."""

    data: bytes
    profile: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


class Grid:
    """How the blocks of a file lie. factors: (across, down) of each component."""

    def __init__(self, header: Header, factors: Sequence[tuple[int, int]]) -> None:
        self.frame = StoredFrame(header.width, header.height, header.orientation)
        self.across, self.down = (max(each[axis] for each in factors) for axis in (0, 1))
        self.cell = (
            _SIDE * max(self.across // across for across, _down in factors),
            _SIDE * max(self.down // down for _across, down in factors),
        )

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """Regions of the upright picture, each as large as the blocks of all planes that it touches."""
        return [
            replace(self.frame.on_grid(region, *self.cell), whole=region.whole, tilt=region.tilt) for region in regions
        ]

    def show(self, window: Pixels, region: Region, stored: StoredJpeg, above: int = 0) -> None:
        """Gives a region, whole blocks, the coefficients of its pixels, (rows, columns, 3) uint8 BGR upright.

        stored: of the file, or of a part that has `above` rows of the picture above it.
        """
        place, window = self.frame.of(region), upright(window, BACK[self.frame.orientation])
        rows = STRIP_ROWS // self.cell[1] * self.cell[1]
        for top in range(0, place.height, rows):
            fresh = stored.like(window[top : top + rows])
            for index, component in enumerate(stored.components):
                column = place.left * component.across // (self.across * _SIDE)
                row = (place.top + top - above) * component.down // (self.down * _SIDE)
                taken = fresh.plane(index)[: component.rows - row, : component.columns - column]
                stored.plane(index)[row : row + taken.shape[0], column : column + taken.shape[1]] = taken


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
        for region, window in zip(regions, shown, strict=True):
            self._grid.show(window(), region, self._stored)
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
