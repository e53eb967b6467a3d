"""What a gateway process and its picture children say to each other, over a socket pair of their own.

A message is one msgpack packet; everything bulky lies in the slab they share or, where it is larger, in memory of
its own, whose file descriptor travels with the packet.

    gateway → child    Open (+ the file) · Mask (+ the boxes) · Close
    child → gateway    Ready · Opened (+ the crops) · MaskDone (+ the encoded picture) · Failed
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.pictures.headers.facts import Header
from gateway.pictures.masking import MaskOptions

#: No message comes near it; a socket pair takes this much in one packet by default.
PACKET_BYTES_MAX = 64 * 1024


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base: a msgpack array whose first element is the class name."""


class Open(Message, frozen=True):
    """Decode the file of `size` bytes; one crop per side. to_mask: keep the pixels until Close."""

    id: int
    header: Header
    size: int
    sides: tuple[int, ...]
    to_mask: bool


class Mask(Message, frozen=True):
    """Hide the faces of `faces` boxes, (faces, 4) float32 as bytes, and encode."""

    id: int
    faces: int
    options: MaskOptions


class Close(Message, frozen=True):
    """Forget the picture. Not answered."""

    id: int


class Ready(Message, frozen=True):
    """The child has loaded what it needs."""


class CropShape(msgspec.Struct, frozen=True, array_like=True):
    """One crop: rows·cols·3 bytes, after those of the crops before it."""

    rows: int
    cols: int
    side: int
    scale: float


class Opened(Message, frozen=True):
    id: int
    crops: tuple[CropShape, ...]
    decode_ms: float
    preprocess_ms: float


class MaskDone(Message, frozen=True):
    """The encoded picture has `size` bytes."""

    id: int
    size: int
    media_type: str
    weak: bool
    mask_ms: float
    encode_ms: float


FailureKind = Literal["bad_image", "too_large", "bad_parameter"]


class Failed(Message, frozen=True):
    """This picture cannot be had; the child goes on with the next."""

    id: int
    kind: FailureKind
    words: str


ToChild = Open | Mask | Close
ToGateway = Ready | Opened | MaskDone | Failed
