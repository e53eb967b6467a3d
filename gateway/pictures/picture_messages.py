"""What a gateway process and its picture children say to each other, over a socket pair of their own.

A message is one msgpack packet; everything bulky lies in the slab they share or, where it is larger, in memory of
its own, whose file descriptor travels with the packet.

    gateway → child    Open (+ the file) · Mask (+ the marks, an overlay) · Close
    child → gateway    Ready · Opened (+ the crops) · MaskDone (+ the encoded picture) · Failed
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.pictures.exif_tags import Metadata
from gateway.pictures.headers.facts import Header
from gateway.pictures.masking import MaskOptions
from gateway.pictures.sandbox.report import Sandbox

#: No message comes near it; a socket pair takes this much in one packet by default.
PACKET_BYTES_MAX = 64 * 1024


#: What a child may say; it has read a stranger's file and is believed nothing else.
Count = Annotated[int, Meta(ge=0, le=2**40)]
Positive = Annotated[int, Meta(ge=1, le=2**20)]
Milliseconds = Annotated[float, Meta(ge=0.0, le=1e9)]
Place = Annotated[float, Meta(ge=0.0, le=2**20)]
Scale = Annotated[float, Meta(gt=0.0, le=1e6)]


class ChildMessage(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base: a msgpack array whose first element is the class name."""


class Open(ChildMessage, frozen=True):
    """Decode the file of `size` bytes; one crop per side, and at most `tiles` tiles of sides[0]. to_mask: keep the
    pixels until Close; kept: the file as well, to change only blocks of it; planar: planes in place of pixels, where it
    is to be masked as a JPEG. metadata: what of the file's goes into its masked picture. reach: crops may be of a JPEG
    decoded smaller, whose longer side keeps so many pixels; 0: whole.
    """

    id: int
    header: Header
    size: int
    sides: tuple[int, ...]
    to_mask: bool
    tiles: int = 0
    kept: bool = False
    metadata: Metadata = "none"
    reach: int = 0
    planar: bool = False


class Mask(ChildMessage, frozen=True):
    """Hide what is packed in the marks that come with it, of so many faces and own regions, and encode.

    overlay: of the file of overlay_size bytes that comes behind the marks, to be laid over what is hidden.
    """

    id: int
    faces: int
    own: int
    options: MaskOptions
    overlay: Header | None = None
    overlay_size: int = 0


class Close(ChildMessage, frozen=True):
    """Forget the picture. Not answered."""

    id: int


class Ready(ChildMessage, frozen=True):
    """The child has loaded what it needs and is shut in. Its first word, said once."""

    sandbox: Sandbox = Sandbox()


class CropShape(msgspec.Struct, frozen=True, array_like=True):
    """One crop: rows·cols·3 bytes, after those of the crops before it."""

    rows: Positive
    cols: Positive
    side: Positive
    scale: Scale
    x: Place = 0.0
    y: Place = 0.0
    tile: bool = False


class Opened(ChildMessage, frozen=True):
    id: Count
    crops: tuple[CropShape, ...]
    decode_ms: Milliseconds
    preprocess_ms: Milliseconds


class MaskDone(ChildMessage, frozen=True):
    """The encoded picture has `size` bytes."""

    id: Count
    size: Count
    weak: bool
    as_stored: bool
    mask_ms: Milliseconds
    encode_ms: Milliseconds


FailureKind = Literal["bad_image", "too_large", "bad_parameter"]


class Failed(ChildMessage, frozen=True):
    """This picture cannot be had; the child goes on with the next."""

    id: Count
    kind: FailureKind
    words: Annotated[str, Meta(max_length=1000)]


ToChild = Open | Mask | Close
FromChild = Ready | Opened | MaskDone | Failed

_decoder = msgspec.msgpack.Decoder(FromChild)


def from_child(packet: bytes) -> FromChild:
    """What a child said. Raises ValueError for anything that no child of ours says."""
    try:
        message: FromChild = _decoder.decode(packet)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a message: {error}") from None
    return message


def size_with(message: FromChild) -> int:
    """Bytes that come with a message."""
    if isinstance(message, Opened):
        return sum(crop.rows * crop.cols * 3 for crop in message.crops)
    return message.size if isinstance(message, MaskDone) else 0


def answers(said: Opened | MaskDone | Failed, asked: Open | Mask) -> bool:
    """Whether a child's words are an answer to this."""
    kind = Opened if isinstance(asked, Open) else MaskDone
    return said.id == asked.id and isinstance(said, kind | Failed)
