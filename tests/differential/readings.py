"""A process that reads files as the service does and as Pillow and OpenCV do, and says how each fared.

`python -m tests.differential.readings`: takes length-prefixed files on standard input and answers each with one line of
JSON. It is a process of its own because decoders write their complaints to standard error, and may crash.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import cv2
import msgspec
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures import image_decode
from gateway.pictures.decoder_complaints import Complaints
from gateway.pictures.image_decode import upright
from gateway.pictures.image_header import check_complete, check_limits, read_header
from gateway.pictures.picture_work import open_picture
from shared.errors import BadImage, TooLarge
from shared.settings import Settings
from tests import in_rows

Pixels = NDArray[np.uint8]
#: What a browser's refusal is called: it gives no reasons.
NOT_SHOWN = "the browser does not show it"
_SETTINGS = Settings()
#: By which means over a part of the picture may differ, 0..255.
_FAR = 12.0
#: A canvas keeps colours multiplied by alpha: below this one, 0..255, they come back coarse or not at all.
_FAINT = 32


class Reading(msgspec.Struct, frozen=True):
    """What became of one file.

    service, pillow, opencv: "" when it was read, else the words of the refusal. pixels: a digest of the service's.
    complaint: what OpenCV's decoders said. alike: mean difference of Pillow's and OpenCV's pixels as stored, 0..255;
    255 when one has none or the sizes differ. ours: the same for the service's pixels and the nearer of the two.
    ended: the process did not live. looks: OpenCV's pixels in small, to hold a browser's against. chromium: as the
    others, where it was asked.
    """

    service: str
    pixels: str = ""
    pillow: str = "not asked"
    opencv: str = "not asked"
    complaint: str = ""
    alike: float = 255.0
    ours: float = 255.0
    ended: bool = False
    looks: list[float] = []
    chromium: str = "not asked"


def reading(data: bytes, complaints: Complaints) -> Reading:
    """All three, and their pixels compared."""
    service, ours, orientation = _service(data, complaints)
    if "at most" in service:  # it could take more memory than there is
        return Reading(service)
    if data[8:11] == b"hei":  # heic, heix of ten bits
        return _beside_libheif(data, service, ours)
    pillow, left = _pillow(data)
    opencv, right = _opencv(data)
    complaint = complaints.take().strip()
    seen = [upright(np.ascontiguousarray(each), orientation) for each in (left, right) if each is not None]
    nearest = min((_apart(ours, each) for each in seen), default=255.0)
    return Reading(service, _digest(ours), pillow, opencv, complaint, _apart(left, right), nearest, looks=looks(right))


def _beside_libheif(data: bytes, service: str, ours: Pixels | None) -> Reading:
    """Of HEIC there is one witness, in place of both: the library that the service gives a file of its own."""
    try:
        with pillow_heif.open_heif(data).to_pillow() as picture:  # turned and mirrored
            shown = np.asarray(picture.convert("RGB"))[:, :, ::-1]
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        return Reading(service, _digest(ours), words, words)
    return Reading(service, _digest(ours), "", "", alike=0.0, ours=_apart(ours, shown))


def _digest(pixels: Pixels | None) -> str:
    return "" if pixels is None else hashlib.sha256(pixels.tobytes()).hexdigest()


def looks(pixels: NDArray[Any] | None) -> list[float]:
    """(8 × 8 × channels) means over a grid; nothing of no pixels."""
    return [] if pixels is None else cv2.resize(pixels, (8, 8), interpolation=cv2.INTER_AREA).ravel().tolist()


def with_browser(reading: Reading, shown: tuple[str, Pixels | None] | None) -> Reading:
    """The reading with a browser's testimony, if it has one to give."""
    if shown is None:
        return reading
    words, pixels = shown
    if pixels is not None and reading.looks:
        faint = np.repeat(looks((pixels[:, :, 3] < _FAINT).astype(np.float32)), 3) > 0
        apart = np.abs(np.subtract(looks(pixels[:, :, :3]), reading.looks))
        words = "the browser shows other pixels" if (apart[~faint] > _FAR).any() else ""
    return msgspec.structs.replace(reading, chromium=words)


def _service(data: bytes, complaints: Complaints) -> tuple[str, Pixels | None, int]:
    """As detect reads it, and mask has to agree, in planes too."""
    to_detect, pixels, orientation = _opened(data, complaints, to_mask=False)
    for planar in (False, True):
        to_mask, _in_srgb, _ = _opened(data, complaints, to_mask=True, planar=planar)
        assert to_detect == to_mask, (to_detect, to_mask, planar)
    return to_detect, pixels, orientation


def _opened(
    data: bytes, complaints: Complaints, *, to_mask: bool, planar: bool = False
) -> tuple[str, Pixels | None, int]:
    view = memoryview(data)
    try:
        header = read_header(view)
        check_limits(header, _SETTINGS)
        if header.format == "jpeg" and not to_mask:
            check_complete(view, header, _SETTINGS)
            in_rows.check(view, header, next(in_rows.patterns(header.height, len(data))), complaints.take)
        with mock.patch.object(image_decode, "_PLANES_PIXELS_MIN", 1):
            opened = open_picture(
                view, header, (), _SETTINGS, to_mask=to_mask, planar=planar, complaints=complaints.take
            )
    except (BadImage, TooLarge) as error:
        return str(error), None, 1
    finally:
        complaints.take()
    return "", opened.pixels, header.orientation


def _pillow(data: bytes) -> tuple[str, Pixels | None]:
    """BGR as stored; a warning counts as a refusal."""
    try:
        with warnings.catch_warnings(action="error"), Image.open(io.BytesIO(data)) as picture:
            picture.load()
            if picture.mode.startswith("I;16"):
                return "", cv2.cvtColor((np.asarray(picture) >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)
            return "", np.asarray(picture.convert("RGB"))[:, :, ::-1]
    except Exception as error:  # whatever it raises is what it says
        return f"{type(error).__name__}: {error}", None


def _opencv(data: bytes) -> tuple[str, Pixels | None]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        return f"error {error.code}", None
    return ("", pixels) if pixels is not None else ("nothing", None)  # type: ignore[return-value]


def _apart(left: Pixels | None, right: Pixels | None) -> float:
    if left is None or right is None or left.shape != right.shape:
        return 255.0
    return float(np.abs(left.astype(np.int16) - right).mean())


class Readers:
    """The process, started anew when a file has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes) -> Reading:
        """Reading with `ended` when the process died of the file."""
        process = self._process = self._process or subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(struct.pack("<I", len(data)) + data)
            process.stdin.flush()
        line = process.stdout.readline()
        if line:
            return msgspec.json.decode(line, type=Reading)
        self.close()
        return Reading("the process ended", ended=True)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextlib.contextmanager
def readers() -> Iterator[Readers]:
    """A process for as long as it is wanted."""
    started = Readers()
    try:
        yield started
    finally:
        started.close()


def main() -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    complaints = Complaints()
    cv2.setNumThreads(1)
    while head := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(*struct.unpack("<I", head))
        answers.write(msgspec.json.encode(reading(data, complaints)) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
