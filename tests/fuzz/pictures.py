"""The header walkers: what they say of a file is what Pillow reads in it, and a lie is refused in few steps."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable

from PIL import Image

from gateway.pictures import heif_rewrite
from gateway.pictures.headers import exif, heif
from gateway.pictures.headers.facts import Format, Header
from gateway.pictures.image_header import SIDE_MAX, check_complete, check_limits, read_header
from shared.errors import BadImage, TooLarge
from shared.settings import Settings
from tests.fuzz.target import check_words, steps_within

_SETTINGS = Settings()
_HEIF = {"heic": heif.HEIC, "avif": heif.AVIF}
#: Calls a walk may make: a few for every byte there is, and some for any file.
_STEPS_FREE, _STEPS_PER_BYTE = 2000, 12
_SUBFILE, _REDUCED = 254, 1


def walker(stored_as: Format) -> Callable[[bytes], None]:
    """The check of one format's walker."""

    def check(data: bytes) -> None:
        header = accepted(data)
        if header is not None and header.format == stored_as:
            _agrees_with_pillow(data, header)

    return check


def check_png(data: bytes) -> None:
    """As it is, and with the checksum of every chunk made right: mutations seldom are."""
    check = walker("png")
    check(data)
    check(_with_right_sums(data))


def _with_right_sums(data: bytes) -> bytes:
    mended, position = bytearray(data), 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(mended)


def check_webp(data: bytes) -> None:
    """As it is, and with the size of the whole made right."""
    check = walker("webp")
    check(data)
    check(data[:4] + struct.pack("<I", len(data) - 8) + data[8:] if len(data) >= 12 else data)


def check_heif(data: bytes) -> None:
    """What is written anew of an accepted file is accepted as well, of the same kind, neither cropped nor turned."""
    header = accepted(data)
    walk = _HEIF.get(header.format) if header else None
    if header is None or walk is None:
        return
    layout = walk.layout_of(memoryview(data))
    again = read_header(memoryview(heif_rewrite.plain(memoryview(data), layout)))
    assert (again.width, again.height, again.orientation, again.frames) == (layout.width, layout.height, 1, 1)
    assert (again.samples, again.bits, again.alpha) == (header.samples, header.bits, header.alpha)
    assert header.width <= again.width
    assert header.height <= again.height


def accepted(data: bytes) -> Header | None:
    """The header of a file that would go to a decoder; None where it is refused with words."""
    try:
        with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
            header = read_header(memoryview(data))
            check_limits(header, _SETTINGS)
            check_complete(memoryview(data), header, _SETTINGS)
    except (BadImage, TooLarge) as error:
        check_words(error)
        return None
    assert _SETTINGS.min_side <= header.width <= SIDE_MAX
    assert _SETTINGS.min_side <= header.height <= SIDE_MAX
    assert header.width * header.height <= _SETTINGS.max_pixels
    assert header.decoded_bytes <= _SETTINGS.max_decoded_bytes
    assert 1 <= header.orientation <= 8
    assert header.frames >= 1
    assert header.samples >= 1
    assert header.bits >= 1
    return header


def _agrees_with_pillow(data: bytes, header: Header) -> None:
    """Size and number of pictures, where Pillow opens the file at all."""
    seen = _as_pillow_sees(data, header.format)
    if seen is None:
        return
    size, frames = seen
    told = header.upright_size if header.format == "tiff" else (header.width, header.height)
    turned = told[::-1] if header.format == "tiff" and header.disputed else told
    assert size in (told, turned), f"Pillow reads {size}, the walker {told}"
    assert frames == 1 or header.frames > 1, f"Pillow counts {frames} pictures, the walker {header.frames}"


def _as_pillow_sees(data: bytes, stored_as: Format) -> tuple[tuple[int, int], int] | None:
    """Size and number of pictures; None for what Pillow refuses, with whatever exception."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=[stored_as]) as seen:
            sizes = _pages(seen) if stored_as == "tiff" else [seen.size] * _counted(seen)
            return (sizes[0], len(sizes)) if sizes else None
    except Exception:
        return None


def _counted(seen: Image.Image) -> int:
    """Pictures in the file; beyond a few, how many does not matter."""
    return min(getattr(seen, "n_frames", 1), 8)


def _pages(seen: Image.Image) -> list[tuple[int, int]]:
    """Sizes of TIFF pages that are no smaller copy of another."""
    sizes = []
    for page in range(_counted(seen)):
        seen.seek(page)
        if not seen.tag_v2.get(_SUBFILE, 0) & _REDUCED:  # type: ignore[attr-defined]
            sizes.append(seen.size)
    return sizes


def check_orientation(data: bytes) -> None:
    """Any block says 1 to 8; none is refused, and none takes longer than its entries."""
    with steps_within(_STEPS_FREE + _STEPS_PER_BYTE * len(data)):
        found = exif.claim(data)
        assert found is None or 1 <= found.value <= 8
