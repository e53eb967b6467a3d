"""Opening a file with Pillow, for what OpenCV cannot give: profiles, inks, and some TIFF."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

from PIL import Image

#: Of one format, named, so that nothing but it can be opened and no search for plugins happens.
Opener = Callable[[io.BytesIO], Image.Image]
#: What Pillow raises for files it cannot read.
ERRORS = (OSError, ValueError, SyntaxError, KeyError, EOFError)


#: Limits of size are the header walk's; Pillow's own would count bytes as pixels here.
Image.MAX_IMAGE_PIXELS = None
#: Rows converted at once.
BAND_ROWS = 256


def bands(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The decoded picture in bands of rows, each with its place. Raises one of `ERRORS`."""
    picture.load()
    width, height = picture.size
    for top in range(0, height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, height)
        yield slice(top, bottom), picture.crop((0, top, width, bottom))


@contextlib.contextmanager
def opened(data: memoryview, opener: Opener) -> Iterator[Image.Image]:
    """The file, not yet decoded. Raises one of `ERRORS`."""
    with warnings.catch_warnings(action="ignore"), opener(io.BytesIO(data)) as picture:
        yield picture
