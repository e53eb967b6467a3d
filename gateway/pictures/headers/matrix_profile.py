"""A colour profile made of numbers: primaries, white and one gamma, as PNG and others tell colours without a profile.

ICC.1:2001-04 (version 2): three columns, adapted to D50 after Bradford, and one curve.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Matrix = NDArray[np.float64]

_BRADFORD: Matrix = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50: Matrix = np.array([0.9642, 1.0, 0.8249])
#: IEC 61966-2-1 as a parametric curve: gamma, a, b, c, d.
_SRGB_CURVE = b"para\0\0\0\0\0\x03\0\0" + struct.pack(
    ">5i", *(round(value * 65_536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


@dataclass(frozen=True, slots=True)
class Colours:
    """CIE x and y of red, green, blue and white; gamma: by which stored values become light, None for sRGB's curve."""

    red: Point = (0.64, 0.33)
    green: Point = (0.3, 0.6)
    blue: Point = (0.15, 0.06)
    white: Point = (0.3127, 0.329)
    gamma: float | None = 2.2

    @property
    def points(self) -> tuple[Point, ...]:
        return self.red, self.green, self.blue, self.white


def is_nearly_srgb(colours: Colours) -> bool:
    """Whether these are the numbers by which programs write sRGB where they have no better word for it."""
    near = np.abs(np.subtract(colours.points, Colours().points)).max() <= 0.005
    return bool(near and (colours.gamma is None or abs(colours.gamma / 2.2 - 1) <= 0.05))


def matrix_profile(colours: Colours) -> bytes:
    """The profile's bytes; empty when these numbers are no colours."""
    try:
        columns = _adapted_columns(colours)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return b""
    gamma = colours.gamma
    if not np.isfinite(columns).all() or np.abs(columns).max() > 2 or not (gamma is None or 0.05 <= gamma <= 20):
        return b""
    curve = _SRGB_CURVE if gamma is None else b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"wtpt": _xyz(_D50)}
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
    return _file(tags)


def _adapted_columns(colours: Colours) -> Matrix:
    """(3, 3): XYZ of full red, green and blue as columns, as seen under D50."""
    red, green, blue, white = (_of_point(point) for point in colours.points)
    columns = np.stack([red, green, blue], axis=1)
    columns = columns * np.linalg.solve(columns, white)
    cones = np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white))
    return np.asarray(np.linalg.solve(_BRADFORD, cones @ _BRADFORD @ columns))


def _of_point(point: Point) -> Matrix:
    """XYZ of luminance 1."""
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: Matrix) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65_536) for value in values))


def _file(tags: dict[bytes, bytes]) -> bytes:
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, payload in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(payload))
        body += payload
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x0240_0000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    illuminant = struct.pack(">3i", *(round(float(value) * 65_536) for value in _D50))
    return head.ljust(68, b"\0") + illuminant.ljust(60, b"\0") + struct.pack(">I", len(tags)) + table + body
