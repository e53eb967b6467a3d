"""What is a fault: the rule of this project, applied to what the service and the witnesses made of one file.

What the decoder reads whole and without repair, and every ordinary viewer shows alike, is served; what is cut short or
repaired by guess is refused. README.md lists what is decided otherwise, and why.
"""

from __future__ import annotations

import re

from tests.differential.oddity import Oddity
from tests.differential.readings import NOT_SHOWN, Reading

#: Mean difference, 0..255, up to which two programs show the same pixels: inverse transforms and colour sums differ.
ALIKE = 1.0
#: Refused on purpose though witnesses read it: see README.md.
ON_PURPOSE = re.compile("lossless, hierarchical, arithmetic|more than 100 scans|at least 10×10|too many|at most")
#: What OpenCV's decoders say of a file that they read whole: bytes that they skipped, and words of no consequence.
HARMLESS = re.compile(
    r"extraneous bytes before marker|unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters"
    r"|bad ICC marker|Warning, |TIFF_Warning|libpng warning: (?!IDAT|Not enough|Read Error)"
)
_DAMAGE = re.compile(
    r"Corrupt JPEG|Premature end|Inconsistent progression|TIFF_Error|libpng error|CRC error|Not enough|truncat",
    re.IGNORECASE,
)


def complains(reading: Reading) -> bool:
    """Whether OpenCV's decoder reports damage."""
    return any(_DAMAGE.search(line) and not HARMLESS.search(line) for line in reading.complaint.splitlines())


def whole(reading: Reading) -> bool:
    """Whether all witnesses that were asked read the file without complaint, to the same pixels."""
    return _both(reading) and not _browser_differs(reading)


def _both(reading: Reading) -> bool:
    read = not reading.pillow and not reading.opencv
    return read and not complains(reading) and reading.alike <= ALIKE


def _browser_differs(reading: Reading) -> bool:
    return reading.chromium not in ("", "not asked")


def decided(reading: Reading, twin: Reading | None = None) -> str:
    """Why what witnesses see otherwise is right, in words of README.md; "" when it is not."""
    if reading.service and ON_PURPOSE.search(reading.service):
        return "refused by a limit, or of a kind that is not accepted"
    if "a strip lies outside" in reading.service and 'Wrong "StripByteCounts"' in reading.complaint:
        return "refused: raw rows that would be read out of what lies behind them"
    damaged = "part of its data cannot be read" in reading.service or "could not be decoded" in reading.service
    if damaged and "extraneous bytes before" in reading.complaint:
        return "refused: bytes left over that go on as blocks do"
    if not reading.service and twin and reading.pixels == twin.pixels:
        return "served with the pixels of its twin, though a witness complains"
    as_pillow = not reading.service and not reading.pillow and reading.ours <= ALIKE
    if as_pillow and not complains(reading) and reading.chromium == NOT_SHOWN:
        return "served as Pillow reads it whole, though others want what comes behind the last pixel"
    if as_pillow and "TIFF" in reading.complaint:
        return "served as Pillow reads it, though libtiff does not"
    return ""


def is_decided(oddity: Oddity, reading: Reading) -> bool:
    """Whether something had to be decided that the rule alone does not settle."""
    if reading.service:
        return whole(reading) and not oddity.damaged
    return complains(reading) or bool(reading.pillow and reading.opencv) or _browser_differs(reading)


def fault(oddity: Oddity, reading: Reading, twin: Reading | None = None) -> str:
    """The fault, in words; "" when there is none. twin: how the oddity's twin fared."""
    if reading.ended:
        return "the process ended"
    if reading.service:
        return _fault_of_refusal(oddity, reading, twin)
    if (complains(reading) or (reading.pillow and reading.opencv)) and not decided(reading, twin):
        return "served though damage is reported"
    if _browser_differs(reading) and not decided(reading, twin) and not (oddity.damaged and _both(reading)):
        return "served though the browser differs"
    if twin and twin.service:
        return "served though its twin is refused"
    if twin and reading.pixels != twin.pixels:
        return "served with other pixels than its twin"
    return "served with other pixels" if whole(reading) and reading.ours > ALIKE else ""


def _fault_of_refusal(oddity: Oddity, reading: Reading, twin: Reading | None) -> str:
    if oddity.damaged or not whole(reading) or decided(reading):
        return ""
    return "refused though all read alike" if not (twin and twin.service) else ""
