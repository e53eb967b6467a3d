"""Reading a file the way the service does, in this process and without waiting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import check_complete, check_limits, read_header
from shared.settings import Settings

Pixels = NDArray[np.uint8]


def header_of(data: bytes, **settings: int) -> Header:
    """The header of a file inside the limits."""
    header = read_header(memoryview(data))
    check_limits(header, Settings(**settings))
    return header


def read(data: bytes) -> tuple[Pixels, Pixels | None]:
    """(H, W, 3) RGB upright and alpha, after all checks."""
    view = memoryview(data)
    header = header_of(data)
    check_complete(view, header, Settings())
    pixels, alpha = decode(view, header, with_alpha=True)
    assert (decode(view, header, with_alpha=False)[0] == pixels).all()
    return pixels[:, :, ::-1], alpha


def seen_upright(stored: Pixels, orientation: int) -> Pixels:
    """What a stored raster is meant to look like (EXIF 2.32, table of orientations), written out with numpy."""
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored),
    }
    return np.ascontiguousarray(turned[orientation])
