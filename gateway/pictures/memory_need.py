"""How many bytes a picture needs while it is decoded, held and masked, and what there is for all pictures and bodies.

Alone knows these estimates; what encoding takes stands with each format (`encode.py`).
"""

from __future__ import annotations

from pathlib import Path

from gateway.pictures.encode import OUTPUTS
from gateway.pictures.headers.facts import Header
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.jpeg_grid import SHEET_ROWS
from gateway.pictures.tiling import tiles_of
from shared import numerals
from shared.settings import MEBIBYTE, Settings

#: Measured peaks, bytes a pixel (`tests/hostile/measure_memory.py`): OpenCV decodes and copies.
_TWICE_BGR, _WITH_ALPHA, _BY_PILLOW = 7, 9, 9
#: The picture made of samples.
_RESULT = 5
#: A progressive JPEG's coefficients are all held until its last scan, and those of any that is kept but for its masks.
_COEFFICIENT = 2
#: A masked window in its stored frame; a sample of a strip while it is encoded and read as coefficients.
_TURNED, _BLOCKS = 3, 6
#: The picture and the file's inks beside it while they go through their profile; copies of the profile itself.
_INKS, _PROFILE = 11, 4
#: A caller's own overlay, its copies and products.
_LAID = 36
#: Bytes a pixel; no encoder of ours writes half of this for noise.
_ENCODED_MAX = 16
#: More bytes a pixel than decoding, holding, masking and encoding one picture take together.
_ALL_AT_ONCE = 64
#: The default budget is this part of the memory, inside these bounds; so is what bodies may take.
_BUDGET_PART = 4
_BUDGET_MIN, _BUDGET_MAX = 256 * MEBIBYTE, 8192 * MEBIBYTE
_BODIES_PART = 8
_BODIES_MIN, _BODIES_MAX = 128 * MEBIBYTE, 2048 * MEBIBYTE


def decoding(header: Header, *, to_mask: bool) -> int:
    """Bytes at the peak of decoding, beyond what stays."""
    per_pixel = _TWICE_BGR
    if header.decoder != "opencv":
        per_pixel = _BY_PILLOW
    elif header.alpha and to_mask:
        per_pixel = _WITH_ALPHA
    if header.progressive:
        per_pixel += _COEFFICIENT * header.samples
    if to_mask and header.icc and header.cmyk:
        per_pixel = max(per_pixel, _INKS)
    pixels = header.width * header.height
    raster = header.raster_bytes
    if header.decoder == "samples":
        raster = INPUTS[header.format].rasters * raster + _RESULT * pixels
    return max(pixels * per_pixel, raster) + _PROFILE * header.icc * to_mask


def holding(header: Header, sides: tuple[int, ...], tiles: int = 0, *, to_mask: bool) -> int:
    """Bytes that stay while a picture is open: its crops and tiles, and to mask its pixels and their alpha.

    To mask, what is transparent is cropped a second time, as it looks on white.
    """
    cut = tiles_of(*header.upright_size, sides[0], tiles) if tiles else 0
    crops = sum(side * side * 3 for side in (*sides, *sides[:1] * cut)) * (1 + (header.alpha and to_mask))
    return crops + header.width * header.height * (3 + header.alpha) * to_mask


def masking(header: Header, output: str, kept_bytes: int = 0, overlay: Header | None = None) -> int:
    """Bytes at the peak of masking and encoding, beyond the picture itself.

    kept_bytes: of a file that is kept. overlay: of a caller's own.
    """
    encoder = OUTPUTS[output]
    per_pixel, more = encoder.need + encoder.alpha_need * header.alpha, 0
    if kept_bytes:
        per_pixel += _COEFFICIENT * header.samples + _TURNED * (header.orientation != 1)
        more = 2 * kept_bytes + header.width * SHEET_ROWS * header.samples * _BLOCKS
    if overlay is not None:
        more += decoding(overlay, to_mask=True) + overlay.width * overlay.height * _LAID
    return header.width * header.height * per_pixel + more


def encoded_most(header: Header) -> int:
    """More bytes than any encoded picture of this size has, whatever it shows."""
    return header.width * header.height * _ENCODED_MAX + header.icc + MEBIBYTE


def child_most(settings: Settings, memory_bytes: int) -> int:
    """More bytes than a child of this gateway process ever needs beyond what it has when it starts."""
    one = max(settings.max_pixels * _ALL_AT_ONCE, 2 * settings.max_decoded_bytes)
    return 2 * budget(settings, memory_bytes) + one + 2 * settings.max_image_bytes


def budget(settings: Settings, memory_bytes: int) -> int:
    """This gateway process's share of the host's decode budget, in bytes."""
    total = settings.decode_budget_bytes or min(max(memory_bytes // _BUDGET_PART, _BUDGET_MIN), _BUDGET_MAX)
    return max(MEBIBYTE, total // max(1, settings.gateway_processes))


def bodies_max(settings: Settings, memory_bytes: int) -> int:
    """Most bytes of bodies inside this gateway process: as set, or its share of a part of the host's memory."""
    chosen = min(max(memory_bytes // _BODIES_PART, _BODIES_MIN), _BODIES_MAX) // max(1, settings.gateway_processes)
    return settings.max_queue_bytes or chosen


def memory_of_host() -> int:
    """Bytes of memory this process may use: the machine's, or the cgroup's limit where that is less."""
    limits = [_meminfo(), _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
    return min((limit for limit in limits if limit), default=1024 * MEBIBYTE)


def _meminfo() -> int:
    try:
        words = Path("/proc/meminfo").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(words[words.index("MemTotal:") + 1]) * 1024


def _number(path: str) -> int:
    try:
        words = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return numerals.count(words) or 0
