"""What the C decoders say on standard error while they fill gaps with grey: the only sign of a damaged file.

libjpeg and libtiff go on after an error and return a picture. Alone knows which of their words mean damage.
"""

from __future__ import annotations

import os
import re
import sys

from shared.errors import BadImage

_TEXT_BYTES_MAX = 64 * 1024
_STDERR = 2
#: libjpeg jerror.h: JWRN_HIT_MARKER, _HUFF_BAD_CODE, _MUST_RESYNC, _JPEG_EOF; OpenCV's name for libtiff's errors,
#: and libtiff's own where Pillow lets it write.
_DAMAGE = re.compile(
    r"Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|TIFF_Error|^\w+Decode\w*: (?!Warning)",
    re.MULTILINE,
)


class Complaints:
    """Catches what C code writes to standard error, for a process that decodes one picture at a time.

    Python's own `sys.stderr` goes on writing to where standard error went before.
    """

    def __init__(self) -> None:
        sys.stderr.flush()
        sys.stderr = os.fdopen(os.dup(_STDERR), "w", buffering=1, encoding="utf-8", errors="replace")
        self._caught = os.memfd_create("complaints", os.MFD_CLOEXEC)
        os.dup2(self._caught, _STDERR)

    def take(self) -> str:
        """The words since the last time; at most 64 KiB of them."""
        size = os.lseek(self._caught, 0, os.SEEK_CUR)
        if not size:
            return ""
        text = os.pread(self._caught, min(size, _TEXT_BYTES_MAX), 0).decode("utf-8", "replace")
        os.ftruncate(self._caught, 0)
        os.lseek(self._caught, 0, os.SEEK_SET)
        return text


def left_over(complaints: str) -> bool:
    """Whether libjpeg has skipped bytes before a marker: harmless, or a sign that it has lost its way."""
    return "extraneous bytes before marker" in complaints


def refuse_damage(complaints: str) -> None:
    """Raises BadImage when the words mean that part of the picture is not what was stored."""
    if _DAMAGE.search(complaints):
        raise BadImage("The picture is damaged: part of its data cannot be read")
