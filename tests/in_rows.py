"""Some rows of a JPEG beside all of it: the same pixels in them, or the file is left to whoever decodes it whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from gateway.pictures.headers.facts import Header
from gateway.pictures.headers.jpeg import is_closed
from gateway.pictures.image_decode import decode, decode_rows
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_rows import Rows
from gateway.pictures.picture_work import Decoded, open_picture
from shared.errors import BadImage
from shared.settings import Settings


def patterns(height: int, seed: int) -> Iterator[Rows]:
    """Rows that somebody may want: some by chance, thick and thin, far apart, one, the first, all."""
    source = random.Random(seed)
    yield np.array([source.random() < 0.4 for _ in range(height)])
    yield np.arange(height) % source.randint(2, 9) < source.randint(1, 2)
    yield np.arange(height) // source.randint(2, 40) % 3 == 0
    yield np.arange(height) == source.randrange(height)
    yield np.arange(height) == 0
    yield np.ones(height, np.bool_)


def check(data: memoryview, header: Header, rows: Rows, complaints: Callable[[], str] = str) -> bool:
    """Whether the rows were read alone. Then there is nothing to say of the file, and they are those of the whole."""
    stored = msgspec.structs.replace(header, orientation=1)
    try:
        pixels = decode_rows(data, stored, rows)
    except LibjpegError:
        return False
    finally:
        complaints()
    try:
        whole, _alpha = decode(data, stored)
    except BadImage as error:
        raise AssertionError("rows are read of a file that is refused as a whole") from error
    assert not complaints()
    assert is_closed(data)
    assert (pixels[rows] == whole[rows]).all()
    return True


def opened(data: memoryview, header: Header, sides: tuple[int, ...], settings: Settings) -> tuple[Decoded, Decoded]:
    """For detection as the service opens it, and as it would if it were to mask, which takes all rows."""
    return (
        open_picture(data, header, sides, settings, to_mask=False),
        open_picture(data, header, sides, settings, to_mask=True),
    )
