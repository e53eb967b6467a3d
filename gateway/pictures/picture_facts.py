"""What is known of an opened picture: facts, crops, the masked answer; and which files are not masked."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.pictures.headers.facts import Header
from shared.errors import BadImage
from shared.processes import usable_cores
from shared.settings import Settings

Data = bytes | bytearray | memoryview


def decoders_of(settings: Settings) -> int:
    """How many pictures one gateway process decodes at once: together they have every core once."""
    return settings.decode_processes or max(1, usable_cores() // max(1, settings.gateway_processes))


class PictureFacts(msgspec.Struct, frozen=True):
    """Facts of the upright picture.

    width, height: pixels. channels: 3, what detection saw. size_bytes: of the file. frames: more than 1 for animated
    or multi-page files, of which the first is used.
    """

    width: int
    height: int
    channels: int
    size_bytes: int
    frames: int


class Crop(msgspec.Struct, frozen=True):
    """The picture, or a tile of it, fitted into a square network input; only the fitted rows.

    pixels: (rows, cols, 3) uint8 BGR, C-contiguous. side: of the input. scale: input pixels per picture pixel
    (fitted height / picture height). x, y: its top left corner, in pixels of the upright picture. tile: parts of a
    picture, looked at beside the whole. sheet: doubted finds, each in a cell; x is where it lies in the row of sheets.
    """

    pixels: NDArray[np.uint8]
    side: int
    scale: float
    x: float = 0.0
    y: float = 0.0
    tile: bool = False
    sheet: bool = False


@dataclass(frozen=True, slots=True)
class Masked:
    """The answer of mask: an encoded picture without metadata.

    weak: some face keeps too much detail at the chosen strength (`masking.weak`). as_stored: the file's colour profile
    cannot be used, so that the colours are the stored ones. mask_ms, encode_ms: milliseconds.
    """

    data: Data
    media_type: str
    weak: bool
    as_stored: bool
    mask_ms: float
    encode_ms: float


def facts_of(header: Header, size_bytes: int) -> PictureFacts:
    """The facts a caller sees, from the header of the file."""
    width, height = header.upright_size
    return PictureFacts(width, height, 3, size_bytes, header.frames)


def refuse_to_mask(header: Header) -> None:
    """Raises BadImage for files of which more would be seen than is masked.

    Of several pictures all but the first would stay as they are. Where viewers differ about which way up a picture is,
    its faces may lie on their side for us, and are not found.
    """
    if header.frames > 1:
        raise BadImage(
            f"The {header.format.upper()} file holds {header.frames} pictures (animation or pages); "
            "mask takes files of one picture, since the others would stay unmasked"
        )
    if header.disputed:
        raise BadImage(
            "Which way up the picture is, is stored in a way that programs read differently, so mask could miss faces; "
            "turn it upright and save it again without an orientation in its EXIF or XMP data"
        )
