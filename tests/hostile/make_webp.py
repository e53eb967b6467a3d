"""WebP files: encoded by Pillow, then taken apart into RIFF chunks. RFC 9649."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ANIMATION, XMP, EXIF, ALPHA, ICC = 0x02, 0x04, 0x08, 0x10, 0x20

Chunk = tuple[bytes, bytes]


def webp(pixels: NDArray[np.uint8], **options: object) -> bytes:
    """(height, width, 3 or 4) RGB(A) as WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", **{"quality": 95, **options})  # type: ignore[arg-type]
    return file.getvalue()


def chunks(data: bytes) -> list[Chunk]:
    """(kind, payload) of a right file."""
    found, position = [], 12
    while position < len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 8 + length + length % 2
    return found


def riff(parts: Sequence[Chunk], size: int | None = None, lengths: dict[bytes, int] | None = None) -> bytes:
    """A file of chunks; the outer size and any chunk's length can be made wrong."""
    body = b"WEBP"
    for kind, payload in parts:
        length = (lengths or {}).get(kind, len(payload))
        body += struct.pack("<4sI", kind, length) + payload + b"\0" * (len(payload) % 2)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def extended(flags: int, width: int, height: int) -> Chunk:
    """VP8X with a canvas size."""
    return b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def animated(frames: Sequence[NDArray[np.uint8]]) -> bytes:
    file = io.BytesIO()
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


def animation_frame(x: int, y: int, width: int, height: int, picture: Chunk) -> Chunk:
    """ANMF around one picture chunk."""
    kind, payload = picture
    head = b"".join(value.to_bytes(3, "little") for value in (x // 2, y // 2, width - 1, height - 1, 100)) + b"\0"
    return b"ANMF", head + struct.pack("<4sI", kind, len(payload)) + payload + b"\0" * (len(payload) % 2)
