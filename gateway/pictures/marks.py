"""What is to be hidden in a picture: faces that were found, but for those that somebody keeps, and boxes of his own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.regions import Region, regions
from shared.faces import PACKED_COLUMNS, PACKED_COLUMNS_WITHOUT_LANDMARKS, Faces, FloatArray

_COLUMNS = PACKED_COLUMNS + 1
_CORNERS = 4


@dataclass(frozen=True, slots=True)
class Marks:
    """faces: that were found, in detect's order. hidden: (N,) which of them. own: hidden as they are, unpadded."""

    faces: Faces
    hidden: NDArray[np.bool_]
    own: tuple[Region, ...] = ()

    @staticmethod
    def all_of(faces: Faces) -> Marks:
        """Every face and nothing else."""
        return Marks(faces, np.ones(len(faces), np.bool_))

    @property
    def masked(self) -> int:
        """How many faces are hidden."""
        return int(self.hidden.sum())

    @property
    def boxes(self) -> FloatArray:
        """(M, 4) float32 x1 y1 x2 y2 of all that is hidden, not grown."""
        own = np.array([_corners(region) for region in self.own], np.float32).reshape(-1, _CORNERS)
        return np.concatenate([self.faces.boxes[self.hidden], own])

    def regions(self, padding: float, width: int, height: int) -> list[Region]:
        """All that is hidden in a picture of width × height; faces grow by `padding` of their size on each side."""
        return [*regions(self.faces.boxes[self.hidden], padding, width, height, self._tilts()), *self.own]

    def _tilts(self) -> NDArray[np.float64] | None:
        """Of the hidden faces: how their eyes lie, degrees clockwise; None where no model tells."""
        if self.faces.landmarks is None:
            return None
        across, down = (self.faces.landmarks[self.hidden, 1] - self.faces.landmarks[self.hidden, 0]).T
        degrees: NDArray[np.float64] = np.degrees(np.arctan2(down, across, dtype=np.float64))
        return degrees

    def packed(self) -> bytes:
        """float32: for each face its fifteen numbers and whether it is hidden, then the corners of each own region."""
        rows = np.full((len(self.faces), _COLUMNS), np.nan, np.float32)
        faces = self.faces.packed()
        rows[:, : faces.shape[1]], rows[:, -1] = faces, self.hidden
        return rows.tobytes() + np.array([_corners(region) for region in self.own], np.float32).tobytes()

    @staticmethod
    def packed_size(faces: int, own: int) -> int:
        """Bytes of so many."""
        return 4 * (faces * _COLUMNS + own * _CORNERS)

    @staticmethod
    def unpacked(data: memoryview, faces: int) -> Marks:
        """The inverse of `packed`."""
        numbers = np.frombuffer(data, np.float32)
        rows, own = numbers[: faces * _COLUMNS].reshape(-1, _COLUMNS), numbers[faces * _COLUMNS :].reshape(-1, _CORNERS)
        landmarks = not np.isnan(rows).any()
        known = np.ascontiguousarray(rows[:, : PACKED_COLUMNS if landmarks else PACKED_COLUMNS_WITHOUT_LANDMARKS])
        regions = tuple(_region(*map(int, each)) for each in own.tolist())
        return Marks(Faces.unpacked(known), rows[:, -1] > 0, regions)


def _region(left: int, top: int, right: int, bottom: int) -> Region:
    return Region(left, top, right, bottom, whole=True)


def _corners(region: Region) -> tuple[int, int, int, int]:
    return region.left, region.top, region.right, region.bottom
