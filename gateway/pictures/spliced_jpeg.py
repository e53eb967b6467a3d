"""`quality=keep` for files whose bits can be cut between rows of blocks: only rows with masks are read and written.

All others are copied as they are coded. What is written is what `KeptJpeg` would write, in a part of the time: to find
where rows begin costs no more than to decode the picture as small as a detector looks at it, which is done anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import cv2
import numpy as np

from gateway.pictures.anonymous_memory import Bytes, blank
from gateway.pictures.blur import blurred, kernel_of
from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import upright
from gateway.pictures.jpeg_data import Stored
from gateway.pictures.jpeg_grid import Grid, Window
from gateway.pictures.jpeg_scan import scan_of
from gateway.pictures.kept_jpeg import Shown, segments
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_rows import read_scan
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import MaskOptions, hide
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.restarted_scan import restarted_of

#: Rows of MCUs from `top` to `bottom` - 1.
Span = tuple[int, int]
#: Its rows, where it lies, what it is to show.
Hiding = tuple[Span, Region, Window]


class Scan(Protocol):
    """What is known of a file whose rows of MCUs can be cut and joined: `JpegScan`, `RestartedScan`.

    Their pieces, some rows each, are of their own kind.
    """

    @property
    def head(self) -> bytes: ...
    @property
    def data(self) -> Stored: ...
    @property
    def factors(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def mcu_height(self) -> int: ...
    @property
    def rows(self) -> int: ...
    def flat_rows(self, top: int, /) -> int: ...
    def part(self, top: int, bottom: int) -> bytes: ...
    def piece(self, top: int, bottom: int) -> Any: ...
    def written(self, part: Bytes, top: int, *, ends_in_a_number: bool) -> tuple[bytes, Any]: ...
    def whole(self, head: bytes, top: int, parts: Sequence[Any]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CutFile:
    """What is held of a JPEG to change only some of its rows: its bits, and the profile its colours need.

    copy: (H / shrunk, W / shrunk, 3) uint8 BGR upright, sides rounded up.
    """

    scan: Scan
    profile: bytes
    copy: Pixels
    shrunk: int

    @property
    def size(self) -> int:
        """Bytes, but for the copy."""
        return len(self.scan.head) + len(self.scan.data)


def cut(data: Bytes, header: Header, shrink: int) -> tuple[Pixels, Scan]:
    """The picture decoded smaller, upright, and the file's bits. Raises LibjpegError where these cannot be cut."""
    read = read_scan(data, shrink)
    scan: Scan = restarted_of(data, read) if read.restarts else scan_of(data, read)
    return np.ascontiguousarray(upright(read.picture, header.orientation)), scan


class SplicedJpeg:
    """A file that is masked in some of its rows of MCUs."""

    def __init__(self, file: CutFile, header: Header, exif: bytes) -> None:
        """exif: the block that is to be written."""
        self._file, self._scan, self._header = file, file.scan, header
        self._segments = segments(exif, file.profile)
        self._grid = Grid(header, file.scan.factors)

    def grown(self, regions: Sequence[Region]) -> list[Region]:
        """See `Grid`."""
        return self._grid.grown(regions)

    def hidden(self, regions: list[Region], options: MaskOptions, overlay: Pixels | None = None) -> Shown:
        """How these regions look when they are hidden. overlay: see `hide`. Raises LibjpegError."""
        method, copy, shrunk = METHODS[options.method], self._file.copy, self._file.shrunk
        if 1 < shrunk <= method.by_copy(options.strength):
            blurs = blurred(copy, regions, kernel_of(options.strength), shrunk)
            return [partial(blur.of, region) for blur, region in zip(blurs, regions, strict=True)]
        pixels = copy if shrunk == 1 else self._seen(regions, method.beside(options.strength))
        hide(pixels, regions, options, overlay)
        return [partial(region.of, pixels) for region in regions]

    def _seen(self, regions: Sequence[Region], beside: int) -> Pixels:
        """(H, W, 3) uint8 BGR upright: the picture in these regions and so many pixels around them.

        Black elsewhere, which takes no memory and is nobody else's.
        """
        width, height = self._header.upright_size
        picture = np.frombuffer(blank(height * width * 3), np.uint8).reshape(height, width, 3)
        for top, bottom in _together(self._spans(regions, beside)):
            first, last = max(0, top - 1), min(self._scan.rows, bottom + 1)  # colours are smoothed over rows
            part = self._decoded(self._scan.part(first, last))
            place = Region(0, self._at(top), self._header.width, self._at(bottom))
            above = (self._scan.flat_rows(first) + top - first) * self._scan.mcu_height
            rows = upright(part[above : above + place.height], self._header.orientation)
            self._grid.frame.upright(place).of(picture)[:] = rows
        return picture

    def write(self, shown: Shown, regions: Sequence[Region]) -> memoryview:
        """The file with these regions, whole blocks, as they are to be shown. Raises LibjpegError."""
        scan, pieces, head = self._scan, list[Any](), b""
        masks = list(zip(self._spans(regions, 0), regions, shown, strict=True))
        spans = _together((span for span, _region, _window in masks), gap=1) or [(0, 1)]
        following = [top for top, _bottom in spans[1:]] + [scan.rows]
        for (top, bottom), other in zip(spans, following, strict=True):
            end = min(bottom + scan.flat_rows(bottom), scan.rows)  # with what is told from a mask's last blocks
            head, fresh = self._rewritten(top, end, [mask for mask in masks if top <= mask[0][0] < end])
            pieces += [fresh, scan.piece(end, other)]
        return memoryview(scan.whole(head, spans[0][0], pieces))

    def _rewritten(self, top: int, bottom: int, masks: Iterable[Hiding]) -> tuple[bytes, Any]:
        """A file's head with what is to be written, and the bits of these rows with their masks."""
        part = StoredJpeg(self._scan.part(top, bottom))
        above = (top - self._scan.flat_rows(top)) * self._scan.mcu_height
        self._grid.show(((region, window) for _span, region, window in masks), part, above)
        written = part.write(self._segments)
        return self._scan.written(written, top, ends_in_a_number=part.ends_in_a_number)

    def _spans(self, regions: Iterable[Region], beside: int) -> Iterator[Span]:
        """For each region the rows that it touches, with so many pixels above and below."""
        for region in regions:
            stored = self._grid.frame.of(region)
            top, bottom = max(0, stored.top - beside), min(stored.bottom + beside, self._header.height)
            yield top // self._scan.mcu_height, -(-bottom // self._scan.mcu_height)

    def _at(self, row: int) -> int:
        """The first pixel of a row, or the end of the picture."""
        return min(row * self._scan.mcu_height, self._header.height)

    def _decoded(self, part: bytes) -> Pixels:
        """(rows, W, 3) uint8 BGR as stored."""
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(part, np.uint8), flags)
        if pixels is None or pixels.shape[1] != self._header.width:
            raise LibjpegError("a part that is none")
        return cast("Pixels", pixels)


def _together(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Spans that touch, or have no more than `gap` rows between them, as one; from top to bottom."""
    joined: list[Span] = []
    for top, bottom in sorted(spans):
        if joined and top <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(bottom, joined[-1][1]))
        else:
            joined.append((top, bottom))
    return joined
