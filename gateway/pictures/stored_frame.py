"""Rectangles of an upright picture as the file stores them, and back. The same turns as `image_decode.upright`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.pictures.regions import Region

#: By EXIF orientation: whether columns and rows change places, and what is then mirrored in the stored frame.
_TURNS = {
    1: (False, False, False), 2: (False, True, False), 3: (False, True, True), 4: (False, False, True),
    5: (True, False, False), 6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip
#: The orientation that undoes another.
BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """width, height: as stored, in pixels. orientation: EXIF 1..8."""

    width: int
    height: int
    orientation: int

    def of(self, region: Region) -> Region:
        """A region of the upright picture, as it is stored."""
        swapped, across, down = _TURNS[self.orientation]
        return self._mirrored(_swapped(region) if swapped else region, across=across, down=down)

    def upright(self, region: Region) -> Region:
        """A stored region, as it is seen."""
        swapped, across, down = _TURNS[self.orientation]
        region = self._mirrored(region, across=across, down=down)
        return _swapped(region) if swapped else region

    def on_grid(self, region: Region, across: int, down: int) -> Region:
        """A region of the upright picture, grown to whole cells of `across` × `down` stored pixels."""
        stored = self.of(region)
        grown = replace(
            stored,
            left=stored.left // across * across,
            top=stored.top // down * down,
            right=min(-(-stored.right // across) * across, self.width),
            bottom=min(-(-stored.bottom // down) * down, self.height),
        )
        return self.upright(grown)

    def _mirrored(self, region: Region, *, across: bool, down: bool) -> Region:
        left, right = (self.width - region.right, self.width - region.left) if across else (region.left, region.right)
        top, bottom = (self.height - region.bottom, self.height - region.top) if down else (region.top, region.bottom)
        return replace(region, left=left, top=top, right=right, bottom=bottom)


def _swapped(region: Region) -> Region:
    return replace(region, left=region.top, top=region.left, right=region.bottom, bottom=region.right)
