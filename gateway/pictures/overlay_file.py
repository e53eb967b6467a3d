"""A caller's own small picture to lay over faces: what it may be, from its header alone."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pictures.headers.facts import Header
from gateway.pictures.image_header import read_header
from shared.errors import BadImage, TooLarge
from shared.settings import MEBIBYTE

#: Pixels, and bytes when decoded: it is seen as large as a face.
SIDE_MAX, DECODED_BYTES_MAX = 1024, 16 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class OverlayFile:
    """The file, and its header, which is within the limits."""

    data: bytes
    header: Header

    @staticmethod
    def of(data: bytes) -> OverlayFile:
        """Raises BadImage, TooLarge."""
        header = read_header(memoryview(data))
        if max(header.width, header.height) > SIDE_MAX or header.decoded_bytes > DECODED_BYTES_MAX:
            raise TooLarge(
                f"The overlay has {header.width}×{header.height} pixels of {header.samples} × {header.bits} bits; "
                f"at most {SIDE_MAX}×{SIDE_MAX} of four bytes are accepted"
            )
        if header.frames > 1:
            raise BadImage(f"The overlay holds {header.frames} pictures (animation or pages); send a file of one")
        return OverlayFile(data, header)
