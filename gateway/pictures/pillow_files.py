"""Opening a file with Pillow, for what OpenCV cannot give: profiles, inks, and some TIFF. Alone knows its formats.

Named one by one, so that nothing but the accepted formats can be opened and no search for plugins happens.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from gateway.pictures.headers.facts import Format

_OPENERS: dict[Format, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
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
def opened(data: memoryview, stored_as: Format) -> Iterator[Image.Image]:
    """The file, not yet decoded; not for BMP, which is read without it. Raises one of `ERRORS`."""
    with warnings.catch_warnings(action="ignore"), _OPENERS[stored_as](io.BytesIO(data)) as picture:
        yield picture
