"""Where a PNG says which way up it is: eXIf, the text in which ImageMagick keeps EXIF, and XMP. Third edition, 11.3."""

from __future__ import annotations

import contextlib
import re
import zlib

from gateway.pictures.headers.exif import Claim, Orientation, claim, doubtful, settled

#: Unpacked bytes of one text that are looked at: EXIF is at most 64 KiB, and here two digits a byte.
_TEXT_BYTES_MAX = 256 * 1024
_RAW = re.compile(rb"Raw profile type (?:exif|APP1)\0", re.IGNORECASE)
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
#: Behind its newline the name of the profile, its length, and its bytes as digits.
_DIGITS = re.compile(rb"\n\w+\n\s*\d+\n([0-9a-fA-F\s]+)")


class Told:
    """What the chunks so far say."""

    def __init__(self) -> None:
        self._exif: list[Claim | None] = []
        self._text: list[Claim | None] = []
        self._xmp = b""

    def note(self, kind: bytes, payload: memoryview, *, sound: bool) -> None:
        """One eXIf, tEXt, zTXt or iTXt. sound: its checksum is right; libpng passes over it otherwise."""
        if kind == b"eXIf":
            found = claim(payload)
            self._exif.append(found if sound else doubtful(found))
            return
        keyword = bytes(payload[:80])
        if _RAW.match(keyword):
            self._text.append(doubtful(_raw(_text(kind, payload))))
        elif keyword.startswith(_XMP_KEYWORD):
            self._xmp = self._xmp or _text(kind, payload)

    def settled(self) -> Orientation:
        """Readers take the first or the last eXIf; few of them anything else, and only where there is none."""
        views = [self._exif[0], self._exif[-1]] if any(self._exif) else self._text[:1]
        return settled(views, self._xmp)


def _text(kind: bytes, payload: memoryview) -> bytes:
    """The text of a chunk behind its keyword, unpacked as far as it is looked at; empty when it cannot be."""
    _keyword, _nul, rest = bytes(payload[: _TEXT_BYTES_MAX * 2]).partition(b"\0")
    if kind == b"tEXt":
        return rest
    packed = kind == b"zTXt" or rest[:1] == b"\1"
    body = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    if not packed:
        return body
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj().decompress(body, _TEXT_BYTES_MAX)
    return b""


def _raw(text: bytes) -> Claim | None:
    digits = _DIGITS.match(text)
    if digits is None:
        return None
    whole = b"".join(digits[1].split())
    return claim(bytes.fromhex(whole[: len(whole) // 2 * 2].decode("ascii")))
