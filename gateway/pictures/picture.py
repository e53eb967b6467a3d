"""One owner of a picture from its bytes to its last use: open → facts and crops, mask → bytes, close.

This is the interface the routes know. Where the pixels live (a thread's memory or a child process's) is known
only behind it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.headers.facts import Format, Header
from gateway.pictures.masking import MaskOptions, MediaType
from gateway.pictures.sandbox.report import Sandbox
from shared.deadline import Deadline
from shared.errors import BadImage, ConfigurationError
from shared.faces import Faces
from shared.processes import usable_cores
from shared.settings import Settings

Data = bytes | bytearray | memoryview


def decoders_of(settings: Settings) -> int:
    """How many pictures one gateway process decodes at once: together they have every core once."""
    return settings.decode_processes or max(1, usable_cores() // max(1, settings.gateway_processes))


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Facts of the upright picture.

    width, height: pixels. channels: 3, what detection saw. size_bytes: of the file. orientation: EXIF 1..8 as
    stored. frames: more than 1 for animated or multi-page files, of which the first is used.
    """

    width: int
    height: int
    channels: int
    format: Format
    size_bytes: int
    orientation: int
    frames: int


@dataclass(frozen=True, slots=True)
class Crop:
    """The picture, or a tile of it, fitted into a square network input; only the fitted rows.

    pixels: (rows, cols, 3) uint8 BGR, C-contiguous. side: of the input. scale: input pixels per picture pixel
    (fitted height / picture height). x, y: its top left corner, in pixels of the upright picture. tile: of a picture
    that is looked at in parts, beside the whole.
    """

    pixels: NDArray[np.uint8]
    side: int
    scale: float
    x: float = 0.0
    y: float = 0.0
    tile: bool = False


@dataclass(frozen=True, slots=True)
class Masked:
    """The answer of mask: an encoded picture without metadata.

    weak: some face keeps too much detail at the chosen strength (`masking.weak`). as_stored: the file's colour profile
    cannot be used, so that the colours are the stored ones. mask_ms, encode_ms: milliseconds.
    """

    data: Data
    media_type: MediaType
    weak: bool
    as_stored: bool
    mask_ms: float
    encode_ms: float


class Picture(Protocol):
    """One decoded picture. Times in milliseconds. Not used by two tasks at once."""

    @property
    def facts(self) -> PictureFacts: ...
    @property
    def crops(self) -> tuple[Crop, ...]: ...
    @property
    def decode_ms(self) -> float: ...
    @property
    def preprocess_ms(self) -> float: ...

    async def mask(self, faces: Faces, options: MaskOptions) -> Masked:
        """Hides the faces and encodes. Raises BadParameter, BadImage, Unavailable; never returns original pixels."""
        ...

    def close(self) -> None:
        """Frees every byte at once; may be called again."""
        ...


class Pictures(Protocol):
    """Opens pictures, a bounded number and a bounded number of bytes at once.

    deaths: processes for pictures that ended without being asked to, since the start. sandbox: how they are shut in.
    """

    @property
    def deaths(self) -> int: ...
    @property
    def sandbox(self) -> Sandbox: ...

    async def open(
        self,
        data: Data,
        *,
        sides: tuple[int, ...],
        deadline: Deadline,
        single_frame: bool,
        header: Header | None = None,
        tiles: int = 0,
    ) -> Picture:
        """The picture, one crop per side, and at most so many tiles. `data` must stay unchanged until it is closed.

        single_frame: refuse animated and multi-page files (for mask). header: of `data`, where it was read and found
        within the limits before. Raises BadImage, TooLarge, Unavailable.
        """
        ...

    async def aclose(self) -> None: ...


async def open_pictures(settings: Settings) -> Pictures:
    """The owner of all pictures of this gateway process. Raises ConfigurationError when it cannot start."""
    if settings.decode_isolation == "thread" or sys.platform != "linux":
        if settings.decode_sandbox == "required":
            raise ConfigurationError("FACE_API_DECODE_SANDBOX=required needs Linux: auto does without it")
        from gateway.pictures.picture_threads import ThreadPictures

        return ThreadPictures(settings)
    from gateway.pictures.picture_process import ProcessPictures

    pictures = ProcessPictures(settings)
    await pictures.start()
    return pictures


def facts_of(header: Header, size_bytes: int) -> PictureFacts:
    """The facts a caller sees, from the header of the file."""
    width, height = header.upright_size
    return PictureFacts(width, height, 3, header.format, size_bytes, header.orientation, header.frames)


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
